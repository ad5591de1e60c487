/**
 * The shapes that cross between the local Cloudflare API, which stores scripts, and the local dispatch namespace, which runs them.
 * Types only. The API implements {@link ScriptStore} as an RPC entrypoint and calls {@link NamespaceMemoryApi} after each write.
 */

/** One binding of an uploaded script as it stood in the upload's metadata; secrets set later are merged in as `secret_text`. */
export interface StoredBinding {
  readonly type: string
  readonly name: string
  readonly [field: string]: unknown
}

/** The `metadata` part of an upload, parsed; unknown keys are kept. `main_module` and `body_part` are both absent for an assets-only Worker. */
export interface UploadMetadata {
  readonly main_module?: string
  readonly body_part?: string
  /** `YYYY-MM-DD`. */
  readonly compatibility_date?: string
  readonly compatibility_flags?: readonly string[]
  readonly bindings?: readonly StoredBinding[]
  readonly migrations?: unknown
  readonly exports?: unknown
  readonly tags?: readonly string[]
  readonly [field: string]: unknown
}

export interface StoredModule {
  /** Name as imported: the filename of the upload's part. */
  readonly name: string
  /** The part's Content-Type, such as `application/javascript+module`. */
  readonly type: string
  readonly body: ArrayBuffer
}

export interface StoredAsset {
  /** The client's 32-hex hash; key of {@link ScriptStore.getAsset}. */
  readonly hash: string
  /** Bytes. */
  readonly size: number
  /** Content-Type to serve, or null for none. */
  readonly contentType: string | null
}

export interface StoredScript {
  /** Hash over code, configuration and assets: equal etags mean equal behaviour. */
  readonly etag: string
  readonly metadata: UploadMetadata
  readonly modules: readonly StoredModule[]
  readonly assets: {
    /** By URL path as uploaded, beginning with `/`. */
    readonly manifest: Readonly<Record<string, StoredAsset>>
    /** `html_handling`, `not_found_handling`, `run_worker_first`, `_headers`, `_redirects`, as uploaded. */
    readonly config: Readonly<Record<string, unknown>>
  } | null
}

/** Read side of the local Cloudflare API; what it answers is complete or null, never half an upload. */
export interface ScriptStore {
  getScript(namespace: string, name: string): Promise<StoredScript | null>
  getAsset(namespace: string, hash: string): Promise<{ body: ArrayBuffer; contentType: string | null } | null>
}

/** Entrypoint `NamespaceMemory` of the dispatcher's isolate. */
export interface NamespaceMemoryApi {
  /** Forgets what the namespace remembers of a script; awaited by the API before it answers a write. */
  changed(namespace: string, name: string): Promise<void>
}
