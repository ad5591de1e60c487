/**
 * For a registry that was set back, as D1 Time Travel does, while KV names a revision of after. Dispatchers take nothing older than what they have, and nothing else under a number
 * that they know: so what the registry says now is registered again, under a number that was never given out. Called by publish.ts, before it would put the pointer back.
 */
import type { ConfigPointer } from "../../../contracts/dispatch-config.ts"
import { Refusal } from "../../../kit/problem.ts"
import { SYSTEM } from "../actor.ts"
import type { LogRecord } from "../dependencies.ts"
import { isRemembered, type MarkDependencies, mayBeRemoving, readMark } from "../removal-mark.ts"
import { carryLater } from "../store/deployments.ts"
import { commit, type Decision, type LedgerDependencies } from "../store/ledger.ts"
import { readRegistry } from "../store/registry.ts"
import { distrustNamespace } from "../store/removals.ts"
import { insertRevision, RENUMBER, type RevisionRow, type RevisionStore } from "../store/revisions.ts"
import { buildContent } from "./build.ts"
import { makeRevision } from "./make-revision.ts"

export interface RenumberDependencies extends LedgerDependencies, MarkDependencies {
  readonly store: MarkDependencies["store"] & { readonly revisions: Pick<RevisionStore, "newestLive"> }
  readonly log: (record: LogRecord) => void
  readonly settings: { readonly passportIssuer: string }
}

/** True when `latest` must not be published over `named`: that has a later number, or the same with another content. */
export function isBehind(latest: RevisionRow, named: ConfigPointer): boolean {
  return latest.revision < named.revision || (latest.revision === named.revision && latest.digest !== named.digest)
}

/** What was recorded is not published: what is in force was not seen in the namespace since the registry was set back. */
export class RegistryInDoubt extends Refusal {
  constructor() {
    super("config.not-published", {
      headers: { "retry-after": "60" },
      detail:
        "The registry was set back to before versions were taken out of the namespace. The edge goes on with the config it has until all versions in force were seen there again; then this is published.",
    })
  }
}

/** True while KV names what this registry did not make, also when its own numbers are beyond that by now. */
export async function isSetBackFrom(
  latest: RevisionRow,
  named: ConfigPointer,
  revisions: Pick<RevisionStore, "get" | "isRenumberedAfter">,
): Promise<boolean> {
  if (isBehind(latest, named)) return true
  const ours = await revisions.get(named.revision)
  if (ours === null || ours.digest === named.digest) return false
  return !(await revisions.isRenumberedAfter(named.revision))
}

/** Numbers that were given out: what KV's pointer names, as far as it shows, and the highest copy in R2. */
export interface Taken {
  readonly named: ConfigPointer | null
  readonly copy: number
}

/**
 * Registers what the registry says under the number after all that are taken; deployments that only revisions without effect carried are then carried by it. Logs `publish.registry-set-back`.
 * Does nothing when `behind` is no longer the newest: then somebody made another meanwhile, and publishes that. Throws when what the registry says can no longer be loaded, and
 * {@link RegistryInDoubt} while it may lead to what is gone: here alone is a newer config left, which leads to what is there.
 */
export async function renumber(behind: RevisionRow, { named, copy }: Taken, deps: RenumberDependencies): Promise<void> {
  const mark = await readMark(deps)
  if (mayBeRemoving(mark, deps) || mark?.doubted === true || !(await isRemembered(mark, deps)))
    throw new RegistryInDoubt()
  const moved = await commit(deps, SYSTEM, async (): Promise<Decision<Moved | null>> => {
    const registry = await readRegistry(deps.db)
    const latest = registry.latestRevision
    if (latest?.revision !== behind.revision || latest.digest !== behind.digest)
      return { statements: [], audit: [], result: null }
    const action = RENUMBER
    const { row, faults } = await makeRevision(buildContent(registry, deps.settings.passportIssuer), {
      revision: Math.max(latest.revision, named?.revision ?? 0, copy) + 1,
      publishedAt: new Date(deps.clock.now()).toISOString(),
      publishedBy: SYSTEM.name,
      reason: action,
    })
    if (faults.length > 0) throw new Error(`the registry cannot be loaded: ${JSON.stringify(faults)}`)
    const live = await deps.store.revisions.newestLive()
    const detail = { registry: latest.revision, pointer: named?.revision ?? null, revision: row.revision }
    return {
      statements: [
        insertRevision(deps.db, row),
        carryLater(deps.db, live ?? 0, row.revision),
        // Edges may go by a config that names versions of which the registry has forgotten that anything leads there.
        ...distrustNamespace(deps.db, deps.clock.now()),
      ],
      audit: [{ action, target: "config", detail }],
      result: detail,
    }
  })
  if (moved !== null) deps.log({ event: "publish.registry-set-back", ...moved })
}

/** Numbers: the registry's newest, KV's as it was read, and the one taken. */
interface Moved {
  readonly registry: number
  readonly pointer: number | null
  readonly revision: number
}
