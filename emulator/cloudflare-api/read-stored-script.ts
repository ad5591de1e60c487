/** A script with all its bytes, as the namespace runs it. */
import type { StoredAsset, StoredModule, StoredScript } from "../namespace/stored-script.ts"
import type { Dependencies } from "./dependencies.ts"
import { findAsset } from "./store/assets.ts"
import { findNamespace } from "./store/namespaces.ts"
import { findScript, type ScriptDocument } from "./store/scripts.ts"

/** Asset files of a script by path, as the client's manifest named them. */
export type AssetManifest = Readonly<Record<string, { readonly hash: string; readonly size: number }>>

/** Null when the namespace or the script does not exist. */
export async function readStoredScript(
  namespace: string,
  name: string,
  deps: Dependencies,
): Promise<StoredScript | null> {
  const owner = findNamespace(deps.sql, namespace)
  const script = owner === null ? null : findScript(deps.sql, owner.id, name)
  if (owner === null || script === null) return null
  const [modules, assets] = await Promise.all([readModules(script, deps), readAssets(owner.id, script, deps)])
  return { etag: script.etag, metadata: script.metadata, modules, assets }
}

async function readModules(script: ScriptDocument, { blobs }: Dependencies): Promise<StoredModule[]> {
  return await Promise.all(
    script.modules.map(async ({ name, type, sha256 }) => ({ name, type, body: await blobs.get(sha256) })),
  )
}

async function readAssets(
  namespaceId: string,
  script: ScriptDocument,
  deps: Dependencies,
): Promise<StoredScript["assets"]> {
  if (script.assets === null) return null
  const manifest: Record<string, StoredAsset> = {}
  for (const [path, { hash, size }] of Object.entries(await readManifest(script.assets.manifest, deps)))
    manifest[path] = { hash, size, contentType: findAsset(deps.sql, namespaceId, hash)?.contentType ?? null }
  return { manifest, config: script.assets.config }
}

/** The manifest stored under its SHA-256. */
export async function readManifest(sha256: string, { blobs }: Pick<Dependencies, "blobs">): Promise<AssetManifest> {
  return JSON.parse(new TextDecoder().decode(await blobs.get(sha256))) as AssetManifest
}
