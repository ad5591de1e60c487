/**
 * The manifest of one version: everything that makes it what it is, so that it can be placed in any namespace again.
 * Content-addressed: the digest covers this document in canonical form, and the document names every file by its own digest.
 * Written once by the control plane into R2 next to the files, never changed.
 */

export type ModuleKind = "esm" | "cjs" | "text" | "data" | "wasm" | "sourcemap"

export interface ManifestModule {
  /** Name as imported, `/` allowed: the filename of the upload's part. */
  readonly name: string
  readonly kind: ModuleKind
  /** SHA-256 of the bytes, lower-case hex; also its R2 key below `blobs/`. */
  readonly sha256: string
  readonly sizeBytes: number
}

export interface ManifestAsset {
  /** URL path as uploaded, beginning with `/`. */
  readonly path: string
  /** The client's 32-hex asset hash. */
  readonly hash: string
  readonly sizeBytes: number
  /** SHA-256 of the bytes; also its R2 key below `blobs/`. */
  readonly sha256: string
  /** Content-Type to serve, or null for none. */
  readonly contentType: string | null
}

/** A binding as the team's upload may declare it; the allow-list is in control-plane/src/cloudflare-api/. */
export interface ManifestBinding {
  readonly type: string
  readonly name: string
  readonly [field: string]: unknown
}

export interface Manifest {
  readonly format: 1
  readonly script: string
  /** Null for an assets-only Worker. */
  readonly mainModule: string | null
  /** Sorted by name. */
  readonly modules: readonly ManifestModule[]
  /** Sorted by name. `PLATFORM` is not among them: it is injected when the version is placed. */
  readonly bindings: readonly ManifestBinding[]
  readonly compatibilityDate: string
  readonly compatibilityFlags: readonly string[]
  readonly assets: {
    readonly files: readonly ManifestAsset[]
    readonly config: Readonly<Record<string, unknown>>
  } | null
  /** Durable Object migrations or other settings on the allow-list, as uploaded. */
  readonly settings: Readonly<Record<string, unknown>>
}
