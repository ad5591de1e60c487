/**
 * What the example stores offer alike: presigned uploads by plain HTTP, and a look inside for tests. Each file beside this one runs a store of
 * another cloud on this machine. They stand for what lies behind the edge, so they check signatures, lengths and digests themselves.
 */

/** One HTTP request that stores one object: sent as it is, with these headers and exactly the bytes announced. */
export interface PutTarget {
  readonly url: string
  readonly method: "PUT"
  /** Lower-case names. All of them are to be sent; some are signed. */
  readonly headers: Readonly<Record<string, string>>
}

export interface PresignOptions {
  readonly contentLength: number
  readonly contentType: string
  /** Lower-case hex, or null when not known. A store that can check it, does. */
  readonly sha256: string | null
  /** Lower-case hex, or null when not known. A store that can check it, does. */
  readonly md5: string | null
  /** Seconds from now, at least 1. */
  readonly expiresS: number
}

export interface StoreOptions {
  /** Of its origin, on 127.0.0.1; default any free one. */
  readonly port?: number
  /** Unix milliseconds; default the clock of this machine. S3 and Azure sign by it and check by their own, GCS checks by it. */
  readonly now?: () => number
}

export interface ObjectStore extends AsyncDisposable {
  readonly kind: "s3" | "azure" | "gcs"
  /** Origin of its URLs: `http://127.0.0.1:port`. */
  readonly origin: string
  /** A presigned PUT for exactly this object. */
  presignPut(key: string, options: PresignOptions): Promise<PutTarget>
  /** The object's bytes, or null when there is none. */
  read(key: string): Promise<Uint8Array | null>
  /** Of all whole objects, sorted. */
  keys(): Promise<readonly string[]>
  /** Connections with an upload under way. */
  openUploads(): number
  close(): Promise<void>
}
