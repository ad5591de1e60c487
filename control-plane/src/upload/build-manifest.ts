/**
 * From a screened upload to the manifest that is the version's identity: sorted, without boundary, part order, annotations or readable secrets,
 * so that the same content is always the same document. Called by the doors before anything is written.
 */
import type { Manifest, ManifestAsset, ManifestBinding, ManifestModule } from "../../../contracts/manifest.ts"
import { type PointedError, refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { type Blob, digestOf, sizeOf } from "./artifact-store.ts"
import type { UploadModule } from "./read-upload.ts"
import { grantsNeeded } from "./screen-bindings.ts"
import type { Declaration } from "./screen-metadata.ts"
import type { SecretSeal } from "./seal-secret.ts"

/** A version that has not been recorded yet. */
export interface Upload {
  readonly script: string
  readonly manifest: Manifest
  /** Of the manifest; equal digests are the same version. */
  readonly digest: string
  readonly sizeBytes: number
  /** The `resource:` grants that its bindings use. */
  readonly needs: readonly string[]
  /** The modules' bytes; assets are in the store already. */
  readonly blobs: readonly Blob[]
  readonly message: string | null
  readonly tag: string | null
}

export interface Parts {
  readonly script: string
  readonly declaration: Declaration
  readonly modules: readonly UploadModule[]
  /** Redeemed from the asset session; null when the upload names none. */
  readonly assets: readonly ManifestAsset[] | null
}

/** Throws `upload.malformed` when modules and metadata do not fit together, and `upload.metadata-refused` for secrets that cannot be kept. */
export async function buildManifest(parts: Parts, seal: SecretSeal): Promise<Upload> {
  const { script, declaration } = parts
  refuseMisfit(parts)
  await refuseLost(script, declaration.bindings, seal)
  const blobs: Blob[] = []
  const modules: ManifestModule[] = []
  for (const { name, kind, bytes } of parts.modules) {
    const sha256 = await sha256Hex(bytes)
    blobs.push({ sha256, bytes })
    modules.push({ name, kind, sha256, sizeBytes: bytes.byteLength })
  }
  const manifest: Manifest = {
    format: 1,
    script,
    mainModule: declaration.mainModule,
    modules: modules.sort(byName),
    bindings: await Promise.all(declaration.bindings.map((each) => seal.seal(script, each))),
    compatibilityDate: declaration.compatibilityDate,
    compatibilityFlags: declaration.compatibilityFlags,
    assets: parts.assets === null ? null : { files: parts.assets, config: declaration.assets?.config ?? {} },
    settings: declaration.settings,
  }
  const digest = await digestOf(manifest)
  const { message, tag } = declaration
  const needs = grantsNeeded(declaration.bindings)
  return { script, manifest, digest, sizeBytes: sizeOf(manifest), needs, blobs, message, tag }
}

function refuseMisfit({ declaration, modules, assets }: Parts): void {
  const errors: PointedError[] = []
  const { mainModule, bindings } = declaration
  if (mainModule === null) {
    if (assets === null) errors.push({ pointer: "/main_module", detail: "is needed unless the upload has assets only" })
    if (modules.length > 0) errors.push({ pointer: "/main_module", detail: "is needed when there are modules" })
    if (bindings.length > 0) errors.push({ pointer: "/bindings", detail: "serve no one in an upload of assets only" })
  } else {
    const main = modules.find((each) => each.name === mainModule)
    if (main === undefined) errors.push({ pointer: "/main_module", detail: `there is no module called ${mainModule}` })
    else if (main.kind !== "esm")
      errors.push({ pointer: "/main_module", detail: "must be an ES module (application/javascript+module)" })
  }
  const index = bindings.findIndex((each) => each.type === "assets")
  if (index !== -1 && assets === null)
    errors.push({ pointer: "/bindings", detail: "an assets binding needs assets to be uploaded" })
  if (errors.length > 0) throw refuse("upload.malformed", { errors })
}

/** A kept secret that was sealed under another key would make a version that can never be placed. */
async function refuseLost(script: string, bindings: readonly ManifestBinding[], seal: SecretSeal): Promise<void> {
  const errors: PointedError[] = []
  for (const binding of bindings.filter((each) => "sealed" in each))
    await seal.open(script, binding).catch(() => {
      const detail = `${binding.name} cannot be kept: it was stored under another ARTIFACT_KEY. Send it with --secrets-file`
      errors.push({ pointer: "/keep_bindings", detail })
    })
  if (errors.length > 0) throw refuse("upload.metadata-refused", { errors })
}

function byName(a: ManifestModule, b: ManifestModule): number {
  return a.name < b.name ? -1 : 1
}
