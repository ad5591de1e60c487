/**
 * D1 → R2 → KV: makes the newest revision the one that dispatchers load. The revision comes first and the pointer last, so that no pointer names what is not there,
 * and a registry that was set back does not put the pointer back: what that names may be in force. KV may show a pointer of a minute ago; a copy in R2 says at once that its number is taken.
 * Safe under concurrency and after a crash at any step: whoever comes next, at the latest the schedule, finishes it.
 */
import {
  CONFIG_POINTER_KEY,
  type ConfigPointer,
  configKey,
  configPointerSchema,
} from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { LogRecord } from "../dependencies.ts"
import type { MarkDependencies } from "../removal-mark.ts"
import type { LedgerDependencies } from "../store/ledger.ts"
import { readRegistry } from "../store/registry.ts"
import type { RevisionRow, RevisionStore } from "../store/revisions.ts"
import { buildContent, documentOf } from "./build.ts"
import { isSetBackFrom, RegistryInDoubt, renumber } from "./renumber.ts"

/** Seconds that a location may go on showing the pointer that it has; the platform's minimum. */
const POINTER_CACHE_TTL_S = 30
/** KV takes one write per second and key; waiting a little longer than that lets a burst of changes pass. */
const RETRY_MS = 1_100
const MAX_FAILURES = 6
/** Each round beyond the first means that somebody published something newer meanwhile. */
const MAX_ROUNDS = 50

export interface PublishDependencies extends LedgerDependencies {
  readonly artifacts: R2Bucket
  readonly config: KVNamespace
  readonly store: MarkDependencies["store"] & { readonly revisions: RevisionStore }
  readonly log: (record: LogRecord) => void
  readonly settings: { readonly passportIssuer: string }
}

export interface PublishedDocument {
  readonly row: RevisionRow
  /** The exact bytes, as text. */
  readonly text: string
}

const COPIES = "configs/"

/** R2 key of the lasting copy. */
export function documentKey(revision: number): string {
  return `${COPIES}${revision}.json`
}

/** What of a publication is not the rule. */
export interface PublishOptions {
  /** The document that the caller has just committed, to spare reading it. */
  readonly fresh?: PublishedDocument | null
  /** The revision that the caller waits for: it or any later one will do once KV refuses more. Default: the newest. */
  readonly atLeast?: number | null
  /** True when there is nothing to do for the newest revision. Default: it is noted as live; the schedule looks at KV itself. */
  readonly isInPlace?: (latest: RevisionRow) => Promise<boolean>
}

/**
 * Returns the newest live revision once KV's pointer has named that of the caller or a later one; null when nothing was ever published.
 * A registry that was set back behind KV is published under a number of its own (renumber.ts).
 * Throws `config.not-published` when KV or R2 refuse for several seconds and neither is live, and at once while a registry that was set back is in doubt.
 */
export async function publishLatest(deps: PublishDependencies, options: PublishOptions = {}): Promise<number | null> {
  const { fresh = null, atLeast = null, isInPlace = async (latest) => latest.liveAt !== null } = options
  // Also of one that is overtaken: each revision has its copy.
  const isFreshKept = fresh !== null && (await keepCopy(deps, fresh))
  let wrote: number | null = null
  let failures = 0
  for (let round = 0; round < MAX_ROUNDS && failures < MAX_FAILURES; round++) {
    const latest = await deps.store.revisions.latest()
    if (latest === null) return null
    // A slower publisher may have overwritten the pointer of a faster one: whoever wrote looks again whether it was the newest.
    if (latest.revision === wrote || (wrote === null && (await isInPlace(latest)))) return latest.revision
    try {
      const named = await readPointer(deps)
      const text =
        named !== null && (await isSetBackFrom(latest, named, deps.store.revisions))
          ? null
          : latest.digest === fresh?.row.digest && isFreshKept
            ? fresh.text
            : await readDocument(deps, latest)
      if (text === null) {
        await renumber(latest, { named, copy: await highestCopy(deps) }, deps)
        continue
      }
      await writeRevision(deps, latest, text)
      wrote = latest.revision
    } catch (failure) {
      if (failure instanceof RegistryInDoubt) throw failure
      failures++
      deps.log({ event: "publish.retry", revision: latest.revision, failures, error: String(failure) })
      // Who put no pointer back need not wait for changes of others: each has a publisher of its own, and all have the schedule.
      const live = wrote === null ? await liveSince(deps, atLeast) : null
      if (live !== null) return live
      await deps.wait(RETRY_MS)
    }
  }
  const live = await liveSince(deps, atLeast)
  if (live === null) throw refuse("config.not-published", { headers: { "retry-after": "60" } })
  return live
}

/** The newest revision that was live, if that is `atLeast` or later. */
async function liveSince(deps: PublishDependencies, atLeast: number | null): Promise<number | null> {
  const live = atLeast === null ? null : await deps.store.revisions.newestLive()
  return live !== null && live >= (atLeast ?? 0) ? live : null
}

/** What KV's pointer says of a revision. */
function pointerTo({ revision, digest, sizeBytes }: RevisionRow): ConfigPointer {
  return { revision, digest, sizeBytes }
}

/** Revision, pointer, and the note that it was done. */
async function writeRevision(deps: PublishDependencies, row: RevisionRow, text: string): Promise<void> {
  const pointer = configPointerSchema.parse(pointerTo(row))
  await deps.config.put(configKey(row.revision), text)
  await deps.config.put(CONFIG_POINTER_KEY, JSON.stringify(pointer))
  await deps.store.revisions.markLive(row.revision, deps.clock.now())
}

/** What KV names, at most {@link POINTER_CACHE_TTL_S} late; null when there is nothing, or nothing that a dispatcher could read. */
export async function readPointer({ config }: Pick<PublishDependencies, "config">): Promise<ConfigPointer | null> {
  const text = await config.get(CONFIG_POINTER_KEY, { type: "text", cacheTtl: POINTER_CACHE_TTL_S })
  try {
    return configPointerSchema.parse(JSON.parse(text ?? "null"))
  } catch {
    return null
  }
}

/** True unless the copy of another document stands under that number, which stays. One that cannot be made now counts as made. */
async function keepCopy(deps: PublishDependencies, { row, text }: PublishedDocument): Promise<boolean> {
  try {
    const key = documentKey(row.revision)
    if ((await deps.artifacts.put(key, text, { onlyIf: { etagDoesNotMatch: "*" } })) !== null) return true
    const standing = await deps.artifacts.get(key)
    return standing === null || (await sha256Hex(await standing.text())) === row.digest
  } catch (failure) {
    // The schedule makes it again from the registry as long as nothing newer was published, and then it is not needed.
    deps.log({ event: "publish.copy-failed", revision: row.revision, error: String(failure) })
    return true
  }
}

/** The highest number that a copy has, of whatever registry; 0 when there is none. Throws while R2 does not answer: no number is known to be free then. */
async function highestCopy({ artifacts }: PublishDependencies): Promise<number> {
  let highest = 0
  let cursor: string | undefined
  do {
    const page = await artifacts.list({ prefix: COPIES, ...(cursor === undefined ? {} : { cursor }) })
    for (const { key } of page.objects) {
      const revision = Number.parseInt(key.slice(COPIES.length), 10)
      if (key === documentKey(revision)) highest = Math.max(highest, revision)
    }
    cursor = page.truncated ? page.cursor : undefined
  } while (cursor !== undefined)
  return highest
}

/**
 * The document of the newest revision: its copy, or built again when the process ended before it was kept; null when the copy of another stands under its number: the registry was set back.
 * The registry is in the state that the revision was built from, because any change of it would have made a newer one. Throws when the builder itself has changed since.
 */
async function readDocument(deps: PublishDependencies, row: RevisionRow): Promise<string | null> {
  const copy = await deps.artifacts.get(documentKey(row.revision))
  if (copy !== null) {
    const text = await copy.text()
    return (await sha256Hex(text)) === row.digest ? text : null
  }
  const content = buildContent(await readRegistry(deps.db), deps.settings.passportIssuer)
  const built = documentOf(content, row.revision, row.publishedAt)
  if ((await sha256Hex(built)) !== row.digest) throw new Error(`revision ${row.revision} cannot be made again`)
  return (await keepCopy(deps, { row, text: built })) ? built : null
}
