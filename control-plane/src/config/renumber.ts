/**
 * For a registry that was set back, as D1 Time Travel does, while KV names a revision of after. Dispatchers take nothing older than what they have, and nothing else under a number
 * that they know: so what the registry says now is registered again, under the number after KV's. Called by publish.ts, before it would put the pointer back.
 */
import type { ConfigPointer } from "../../../contracts/dispatch-config.ts"
import { SYSTEM } from "../actor.ts"
import type { LogRecord } from "../dependencies.ts"
import { commit, type Decision, type LedgerDependencies } from "../store/ledger.ts"
import { readRegistry } from "../store/registry.ts"
import { insertRevision, type RevisionRow } from "../store/revisions.ts"
import { buildContent } from "./build.ts"
import { makeRevision } from "./make-revision.ts"

export interface RenumberDependencies extends LedgerDependencies {
  readonly log: (record: LogRecord) => void
  readonly settings: { readonly passportIssuer: string }
}

/** True when `latest` must not be published over `named`: that has a later number, or the same with another content. */
export function isBehind(latest: RevisionRow, named: ConfigPointer): boolean {
  return latest.revision < named.revision || (latest.revision === named.revision && latest.digest !== named.digest)
}

/**
 * Registers what the registry says under the number after `named`, which was read from KV before; logs `publish.registry-set-back`. Does nothing when the registry knows `named`
 * or a later one: then somebody only published meanwhile. Throws when what it says can no longer be loaded.
 */
export async function renumber(named: ConfigPointer, deps: RenumberDependencies): Promise<void> {
  const moved = await commit(deps, SYSTEM, async (): Promise<Decision<Moved | null>> => {
    const registry = await readRegistry(deps.db)
    const latest = registry.latestRevision
    if (latest === null || !isBehind(latest, named)) return { statements: [], audit: [], result: null }
    const action = "config.renumber"
    const { row, faults } = await makeRevision(buildContent(registry, deps.settings.passportIssuer), {
      revision: named.revision + 1,
      publishedAt: new Date(deps.clock.now()).toISOString(),
      publishedBy: SYSTEM.name,
      reason: action,
    })
    if (faults.length > 0) throw new Error(`the registry cannot be loaded: ${JSON.stringify(faults)}`)
    const detail = { registry: latest.revision, pointer: named.revision, revision: row.revision }
    return {
      statements: [insertRevision(deps.db, row)],
      audit: [{ action, target: "config", detail }],
      result: detail,
    }
  })
  if (moved !== null) deps.log({ event: "publish.registry-set-back", ...moved })
}

/** Numbers: the registry's newest, KV's, and the one taken. */
interface Moved {
  readonly registry: number
  readonly pointer: number
  readonly revision: number
}
