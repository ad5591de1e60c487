/**
 * S3: Cloudflare's own R2 on this machine with its S3 door, which checks SigV4 signatures and their expiry, reached by URLs that aws4fetch signs.
 * All headers are signed, the length too. Unlike AWS, the local R2 does not look at `x-amz-checksum-sha256`; it checks `content-md5`.
 */
import { randomBytes } from "node:crypto"
import { AwsV4Signer } from "aws4fetch"
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import type { ObjectStore, StoreOptions } from "./object-store.ts"
import { startUploadFront } from "./upload-front.ts"

const BUCKET = "uploads"
/** Where Miniflare serves R2's S3 API. */
const S3_PATH = "/cdn-cgi/local/r2/s3"

/** Starts a workerd with one R2 bucket behind a port of 127.0.0.1; what is stored is gone when it is closed. */
export async function startS3Store({ port = 0, now = Date.now }: StoreOptions = {}): Promise<ObjectStore> {
  const credentials = {
    accessKeyId: randomBytes(10).toString("hex"),
    secretAccessKey: randomBytes(30).toString("base64url"),
  }
  const options = {
    host: "127.0.0.1",
    port: 0,
    // Otherwise Miniflare asks the internet for an example of `request.cf`.
    cf: false,
    name: "store",
    modules: true,
    script: "export default { fetch: () => new Response(null, { status: 404 }) }",
    compatibilityDate: "2026-10-01",
    r2Buckets: { UPLOADS: { id: BUCKET, s3Credentials: credentials } },
  }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions(options as V4MiniflareOptions),
    log: new Log(LogLevel.NONE),
  })
  const ready = await miniflare.ready
  const front = await startUploadFront(ready.origin, port)
  const bucket = await miniflare.getR2Bucket("UPLOADS")
  const close = () => front.close().then(() => miniflare.dispose())
  return {
    kind: "s3",
    origin: front.origin,
    presignPut: async (key, { contentLength, contentType, sha256, md5, expiresS }) => {
      const headers = {
        "content-length": String(contentLength),
        "content-type": contentType,
        ...(sha256 === null ? {} : { "x-amz-checksum-sha256": Buffer.from(sha256, "hex").toString("base64") }),
        ...(md5 === null ? {} : { "content-md5": Buffer.from(md5, "hex").toString("base64") }),
      }
      const url = new URL(`${front.origin}${S3_PATH}/${BUCKET}/${key.split("/").map(encodeURIComponent).join("/")}`)
      url.searchParams.set("X-Amz-Expires", String(expiresS))
      const signer = new AwsV4Signer({
        ...credentials,
        service: "s3",
        region: "auto",
        method: "PUT",
        url: url.href,
        headers,
        datetime: new Date(now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
        signQuery: true,
        allHeaders: true,
      })
      return { url: (await signer.sign()).url.href, method: "PUT", headers }
    },
    read: async (key) => {
      const object = await bucket.get(key)
      return object === null ? null : new Uint8Array(await object.arrayBuffer())
    },
    keys: async () => {
      const names: string[] = []
      for (let cursor: string | undefined, isLast = false; !isLast; ) {
        const page = await bucket.list(cursor === undefined ? {} : { cursor })
        names.push(...page.objects.map((object) => object.key))
        isLast = !page.truncated
        if (page.truncated) cursor = page.cursor
      }
      return names.sort()
    },
    openUploads: front.openUploads,
    close,
    [Symbol.asyncDispose]: close,
  }
}
