/** The example service by plain HTTP, with stores that only sign: what it promises to clients and to the files Worker. */
import { randomBytes } from "node:crypto"
import { type IncomingMessage, request } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { hmacUrl } from "../../kit/hmac-url.ts"
import { type FileUploadService, startFileUploadService } from "./file-upload-service.ts"
import type { ObjectStore, PresignOptions } from "./stores/object-store.ts"

const MIB = 1024 * 1024
const PUT_KEYS = [key(), key()] as const
const GET_KEYS = [key(), key()] as const
const SHA256 = "a".repeat(64)
const MD5 = "b".repeat(32)
const CLAIM_LIFETIME_S = 600
const claims = hmacUrl({ keys: GET_KEYS[1], parameters: ["expires_at", "user_id", "claim"] })
const burns = hmacUrl({ keys: GET_KEYS[1], parameters: ["expires_at", "user_id", "claim", "etag"] })

let nowMs = Date.now()
let service: FileUploadService
const presigned: { readonly key: string; readonly options: PresignOptions }[] = []
const store = {
  presignPut: async (objectKey: string, options: PresignOptions) => {
    presigned.push({ key: objectKey, options })
    const headers = { "content-length": String(options.contentLength), "x-store": "1" }
    return { url: `https://store.example/${objectKey}?signature=s`, method: "PUT" as const, headers }
  },
} as unknown as ObjectStore

beforeAll(async () => {
  service = await startFileUploadService({
    port: 0,
    storageUrl: "https://storage.procore.com",
    putKeys: PUT_KEYS,
    getKeys: GET_KEYS,
    storeOf: (company) => (company === "404" ? null : store),
    userOf: async (headers) => (headers["x-user"] === undefined ? "alice" : String(headers["x-user"]) || null),
    claimLifetimeS: CLAIM_LIFETIME_S,
    now: () => nowMs,
  })
})
afterAll(() => service.close())

describe("creating an upload", () => {
  it("answers 201 with a URL that the files Worker accepts, and the headers to send", async () => {
    const { status, data } = await call("POST", "/companies/9007199254740993/uploads", standard())
    expect(status).toBe(201)
    expect(data).toMatchObject({
      file_name: "report.pdf",
      file_size: 2_097_152,
      content_type: "application/pdf",
      status: "ready",
    })
    const [segment] = data.segments
    expect(segment?.headers).toEqual({ "Content-Length": "2097152" })
    expect(segment?.url).toContain(`/rest/v2.1/companies/9007199254740993/uploads/${data.upload_id}?expires_at=`)
    const links = hmacUrl({ keys: PUT_KEYS[0], parameters: ["expires_at", "user_id"], clock: { now: () => nowMs } })
    const parameters = { expires_at: String(segment?.url_expires_at), user_id: "alice" }
    expect(await links.verify("PUT", segment?.url ?? "")).toEqual({ ok: true, parameters })
  })

  it("answers one URL per part, below the project", async () => {
    const { data } = await call("POST", "/companies/1/projects/2/uploads", segmented(5 * MIB + 1, 100 * MIB, 1))
    const paths = data.segments.map(({ url }) => new URL(url).pathname)
    expect(paths).toEqual(
      [1, 2, 3].map((n) => `/rest/v2.1/companies/1/projects/2/uploads/${data.upload_id}/parts/${n}`),
    )
  })

  const wrong: Record<string, unknown> = {
    "no name": { ...standard(), file_name: "" },
    "no size": { ...standard(), file_size: undefined },
    "a size of 0": { ...standard(), file_size: 0 },
    "a size that is text": { ...standard(), file_size: "1" },
    "more than 5 GiB at once": { ...standard(), file_size: 5 * 1024 * MIB + 1 },
    "a digest in capitals": { ...standard(), sha256: SHA256.toUpperCase() },
    "half an MD5": { ...standard(), md5: "b" },
    "no content type": { ...standard(), content_type: "" },
    "a content type with a line break": { ...standard(), content_type: "a/b\r\nx-a: 1" },
    "a content type beyond ASCII": { ...standard(), content_type: "a/\u0100" },
    "a content type of 256 characters": { ...standard(), content_type: "a".repeat(256) },
    "no parts": { ...standard(), segments: [] },
    "a part of 5 MiB that is not the last": segmented(5 * MIB, 1),
    "a part of more than 100 MiB": segmented(100 * MIB + 1),
    "a part without SHA-256": { ...segmented(10), segments: [{ size: 10 }] },
    "parts that are not the file": { ...segmented(10), file_size: 11 },
    "10001 parts": segmented(...Array.from({ length: 10_001 }, () => 6 * MIB)),
  }
  for (const [name, body] of Object.entries(wrong))
    it(`refuses ${name}`, async () => {
      expect((await call("POST", "/companies/1/uploads", body)).status).toBe(422)
    })

  it("refuses what is no JSON object, nobody, and a company that is not here", async () => {
    for (const body of [[], null, 1]) expect((await call("POST", "/companies/1/uploads", body)).status).toBe(400)
    expect((await call("POST", "/companies/1/uploads", standard(), { "x-user": "" })).status).toBe(401)
    expect((await call("POST", "/companies/404/uploads", standard())).status).toBe(404)
  })
})

it("answers a target that is no URL, with traces on", async () => {
  await using traced = await startFileUploadService({
    port: 0,
    storageUrl: "https://storage.procore.com",
    putKeys: PUT_KEYS,
    getKeys: GET_KEYS,
    storeOf: () => store,
    otlpEndpoint: "http://127.0.0.1:1",
  })
  const { port } = new URL(traced.url)
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    request({ host: "127.0.0.1", port, path: "//", agent: false }, resolve).once("error", reject).end(),
  )
  expect(response.statusCode).toBe(404)
})

describe("claiming a URL", () => {
  it("tells where the bytes go and how they must be, and asks the store for exactly that", async () => {
    const place = await newUpload()
    const { status, body } = await claim("GET", place)
    expect(status).toBe(200)
    expect(body).toEqual({
      url: expect.stringMatching(/^https:\/\/store\.example\/companies\/1\/uploads\/.+\/1\/.+\?signature=s$/),
      method: "PUT",
      headers: { "x-store": "1" },
      client_headers: { "content-length": "2097152" },
      content_length: 2_097_152,
      sha256: SHA256,
      md5: MD5,
      is_last: true,
    })
    const { options } = presigned.at(-1) ?? {}
    expect(options).toMatchObject({
      contentLength: 2_097_152,
      contentType: "application/pdf",
      sha256: SHA256,
      md5: MD5,
    })
  })

  it("is refused while another holds it, and free again when that one gives it back", async () => {
    const place = await newUpload()
    expect((await claim("GET", place, { claim: "first" })).status).toBe(200)
    expect((await claim("GET", place, { claim: "first" })).status).toBe(200)
    expect(await claim("GET", place, { claim: "second" })).toMatchObject({ status: 409, body: { code: "in-progress" } })
    expect((await claim("DELETE", place, { claim: "second" })).status).toBe(204)
    expect((await claim("GET", place, { claim: "second" })).status).toBe(409)
    expect((await claim("DELETE", place, { claim: "first" })).status).toBe(204)
    expect((await claim("GET", place, { claim: "second" })).status).toBe(200)
  })

  it("lapses, and a claim that lapsed cannot count any more, nor writes where the next one writes", async () => {
    const place = await newUpload()
    const first = await claim("GET", place, { claim: "first" })
    nowMs += CLAIM_LIFETIME_S * 1000 - 1
    expect((await claim("GET", place, { claim: "second" })).status).toBe(409)
    nowMs += 1
    const second = await claim("GET", place, { claim: "second" })
    expect(second.status).toBe(200)
    expect(second.body.url).not.toBe(first.body.url)
    expect((await burn(place, "first")).status).toBe(409)
    expect((await burn(place, "second")).status).toBe(204)
  })

  it("is burnt once: the same claim may say so again, no other may use it", async () => {
    const place = await newUpload()
    await claim("GET", place, { claim: "first" })
    expect((await burn(place, "first")).status).toBe(204)
    expect((await burn(place, "first")).status).toBe(204)
    expect(await claim("GET", place, { claim: "second" })).toMatchObject({ status: 409, body: { code: "used" } })
    expect(await claim("GET", place, { claim: "first" })).toMatchObject({ status: 409, body: { code: "used" } })
    expect((await burn(place, "second")).status).toBe(409)
  })

  it("is never burnt without a claim", async () => {
    expect((await burn(await newUpload(), "made-up")).status).toBe(409)
  })

  it("is refused for another company, project, user, kind of upload, or part than there is", async () => {
    const place = await newUpload()
    const others = [
      place.replace("/companies/1/", "/companies/2/"),
      place.replace("/uploads/", "/projects/1/uploads/"),
      `${place}/parts/1`,
      place.replace(/[^/]+$/, "01NONE"),
    ]
    for (const other of others) expect((await claim("GET", other)).status, other).toBe(404)
    expect((await claim("GET", place, { user_id: "bob" })).status).toBe(404)
    const { data } = await call("POST", "/companies/1/uploads", segmented(10))
    const parts = `/companies/1/uploads/${data.upload_id}`
    expect((await claim("GET", parts)).status).toBe(404)
    expect((await claim("GET", `${parts}/parts/2`)).status).toBe(404)
    expect((await claim("GET", `${parts}/parts/1`)).status).toBe(200)
  })
})

describe("a request of the files Worker", () => {
  it("is refused with any one bit changed, and claims nothing", async () => {
    const place = await newUpload()
    const url = await claimUrl("GET", place)
    const start = url.indexOf("/rest/") + 1
    const statuses = new Set<number>()
    const before = presigned.length
    for (let at = start; at < url.length; at++) {
      const changed = url.slice(0, at) + String.fromCharCode(url.charCodeAt(at) ^ 1) + url.slice(at + 1)
      if (!/^[\w.~/?&=:-]+$/.test(changed)) continue
      statuses.add((await fetch(changed)).status)
    }
    expect([...statuses].toSorted()).toEqual([403, 404])
    expect(presigned.length).toBe(before)
  })

  it("is refused under another method, with a clients' key, expired, unsigned, or as a client's", async () => {
    const place = await newUpload()
    const url = await claimUrl("GET", place)
    expect((await fetch(url, { method: "DELETE" })).status).toBe(403)
    const foreign = hmacUrl({ keys: PUT_KEYS[0], parameters: ["expires_at", "user_id", "claim"] })
    const parameters = { expires_at: String(Math.floor(nowMs / 1000) + 60), user_id: "alice", claim: "c" }
    const internal = `${service.url}/rest/v2.1${place}/url`
    expect((await fetch(await foreign.sign("GET", internal, parameters))).status).toBe(403)
    expect((await fetch(internal)).status).toBe(403)
    nowMs += 91_000
    expect((await fetch(url)).status).toBe(403)
  })
})

describe("completing an upload", () => {
  it("goes from ready over receiving to available, with the ETags that were stored, quoted or not", async () => {
    const { data } = await call("POST", "/companies/1/uploads", segmented(6 * MIB, 10))
    const place = `/companies/1/uploads/${data.upload_id}`
    for (const part of [1, 2]) await claim("GET", `${place}/parts/${part}`, { claim: `c${part}` })
    await burn(`${place}/parts/1`, "c1", '"e1"')
    const receiving = await call("PATCH", place, { part_etags: ["e1", null] })
    expect(receiving.data).toMatchObject({ status: "receiving", segments: [{ part_number: 2 }] })
    expect((await call("PATCH", place, { part_etags: ["e1", "e2"] })).status).toBe(409)
    expect(service.objectsOf(data.upload_id)).toBeNull()
    await burn(`${place}/parts/2`, "c2", '"e2"')
    expect((await call("PATCH", place, { part_etags: ["e2", "e1"] })).status).toBe(409)
    expect((await call("PATCH", place, { part_etags: ['"e1"', "e2"] })).data).toMatchObject({ status: "available" })
    expect((await call("GET", place)).data).toMatchObject({ status: "available", segments: [] })
    expect(service.objectsOf(data.upload_id)).toHaveLength(2)
  })

  it("is refused with another number of ETags, and for another user", async () => {
    const place = await newUpload()
    for (const part_etags of [undefined, "e", [], ["a", "b"]])
      expect((await call("PATCH", place, { part_etags })).status).toBe(422)
    expect((await call("GET", place, undefined, { "x-user": "bob" })).status).toBe(404)
  })
})

interface Described {
  readonly upload_id: string
  readonly segments: readonly { readonly url: string; readonly url_expires_at: number; readonly headers: object }[]
}

function key(): string {
  return randomBytes(32).toString("base64url")
}

function standard() {
  return { file_name: "report.pdf", file_size: 2_097_152, content_type: "application/pdf", sha256: SHA256, md5: MD5 }
}

function segmented(...sizes: number[]) {
  const segments = sizes.map((size) => ({ size, sha256: SHA256 }))
  return { file_name: "a.mp4", file_size: sizes.reduce((sum, size) => sum + size, 0), segments }
}

async function call(method: string, place: string, body?: unknown, headers: Record<string, string> = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const response = await fetch(`${service.url}/rest/v2.1${place}`, { method, headers, ...sent })
  const { data } = (await response.json()) as { data: Described }
  return { status: response.status, data }
}

/** Path of a new standard upload, after the version. */
async function newUpload(): Promise<string> {
  const { data } = await call("POST", "/companies/1/uploads", standard())
  return `/companies/1/uploads/${data.upload_id}`
}

function claimUrl(method: string, place: string, changes: Record<string, string> = {}): Promise<string> {
  const expires_at = String(Math.floor(nowMs / 1000) + 60)
  const parameters = { expires_at, user_id: "alice", claim: "claim", ...changes }
  return claims.sign(method, `${service.url}/rest/v2.1${place}/url`, parameters)
}

async function claim(method: string, place: string, changes: Record<string, string> = {}) {
  const response = await fetch(await claimUrl(method, place, changes), { method })
  const text = await response.text()
  return { status: response.status, body: JSON.parse(text || "{}") as Record<string, unknown> }
}

async function burn(place: string, claimId: string, etag = '"e"'): Promise<Response> {
  const expires_at = String(Math.floor(nowMs / 1000) + 60)
  const encoded = Buffer.from(etag).toString("base64url")
  const parameters = { expires_at, user_id: "alice", claim: claimId, etag: encoded }
  const url = await burns.sign("PATCH", `${service.url}/rest/v2.1${place}/url`, parameters)
  return fetch(url, { method: "PATCH" })
}
