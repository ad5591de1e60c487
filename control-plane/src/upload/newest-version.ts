/** The version that stands for a script where no version is named: shown at the doors, and what an upload may keep bindings of. */
import type { Manifest } from "../../../contracts/manifest.ts"
import type { Dependencies } from "../dependencies.ts"
import type { ScriptRow, VersionRow } from "../store/rows.ts"
import { artifactStore } from "./artifact-store.ts"

export interface NewestVersion {
  readonly script: ScriptRow
  readonly version: VersionRow
  readonly manifest: Manifest
}

type NewestDependencies = Pick<Dependencies, "store" | "artifacts">

/** Versions that are looked through at once; all but the first are there only after failures. */
const PAGE = 20

/** The newest version that was stored completely, and that `counts`; null when there is none. */
export async function findNewest(
  script: ScriptRow,
  { store, artifacts }: NewestDependencies,
  counts: (version: VersionRow) => boolean = () => true,
): Promise<NewestVersion | null> {
  let cursor: string | undefined
  do {
    const page = await store.versions.list(script.name, { limit: PAGE, cursor })
    for (const version of page.items.filter(counts)) {
      const manifest = await artifactStore(artifacts).readManifest(script.name, version.number, version.digest)
      if (manifest !== null) return { script, version, manifest }
    }
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  return null
}

/**
 * The newest version of which an upload may keep bindings, or null. Not one that Cloudflare refused: what was wrong with it may be what it declares.
 * Nor one of before the script was deleted, unless it has traffic again. What an earlier team had is gone with its versions.
 */
export async function findKept(script: ScriptRow, deps: NewestDependencies): Promise<NewestVersion | null> {
  if (script.deletedAt !== null) return null
  const current = await deps.store.deployments.current(script.name)
  const inForce = new Set(current?.releases.map((each) => each.version))
  return await findNewest(
    script,
    deps,
    ({ number, state, createdAt }) => state !== "failed" && (createdAt >= script.createdAt || inForce.has(number)),
  )
}
