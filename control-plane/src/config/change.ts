/**
 * The one way in which anything that the dispatch config is made of changes: read the whole, let the operation decide, build the config that would be,
 * refuse if it is invalid, commit the change with its audit record and the new revision in one batch, then publish.
 * Nothing is written before the config is known to be good, and nothing is published that is not written.
 */
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { type AuditEntry, commit, type Decision } from "../store/ledger.ts"
import { applyEdits, type Edit, isInPlace, type Registry, readRegistry, statementsOf } from "../store/registry.ts"
import { insertRevision, type RevisionRow } from "../store/revisions.ts"
import { buildContent, type ConfigContent } from "./build.ts"
import { faultsOfChange } from "./faults-of-change.ts"
import { makeRevision } from "./make-revision.ts"
import { type PublishDependencies, type PublishedDocument, publishLatest } from "./publish.ts"
import { admitSize } from "./quota.ts"
import { admitVersions } from "./versions-in-force.ts"

/** What an operation decided on the registry it was given. Without edits and statements nothing is written. */
export interface Change<T> {
  readonly edits: readonly Edit[]
  /** Statements on rows that the config is not made of; `revision` is the one that will carry the change. */
  readonly statements?: (revision: number | null) => readonly D1PreparedStatement[]
  readonly audit: AuditEntry
  readonly result: T
  /** JSON pointer to where the body of the request stands in the config that would be, for what is wrong with it there. Absent: nowhere. */
  readonly bodyAt?: (content: ConfigContent) => string
}

export interface ChangeOptions {
  /** Everything but the effect. */
  readonly dryRun?: boolean
}

export interface Changed<T> {
  readonly result: T
  /** The revision in force afterwards; null before the first. In a dry run the one that is in force now. */
  readonly revision: number | null
}

/**
 * Runs `decide`, perhaps several times, on a consistent registry. Answers when KV names a revision that carries the change.
 * Throws `config.invalid` with pointers into the body of the request, `route.quota-exceeded`, `config.nearly-full`, `api.busy` (also when it would lead to a version that is not whole in the namespace), `config.not-published` (the change is recorded and will be published), and whatever `decide` throws.
 */
export async function change<T>(
  deps: PublishDependencies,
  actor: Actor,
  decide: (registry: Registry) => Change<T> | Promise<Change<T>>,
  options: ChangeOptions = {},
): Promise<Changed<T>> {
  const committed = await commit(deps, actor, async (): Promise<Decision<Committed<T>>> => {
    const registry = await readRegistry(deps.db)
    const decided = await decide(registry)
    // What already is as it is to be is not written again, and leaves no record of a change that was none.
    const edits = decided.edits.filter((edit) => !isInPlace(registry, edit))
    const next = applyEdits(registry, edits)
    const content = buildContent(next, deps.settings.passportIssuer)
    const document = await nextDocument(content, registry.latestRevision, decided, actor, deps)
    if (document !== null) admitSize(registry, next, document.row.sizeBytes, actor)
    const revision = document?.row.revision ?? registry.latestRevision?.revision ?? null
    const used = await admitVersions(registry, edits, deps)
    const statements = [
      ...used,
      ...edits.flatMap((edit) => statementsOf(deps.db, edit)),
      ...(decided.statements?.(revision) ?? []),
      ...(document === null ? [] : [insertRevision(deps.db, document.row)]),
    ]
    const result = { result: decided.result, revision, document }
    if (options.dryRun === true)
      return {
        statements: [],
        audit: [],
        result: { ...result, revision: registry.latestRevision?.revision ?? null },
      }
    return { statements, audit: statements.length === 0 ? [] : [decided.audit], result }
  })
  if (options.dryRun === true) return committed
  const live = await publishLatest(deps, { fresh: committed.document, atLeast: committed.revision })
  return { result: committed.result, revision: live ?? committed.revision }
}

interface Committed<T> extends Changed<T> {
  readonly document: PublishedDocument | null
}

/** The document of the next revision, known to be valid; null when it would say the same as the last. */
async function nextDocument(
  content: ConfigContent,
  last: RevisionRow | null,
  decided: Change<unknown>,
  actor: Actor,
  deps: PublishDependencies,
): Promise<PublishedDocument | null> {
  const contentDigest = await sha256Hex(canonicalJson(content))
  if (contentDigest === last?.contentDigest) return null
  const revision = (last?.revision ?? 0) + 1
  const publishedAt = new Date(deps.clock.now()).toISOString()
  const named = { revision, publishedAt, publishedBy: actor.name, reason: decided.audit.action }
  const { row, text, faults } = await makeRevision(content, named)
  if (faults.length > 0)
    throw refuse("config.invalid", { errors: faultsOfChange(faults, decided.bodyAt?.(content) ?? null, actor) })
  return { row, text }
}

/**
 * Publishes what the registry says if no revision says so yet: after a change of the builder or of a setting, or to make sure. Throws as {@link change}.
 * Operations have no need of it: {@link change} publishes.
 */
export async function publishConfig(
  reason: string,
  actor: Actor,
  deps: PublishDependencies,
): Promise<{ revision: number }> {
  const audit = { action: "config.publish", target: "config", detail: { reason } }
  const { revision } = await change(deps, actor, () => ({ edits: [], audit, result: null }))
  if (revision === null) throw new Error("a registry without a config")
  return { revision }
}
