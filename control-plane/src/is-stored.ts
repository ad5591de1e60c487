/** Whether a version that is to leave the namespace can be placed again: its manifest, its files and its secrets are asked for, in R2 alone. For retire-versions.ts. */
import type { Dependencies } from "./dependencies.ts"
import type { VersionRow } from "./store/rows.ts"
import { artifactStore, ManifestChanged } from "./upload/artifact-store.ts"
import { secretSeal } from "./upload/seal-secret.ts"

/** Files of one version that are asked for, modules first: a run has twenty versions and 10,000 calls, and a version may have 20,000 files. */
export const FILES_ASKED_FOR = 250

/** Throws what R2 throws: that it does not answer says nothing of what it has. */
export async function isStored(
  { script, number, digest }: Pick<VersionRow, "script" | "number" | "digest">,
  { artifacts, settings }: Pick<Dependencies, "artifacts" | "settings">,
): Promise<boolean> {
  const stored = artifactStore(artifacts)
  const manifest = await stored.readManifest(script, number, digest).catch((failure: unknown) => {
    if (failure instanceof ManifestChanged) return null
    throw failure
  })
  if (manifest === null) return false
  const seal = secretSeal(settings.artifactKey)
  const opens = manifest.bindings.map((binding) =>
    seal.open(script, binding).then(
      () => true,
      () => false,
    ),
  )
  const files = [...manifest.modules, ...(manifest.assets?.files ?? [])].slice(0, FILES_ASKED_FOR)
  const found = await Promise.all([...opens, ...files.map(({ sha256 }) => stored.hasBlob(sha256))])
  return found.every(Boolean)
}
