/**
 * What versions are made of, in R2: `blobs/{sha256}` and `manifests/{script}/{number}.json`, each written once and never changed.
 * A manifest is written after all that it names, so its presence says that the version is complete.
 */
import type { Manifest } from "../../../contracts/manifest.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { canonicalJson } from "../canonical-json.ts"

export interface Blob {
  readonly sha256: string
  readonly bytes: Uint8Array
}

export interface ArtifactStore {
  /** Idempotent; what is there already is not sent again. */
  putBlob(blob: Blob): Promise<void>
  hasBlob(sha256: string): Promise<boolean>
  /** Throws when it is not there: a manifest promised it. */
  readBlob(sha256: string): Promise<ArrayBuffer>
  /** Idempotent. `digest` is checked. */
  putManifest(version: number, manifest: Manifest, digest: string): Promise<void>
  /** Null when the version's artifacts were never stored completely. Throws when the stored text no longer has `digest`. */
  readManifest(script: string, version: number, digest: string): Promise<Manifest | null>
}

/** What is stored is not what was put: the version cannot be placed, and nothing of it can be believed. */
export class ManifestChanged extends Error {
  override readonly name = "ManifestChanged"
}

export function artifactStore(bucket: R2Bucket): ArtifactStore {
  return {
    async putBlob({ sha256, bytes }) {
      const key = `blobs/${sha256}`
      if ((await bucket.head(key)) !== null) return
      // R2 compares the checksum itself and stores nothing when it differs.
      await bucket.put(key, bytes, { sha256 })
    },
    async hasBlob(sha256) {
      return (await bucket.head(`blobs/${sha256}`)) !== null
    },
    async readBlob(sha256) {
      const found = await bucket.get(`blobs/${sha256}`)
      if (found === null) throw new Error(`no blob ${sha256}`)
      return await found.arrayBuffer()
    },
    async putManifest(version, manifest, digest) {
      const text = canonicalJson(manifest)
      await bucket.put(manifestKey(manifest.script, version), text, {
        sha256: digest,
        httpMetadata: { contentType: "application/json" },
      })
    },
    async readManifest(script, version, digest) {
      const found = await bucket.get(manifestKey(script, version))
      if (found === null) return null
      const text = await found.text()
      if ((await sha256Hex(text)) !== digest) throw new ManifestChanged(`manifest of ${script} ${version} was changed`)
      return JSON.parse(text)
    },
  }
}

function manifestKey(script: string, version: number): string {
  return `manifests/${script}/${version}.json`
}

/** The version's identity: SHA-256 over the canonical text that is stored. */
export function digestOf(manifest: Manifest): Promise<string> {
  return sha256Hex(canonicalJson(manifest))
}

/** Bytes of all files, assets included. */
export function sizeOf(manifest: Manifest): number {
  const files = [...manifest.modules, ...(manifest.assets?.files ?? [])]
  return files.reduce((sum, each) => sum + each.sizeBytes, 0)
}
