/** What every example store holds to: a presigned upload by plain HTTP stores exactly what was signed, and nothing else stores anything. */
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { type ClientRequest, type IncomingMessage, request } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startAzureStore } from "./azure-store.ts"
import { startGcsStore } from "./gcs-store.ts"
import type { ObjectStore, PresignOptions, PutTarget, StoreOptions } from "./object-store.ts"
import { startS3Store } from "./s3-store.ts"

interface StoreUnderTest {
  readonly kind: ObjectStore["kind"]
  readonly start: (options?: StoreOptions) => Promise<ObjectStore>
  /** In the query. */
  readonly signature: string
  readonly encoding: "base64" | "hex"
  /** A clock by which a URL of one minute is over. */
  readonly later: () => number
  readonly checksSha256: boolean
}
const HOUR_MS = 3_600_000
const STORES: readonly StoreUnderTest[] = [
  {
    kind: "azure",
    start: startAzureStore,
    signature: "sig",
    encoding: "base64",
    later: () => Date.now() - HOUR_MS,
    checksSha256: false,
  },
  {
    kind: "s3",
    start: startS3Store,
    signature: "X-Amz-Signature",
    encoding: "hex",
    later: () => Date.now() - HOUR_MS,
    checksSha256: false,
  },
  {
    kind: "gcs",
    start: startGcsStore,
    signature: "X-Goog-Signature",
    encoding: "hex",
    later: () => Date.now() + HOUR_MS,
    checksSha256: true,
  },
]

const BODY = randomBytes(300_000)
/** For what is refused: so small that it is sent before a server that reads none of it can close the connection. */
const SMALL = randomBytes(500)
const SHA256 = createHash("sha256").update(BODY).digest("hex")
const MD5 = createHash("md5").update(BODY).digest("hex")
const WRONG_SHA256 = createHash("sha256").update("else").digest("hex")
const WRONG_MD5 = createHash("md5").update("else").digest("hex")

function optionsFor(body: Uint8Array, more: Partial<PresignOptions> = {}): PresignOptions {
  return { contentLength: body.length, contentType: "image/png", sha256: null, md5: null, expiresS: 60, ...more }
}

function open({ url, method, headers }: { url: string; method: string; headers: PutTarget["headers"] }): ClientRequest {
  return request(url, { method, headers, agent: false })
}

/** Status of the answer; 0 when there is none. */
async function send(target: { url: string; method: string; headers: PutTarget["headers"] }, body: Uint8Array) {
  const client = open(target)
  const answered = once(client, "response") as Promise<[IncomingMessage]>
  client.end(body)
  const [response] = await answered.catch(() => [null])
  response?.resume()
  return response?.statusCode ?? 0
}

/** Resolves when no upload is under way; looks again whenever the event loop went round. */
async function settled(store: ObjectStore): Promise<void> {
  while (store.openUploads() > 0) await new Promise((resolve) => setImmediate(resolve))
}

function flipBit(target: PutTarget, { signature, encoding }: StoreUnderTest, bit: number): PutTarget {
  const url = new URL(target.url)
  const bytes = Buffer.from(url.searchParams.get(signature) ?? "", encoding)
  expect(bytes.length).toBeGreaterThanOrEqual(32)
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  const before = url.href.split(`${signature}=`)[0]
  const after = new RegExp(`${signature}=[^&]*(.*)$`).exec(url.href)?.[1]
  return { ...target, url: `${before}${signature}=${encodeURIComponent(bytes.toString(encoding))}${after}` }
}

describe.each(STORES)("the $kind store", (underTest) => {
  let store: ObjectStore
  beforeAll(async () => {
    store = await underTest.start()
  })
  afterAll(() => store.close())

  it("says what it is", () => {
    expect(store.kind).toBe(underTest.kind)
  })

  it("stores exactly the bytes, under a key with slashes, spaces and letters of other alphabets", async () => {
    const key = "company 7/ü+é/part.1"
    const target = await store.presignPut(key, optionsFor(BODY, { sha256: SHA256, md5: MD5 }))
    expect(await send(target, BODY)).toBeOneOf([200, 201])
    expect(Buffer.compare((await store.read(key)) ?? Buffer.alloc(0), BODY)).toBe(0)
    expect(await store.keys()).toContain(key)
    expect(store.openUploads()).toBe(0)
  })

  it("stores an empty object", async () => {
    const nothing = Buffer.alloc(0)
    expect(await send(await store.presignPut("empty", optionsFor(nothing)), nothing)).toBeOneOf([200, 201])
    expect((await store.read("empty"))?.length).toBe(0)
  })

  it("has nothing where nothing was stored", async () => {
    expect(await store.read("never")).toBeNull()
  })

  it.each([0, 7, 100, 255])("refuses a signature with bit %i changed", async (bit) => {
    const target = await store.presignPut("changed", optionsFor(SMALL))
    expect(await send(flipBit(target, underTest, bit), SMALL)).toBe(403)
    expect(await store.read("changed")).toBeNull()
  })

  it("refuses another method", async () => {
    const target = await store.presignPut("method", optionsFor(SMALL))
    for (const method of ["POST", "DELETE"]) {
      const status = await send({ ...target, method }, SMALL)
      expect(status, method).toBeGreaterThanOrEqual(400)
      expect(status, method).toBeLessThan(500)
    }
    expect(await store.read("method")).toBeNull()
  })

  it("refuses another key", async () => {
    const target = await store.presignPut("key-1", optionsFor(SMALL))
    expect(await send({ ...target, url: target.url.replace("key-1", "key-2") }, SMALL)).toBe(403)
    expect(await store.keys()).not.toContain("key-2")
  })

  it("refuses a request without a signature", async () => {
    const target = await store.presignPut("unsigned", optionsFor(SMALL))
    const status = await send({ ...target, url: target.url.replace(/\?.*/, "") }, SMALL)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(await store.read("unsigned")).toBeNull()
  })

  it("refuses what is over", async () => {
    await using other = await underTest.start({ now: underTest.later })
    const target = await other.presignPut("late", optionsFor(SMALL))
    expect(await send(target, SMALL)).toBeOneOf([400, 403])
    expect(await other.keys()).toEqual([])
  })

  it("refuses a body that is not the one whose MD5 was signed", async () => {
    const target = await store.presignPut("wrong-md5", optionsFor(BODY, { md5: WRONG_MD5 }))
    expect(await send(target, BODY)).toBe(400)
    expect(await store.read("wrong-md5")).toBeNull()
  })

  it.runIf(underTest.checksSha256)("refuses a body that is not the one whose SHA-256 was signed", async () => {
    const target = await store.presignPut("wrong-sha256", optionsFor(BODY, { sha256: WRONG_SHA256 }))
    expect(await send(target, BODY)).toBe(400)
    expect(await store.read("wrong-sha256")).toBeNull()
  })

  it.runIf(underTest.kind !== "azure")("refuses another length than the signed one", async () => {
    const target = await store.presignPut("length", optionsFor(SMALL))
    const shorter = SMALL.subarray(1)
    const headers = { ...target.headers, "content-length": String(shorter.length) }
    expect(await send({ ...target, headers }, shorter)).toBe(403)
    expect(await store.read("length")).toBeNull()
  })

  it.each([0, 1, 65_536, BODY.length - 1])("has no object when the client is cut off after %i bytes", async (sent) => {
    const key = `cut-${sent}`
    const client = open(await store.presignPut(key, optionsFor(BODY)))
    client.on("error", () => {})
    client.flushHeaders()
    client.write(BODY.subarray(0, sent))
    while (store.openUploads() === 0) await new Promise((resolve) => setImmediate(resolve))
    client.destroy()
    await settled(store)
    expect(await store.read(key)).toBeNull()
    expect(await store.keys()).not.toContain(key)
  })
})
