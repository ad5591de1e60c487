/**
 * The audit record as of which something was last taken out of the namespace, in R2: D1 can be set back to before that, and then says of a version that it is there which is not.
 * R2 is not set back with it.
 */
import { z } from "zod"
import type { Dependencies } from "./dependencies.ts"
import type { AuditStore } from "./store/audit.ts"
import { type LedgerDependencies, readHead } from "./store/ledger.ts"
import { CLAIM_MS, isClaimed, type Removal } from "./store/removals.ts"

/** R2 key. */
const KEY = "registry/last-removal.json"
/** Others write it too, each once per removal. */
const MAX_ATTEMPTS = 5

/** Milliseconds until the next try after R2 refused: it takes one write of a key in a second. */
const RETRY_MS = 1_100

/** What a later version of this Worker adds is left alone. */
const shape = z.looseObject({
  seq: z.number(),
  hash: z.string(),
  /** Doubt was cast on the registry, and not all that is in force was seen since. */
  doubted: z.boolean(),
  /** Milliseconds since the epoch. Whatever was restored since, no removal began after it. */
  beganAtMs: z.number().default(0),
})

export type RemovalMark = z.output<typeof shape>

export interface MarkDependencies extends Pick<LedgerDependencies, "db" | "clock"> {
  readonly artifacts: Dependencies["artifacts"]
  readonly store: { readonly audit: Pick<AuditStore, "holds"> }
}

/** What stands there cannot be read: then nobody knows what the registry has forgotten. */
export class MarkMalformed extends Error {
  override readonly name = "MarkMalformed"
}

type WriteDependencies = MarkDependencies & Pick<Dependencies, "wait">

interface Read {
  readonly mark: RemovalMark | null
  readonly etag: string | null
}

/** Null while nothing was ever removed. Throws when R2 does not answer, and {@link MarkMalformed}. */
export async function readMark(deps: Pick<MarkDependencies, "artifacts">): Promise<RemovalMark | null> {
  return (await read(deps)).mark
}

/** True unless the registry has forgotten the record, and so what was removed by then. */
export async function isRemembered(mark: RemovalMark | null, { store }: Pick<MarkDependencies, "store">) {
  return mark === null || (await store.audit.holds(mark))
}

/** True while a call that removes something may be under way which the registry has forgotten: it could take away what is seen, or placed, now. */
export function mayBeRemoving(mark: RemovalMark | null, { clock }: Pick<MarkDependencies, "clock">): boolean {
  return mark !== null && clock.now() < mark.beganAtMs + CLAIM_MS
}

/** To be called after a retirement is recorded and before the script is removed. Throws when the registry is not to be relied on, or the mark cannot be written: then nothing is removed. */
export async function markRemoval(deps: WriteDependencies, removal: Removal): Promise<void> {
  await write(deps, async (mark) => {
    if (mark?.doubted === true || !(await isRemembered(mark, deps)))
      throw new Error("the registry was set back to before a removal")
    const head = await readHead(deps.db)
    // After the head: a registry that was set back since the retirement gives a head of before it, and does not have the removal.
    if (!(await isClaimed(deps.db, removal))) throw new Error("the registry does not know of the removal")
    const last = mark !== null && mark.seq >= head.seq ? { seq: mark.seq, hash: mark.hash } : head
    return { ...last, doubted: false, beganAtMs: Math.max(deps.clock.now(), mark?.beganAtMs ?? 0) }
  })
}

/** Says as of now whether what is in force still has to be seen. */
export async function markDoubt(deps: WriteDependencies, doubted: boolean): Promise<void> {
  await write(deps, async (mark) => ({ ...(await readHead(deps.db)), doubted, beganAtMs: mark?.beganAtMs ?? 0 }))
}

async function read({ artifacts }: Pick<MarkDependencies, "artifacts">): Promise<Read> {
  const found = await artifacts.get(KEY)
  if (found === null) return { mark: null, etag: null }
  const text = await found.text()
  try {
    return { mark: shape.parse(JSON.parse(text)), etag: found.etag }
  } catch (cause) {
    throw new MarkMalformed(`${KEY} is no mark of removals`, { cause })
  }
}

/** `next` is asked with what stands there, again when another was quicker. */
async function write(deps: WriteDependencies, next: (mark: RemovalMark | null) => Promise<RemovalMark>): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { mark, etag } = await read(deps)
    const wanted = await next(mark)
    const onlyIf = etag === null ? { etagDoesNotMatch: "*" } : { etagMatches: etag }
    try {
      if ((await deps.artifacts.put(KEY, JSON.stringify(wanted), { onlyIf })) !== null) return
    } catch (failure) {
      if (attempt === MAX_ATTEMPTS - 1) throw failure
      await deps.wait(RETRY_MS)
    }
  }
  throw new Error("the mark of removals was written by others each time")
}
