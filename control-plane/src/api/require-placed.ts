/** Traffic may only be led to versions that are in the namespace. */
import { refuse } from "../../../kit/problem.ts"
import type { VersionRow } from "../store/rows.ts"
import type { VersionStore } from "../store/versions.ts"

/** The versions' rows. Throws `api.body-invalid` with `pointerOf(index)` for a version that does not exist, `version.not-placed` for one that is recorded or failed. */
export async function requirePlaced(
  script: string,
  versions: readonly number[],
  pointerOf: (index: number) => string,
  store: Pick<VersionStore, "get">,
): Promise<VersionRow[]> {
  const rows: VersionRow[] = []
  for (const [index, number] of versions.entries()) {
    const version = await store.get(script, number)
    if (version === null)
      throw refuse("api.body-invalid", {
        errors: [{ pointer: pointerOf(index), detail: `${script} has no version ${number}` }],
      })
    if (version.state === "recorded" || version.state === "failed")
      throw refuse("version.not-placed", { errors: [{ pointer: pointerOf(index), detail: `is ${version.state}` }] })
    rows.push(version)
  }
  return rows
}
