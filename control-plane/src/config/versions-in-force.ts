/**
 * Versions that a change gives traffic or takes it from: of a script by its deployment, of a route by weights of its own. Called by change.ts, inside the change, for whatever it changes: so nothing
 * leads to a version that is not in the namespace, however it was retired meanwhile, and when each was last used is known.
 */
import { refuse } from "../../../kit/problem.ts"
import type { LogRecord } from "../dependencies.ts"
import { isRemembered, type MarkDependencies, MarkMalformed, readMark } from "../removal-mark.ts"
import type { Edit, Registry } from "../store/registry.ts"
import { touchVersions } from "../store/removals.ts"
import type { RawRow } from "../store/rows.ts"

interface Named {
  readonly script: string
  readonly releases?: readonly { readonly version: number }[] | undefined
}

export interface AdmissionDependencies extends MarkDependencies {
  readonly log: (record: LogRecord) => void
}

/** Numbers by script. */
type Versions = Map<string, Set<number>>

/**
 * Refuses to lead to what is not known to be whole in the namespace: `api.busy`, since placing it may be under way or begin again, so that a deployment that was begun is not ended by it, and
 * `version.unknown`; `api.busy` also while the registry has forgotten a removal, and so does not know what is whole. What is named already passes: a kill switch must work whatever has become of a version. Answers the statements that mark what gets or loses traffic.
 */
export async function admitVersions(
  registry: Registry,
  edits: readonly Edit[],
  deps: AdmissionDependencies,
): Promise<readonly D1PreparedStatement[]> {
  const { db, clock } = deps
  const entering: Versions = new Map()
  const moving: Versions = new Map()
  for (const edit of edits) {
    const [before, after] = [namedBefore(registry, edit), namedAfter(edit)]
    for (const [script, number] of without(after, before)) {
      add(entering, script, number)
      add(moving, script, number)
    }
    for (const [script, number] of without(before, after)) add(moving, script, number)
  }
  if (entering.size > 0) await requireMemory(deps)
  for (const [script, numbers] of entering) await requireWhole(script, numbers, db)
  return [...moving].map(([script, numbers]) => touchVersions(db, script, [...numbers], clock.now()))
}

/** A rollback does not hang on R2: without an answer the registry counts as not set back. */
async function requireMemory(deps: AdmissionDependencies): Promise<void> {
  const mark = await readMark(deps).catch((failure: unknown) => {
    if (failure instanceof MarkMalformed) throw failure
    deps.log({ event: "version.mark-unread", error: String(failure) })
    return null
  })
  if (await isRemembered(mark, deps)) return
  throw refuse("api.busy", {
    headers: { "retry-after": "60" },
    detail:
      "The registry was set back to before versions were taken out of the namespace: nothing more is led to any before the schedule has seen to that. A deployment comes into force by itself then.",
  })
}

async function requireWhole(script: string, numbers: ReadonlySet<number>, db: D1Database): Promise<void> {
  const { results } = await db
    .prepare("SELECT number, state FROM versions WHERE script = ? AND number IN (SELECT value FROM json_each(?))")
    .bind(script, JSON.stringify([...numbers]))
    .all<RawRow>()
  const states = new Map(results.map(({ number, state }) => [Number(number), String(state)]))
  for (const number of numbers) {
    const state = states.get(number)
    if (state === undefined) throw refuse("version.unknown", { detail: `${script} has no version ${number}.` })
    if (state !== "verified")
      throw refuse("api.busy", {
        headers: { "retry-after": "1" },
        detail: `Version ${number} of ${script} is ${state} and not known to be whole in the namespace: nothing is led there before it is.`,
      })
  }
}

function namedBefore(registry: Registry, edit: Edit): Named | undefined {
  if (edit.table === "current") return registry.current.get("remove" in edit ? edit.remove : edit.put.script)
  if (edit.table === "routes") return registry.routes.get("remove" in edit ? edit.remove : edit.put.id)
  return undefined
}

function namedAfter(edit: Edit): Named | undefined {
  return (edit.table === "current" || edit.table === "routes") && "put" in edit ? edit.put : undefined
}

/** What `named` names and `other` does not, as script and number. */
function without(named: Named | undefined, other: Named | undefined): [string, number][] {
  const names = (version: number) =>
    other?.script === named?.script && other?.releases?.some((each) => each.version === version) === true
  return (named?.releases ?? [])
    .filter(({ version }) => !names(version))
    .map(({ version }) => [named?.script ?? "", version])
}

function add(versions: Versions, script: string, number: number): void {
  const numbers = versions.get(script)
  if (numbers === undefined) versions.set(script, new Set([number]))
  else numbers.add(number)
}
