/**
 * Which classes of a script are Durable Objects after an upload, by imperative `migrations` or declared `exports`.
 * @see https://developers.cloudflare.com/durable-objects/reference/durable-objects-migrations/
 */
import { fail } from "../envelope.ts"

export interface DurableState {
  readonly classes: readonly string[]
  /** Tag of the last migration, or null. */
  readonly tag: string | null
}

interface MigrationStep {
  readonly new_classes?: readonly string[]
  readonly new_sqlite_classes?: readonly string[]
  readonly deleted_classes?: readonly string[]
  readonly renamed_classes?: readonly { readonly from: string; readonly to: string }[]
  readonly transferred_classes?: readonly { readonly from: string; readonly from_script: string; readonly to: string }[]
}

interface Migrations extends MigrationStep {
  readonly old_tag?: string
  readonly new_tag?: string
  readonly steps?: readonly MigrationStep[]
}

/** The lists that an upload with declared exports is answered with. */
export interface Reconciliation {
  readonly created: string[]
  readonly updated: string[]
  readonly deleted: string[]
  readonly renamed: { from: string; to: string }[]
  readonly transferred: never[]
  readonly transfer_pending: never[]
  readonly warnings: never[]
  readonly info: never[]
  readonly removable_entries: string[]
}

/** @throws ApiFailure migrationTag when `old_tag` is not the script's current tag. */
export function applyMigrations(state: DurableState, migrations: unknown): DurableState {
  if (migrations === null || typeof migrations !== "object") return state
  const { old_tag = "", new_tag, steps, ...single } = migrations as Migrations
  if (old_tag !== (state.tag ?? ""))
    throw fail("migrationTag", {
      message: `Actor migration tag precondition failed, got tag '${old_tag}' when expected tag is '${state.tag ?? ""}'.`,
    })
  const classes = (steps ?? [single]).reduce(applyStep, state.classes)
  return { classes: [...new Set(classes)], tag: new_tag ?? state.tag }
}

/** @throws ApiFailure exportsUnreconciled when a declared Durable Object is not a class of the code (`exported`; null: not known). */
export function reconcileExports(
  classes: readonly string[],
  declared: unknown,
  exported: readonly string[] | null,
): { classes: string[]; reconciliation: Reconciliation } | null {
  if (declared === null || typeof declared !== "object") return null
  const entries = Object.entries(declared as Record<string, { type?: string; state?: string; renamed_to?: string }>)
  const objects = entries.filter(([, { type }]) => type === "durable-object")
  const inState = (...states: string[]) => objects.filter(([, entry]) => states.includes(entry.state ?? "created"))
  const details = inState("created")
    .filter(([name]) => exported !== null && !exported.includes(name))
    .map(([name]) => ({
      class: name,
      scenario: "config_export_not_in_code",
      message: `Class '${name}' is declared but not exported by the code.`,
    }))
  if (details.length > 0) throw fail("exportsUnreconciled", { meta: { details } })
  const live = inState("created", "expecting-transfer").map(([name]) => name)
  const deleted = inState("deleted")
    .map(([name]) => name)
    .filter((name) => classes.includes(name))
  const renamed = inState("renamed").map(([from, { renamed_to = "" }]) => ({ from, to: renamed_to }))
  const created = live.filter((name) => !classes.includes(name) && !renamed.some(({ to }) => to === name))
  const gone = new Set([...deleted, ...renamed.map(({ from }) => from)])
  return {
    classes: [...new Set([...classes.filter((name) => !gone.has(name)), ...live])],
    reconciliation: {
      created,
      updated: [],
      deleted,
      renamed,
      transferred: [],
      transfer_pending: [],
      warnings: [],
      info: [],
      removable_entries: [],
    },
  }
}

function applyStep(classes: readonly string[], step: MigrationStep): readonly string[] {
  const renames = new Map((step.renamed_classes ?? []).map(({ from, to }) => [from, to]))
  const deleted = new Set(step.deleted_classes ?? [])
  return [
    ...classes.filter((name) => !deleted.has(name)).map((name) => renames.get(name) ?? name),
    ...(step.new_classes ?? []),
    ...(step.new_sqlite_classes ?? []),
    ...(step.transferred_classes ?? []).map(({ to }) => to),
  ]
}
