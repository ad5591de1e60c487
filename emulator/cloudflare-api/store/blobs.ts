/** Bytes in R2: `blobs/{sha256}` by content, `assets/{namespace id}/{client's hash}` by name. Nothing is ever removed: a laptop's disk is large enough. */
import { sha256Hex } from "../sha256.ts"

export interface BlobStore {
  /** Stores by content and answers the SHA-256 in hex; equal bytes are stored once. */
  put(bytes: Uint8Array): Promise<string>
  get(sha256: string): Promise<ArrayBuffer>
  putAsset(namespaceId: string, hash: string, bytes: Uint8Array): Promise<void>
  getAsset(namespaceId: string, hash: string): Promise<ArrayBuffer | null>
}

export function blobStore(bucket: R2Bucket): BlobStore {
  return {
    async put(bytes) {
      const sha256 = await sha256Hex(bytes)
      if ((await bucket.head(`blobs/${sha256}`)) === null) await bucket.put(`blobs/${sha256}`, bytes)
      return sha256
    },
    async get(sha256) {
      const object = await bucket.get(`blobs/${sha256}`)
      if (object === null) throw new Error(`Blob ${sha256} is missing`)
      return await object.arrayBuffer()
    },
    async putAsset(namespaceId, hash, bytes) {
      await bucket.put(`assets/${namespaceId}/${hash}`, bytes)
    },
    async getAsset(namespaceId, hash) {
      const object = await bucket.get(`assets/${namespaceId}/${hash}`)
      return object === null ? null : await object.arrayBuffer()
    },
  }
}
