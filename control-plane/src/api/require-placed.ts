/** Traffic may only be led to versions that are in the namespace. */
import { refuse } from "../../../kit/problem.ts"
import type { VersionRow, VersionState } from "../store/rows.ts"
import type { VersionStore } from "../store/versions.ts"

const WHOLE: ReadonlySet<VersionState> = new Set(["verified"])
/** What was whole there, and can be again without an upload. */
export const PLACEABLE: ReadonlySet<VersionState> = new Set(["verified", "retired"])

/** The versions' rows. Throws `api.body-invalid` with `pointerOf(index)` for a version that does not exist, `version.not-placed` for one of another state than `wanted`. */
export async function requirePlaced(
  script: string,
  versions: readonly number[],
  pointerOf: (index: number) => string,
  store: Pick<VersionStore, "get">,
  wanted: ReadonlySet<VersionState> = WHOLE,
): Promise<VersionRow[]> {
  const rows: VersionRow[] = []
  for (const [index, number] of versions.entries()) {
    const version = await store.get(script, number)
    if (version === null)
      throw refuse("api.body-invalid", {
        errors: [{ pointer: pointerOf(index), detail: `${script} has no version ${number}` }],
      })
    if (!wanted.has(version.state))
      throw refuse("version.not-placed", { errors: [{ pointer: pointerOf(index), detail: sayState(version) }] })
    rows.push(version)
  }
  return rows
}

function sayState({ script, number, state }: VersionRow): string {
  return state === "retired"
    ? `is retired: nothing used it, so that it was taken out of the namespace; \`sallyport pins create ${script} ${number}\` places it again`
    : `is ${state}`
}
