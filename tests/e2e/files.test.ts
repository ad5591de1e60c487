/** Uploads on a running platform: real clients, the files Worker as wrangler deploys it, a file upload service per zone, and the stores of three clouds. */
import { createHash, randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import http, { createServer } from "node:http"
import path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { HOSTNAMES, ORIGIN_ROUTES, policyFor, SCRIPT_SETTINGS, TEAMS } from "../../emulator/example-layout.ts"
import { listen } from "../../emulator/listen.ts"
import { type FileUploadService, startFileUploadService } from "../../emulator/origins/file-upload-service.ts"
import { startAzureStore } from "../../emulator/origins/stores/azure-store.ts"
import { startGcsStore } from "../../emulator/origins/stores/gcs-store.ts"
import type { ObjectStore } from "../../emulator/origins/stores/object-store.ts"
import { startS3Store } from "../../emulator/origins/stores/s3-store.ts"
import { counted, eventually, expectProblem, ROOT, usePlatform } from "../harness.ts"

const MIB = 1024 * 1024
const PUT_KEYS = [newKey(), newKey()] as const
const GET_KEYS = [newKey(), newKey()] as const
/** By company, which the example directory puts into a zone each. */
const S3 = "100"
const AZURE = "200"
const GCS = "300"
/** Beyond 53 bits; its store does what a test says. */
const FAULTY = "9007199254740993"
const ZONE_OF = { [S3]: "us01", [AZURE]: "us02", [GCS]: "uk01", [FAULTY]: "us02" } as const
const ZONES = ["us01", "us02", "uk01"] as const
const VARS = { SERVICE_TIMEOUT_MS: "2000", STORE_TIMEOUT_MS: "1500", UPLOAD_TIMEOUT_MS: "20000" }

/** With a digest, and again without, and how many at a time. `npm run bench -- full-size` has 5 000 of each. */
const ABORTS = Number(process.env.SALLYPORT_UPLOAD_ABORTS ?? 300) / 2
const TIMEOUT_MS = 600_000 + 100 * ABORTS
const LANES = 8

type Behaviour = "forbidden" | "early" | "broken" | "silent" | "hang-up" | "redirect" | "elsewhere" | "no-etag"
let behaviour: Behaviour = "forbidden"
/** Called when it has all of an upload to which it says nothing. */
let silentHeard = () => {}
/** Uploads to the store that it takes and never answers. */
const silentUploads = new Set<object>()
/** Milliseconds that the services' clock is ahead. */
let aheadMs = 0

const stores: Record<string, ObjectStore> = {}
const services: Record<string, FileUploadService> = {}
const claimEvents = new Set<string>()
const claimWaiters = new Map<string, () => void>()
const faultyRequests: string[] = []

const platform = usePlatform({}, async (running) => {
  const [s3, azure, gcs] = await Promise.all([startS3Store(), startAzureStore(), startGcsStore()])
  Object.assign(stores, { [S3]: s3, [AZURE]: azure, [GCS]: gcs, [FAULTY]: await startFaultyStore() })
  for (const zone of ZONES)
    services[zone] = await startFileUploadService({
      port: 0,
      storageUrl: "https://storage.procore.com",
      putKeys: PUT_KEYS,
      getKeys: GET_KEYS,
      storeOf: (company) => (ZONE_OF[company as keyof typeof ZONE_OF] === zone ? (stores[company] ?? null) : null),
      userOf: async (headers) => String(headers["x-test-user"] ?? "1234"),
      now: () => Date.now() + aheadMs,
      onClaim: (uploadId, what) => {
        claimEvents.add(`${uploadId} ${what}`)
        claimWaiters.get(`${uploadId} ${what}`)?.()
      },
    })
  const { audiences } = policyFor(running) as { audiences: Record<string, unknown> }
  const fus = ZONES.map((zone) => [`fus:${zone}`, { origins: [services[zone]?.url] }])
  await running.api.put("/v1/policy/audiences", { ...audiences, ...Object.fromEntries(fus) })
  const origins = [...new Set(Object.values(stores).map((store) => store.origin))]
  const { team, hostname } = ORIGIN_ROUTES.uploads
  await running.putTeam(team, {
    grants: TEAMS[team],
    egress: [...origins, ...Object.values(services).map((service) => service.url)],
  })
  await running.api.put("/v1/scripts/files", { team, ...SCRIPT_SETTINGS.files })
  // The services sign with their first key and verify with both: the Worker holds them the other way round, as while keys change.
  const held = {
    URI_INTEGRITY_V2_1_PUT_DECRYPT: [PUT_KEYS[1], PUT_KEYS[0]].join(","),
    URI_INTEGRITY_V2_1_GET_ENCRYPT: [GET_KEYS[1], GET_KEYS[0]].join(","),
  }
  await running.uploadWorker({
    directory: path.join(ROOT, "user-workers/files"),
    team,
    vars: { ...VARS, STORE_ORIGINS: origins.join(" ") },
    secrets: held,
  })
  await running.api.put(`/v1/hostnames/${hostname}`, HOSTNAMES[hostname])
  await running.api.put("/v1/routes/uploads", ORIGIN_ROUTES.uploads)
  await running.waitForConfig()
})

afterAll(async () => {
  for (const service of Object.values(services)) await service.close()
  for (const store of Object.values(stores)) await store.close()
})

interface Segment {
  readonly part_number: number
  readonly url: string
  readonly url_expires_at: number
  readonly headers: Readonly<Record<string, string>>
}
interface Upload {
  readonly upload_id: string
  readonly status: string
  readonly segments: readonly Segment[]
}

describe.each([
  ["s3", S3],
  ["azure", AZURE],
  ["gcs", GCS],
])("an upload to %s", (kind, company) => {
  it.each(["", "/projects/562949953421312000"])("stores a file of one piece, under companies/c%s", async (project) => {
    const content = randomBytes(3 * MIB + 17)
    const upload = await create(company, { ...announce(content), content_type: "image/png" }, project)
    const response = await put(only(upload), content)
    expect(response.status, await response.clone().text()).toBe(200)
    expect(await response.text()).toBe("")
    const etag = response.headers.get("etag")
    expect(etag).toMatch(/\S/)
    expect(await complete(company, upload, [etag], project)).toMatchObject({ status: "available", segments: [] })
    expect(await contentOf(company, upload)).toEqual([content])
    expect(stores[company]?.kind).toBe(kind)
  })

  it("stores a file in parts that are sent at the same time", async () => {
    const parts = [randomBytes(5 * MIB + 1), randomBytes(6 * MIB), randomBytes(9)]
    const whole = Buffer.concat(parts)
    const segments = parts.map((part) => ({ size: part.length, ...digestsOf(part) }))
    const upload = await create(company, { ...announce(whole), segments })
    expect(upload.segments.map(({ url }) => /\/parts\/\d+(?=\?)/.exec(url)?.[0])).toEqual([
      "/parts/1",
      "/parts/2",
      "/parts/3",
    ])
    const responses = await Promise.all(upload.segments.map((segment, at) => put(segment, parts[at] ?? whole)))
    expect(responses.map((response) => response.status)).toEqual([200, 200, 200])
    const etags = responses.map((response) => response.headers.get("etag"))
    expect(await complete(company, upload, etags)).toMatchObject({ status: "available" })
    expect(await contentOf(company, upload)).toEqual(parts)
  })

  it("stores a file whose digest nobody announced", async () => {
    const content = randomBytes(2 * MIB)
    const upload = await create(company, { file_name: "a.bin", file_size: content.length })
    expect((await put(only(upload), content)).status).toBe(200)
    expect(await contentOf(company, upload)).toEqual([content])
  })

  it("leaves no object of content with one bit wrong, and takes the right one afterwards by the same URL", async () => {
    const content = randomBytes(700_001)
    const upload = await create(company, announce(content))
    const before = await stores[company]?.keys()
    for (const at of [0, 350_000, content.length - 1]) {
      const wrong = Buffer.from(content)
      wrong[at] = (wrong[at] ?? 0) ^ 1
      await expectProblem(await put(only(upload), wrong), 422, "upload.digest-mismatch")
      await settled(company)
      expect(await stores[company]?.keys()).toEqual(before)
    }
    expect((await put(only(upload), content)).status).toBe(200)
    expect(await contentOf(company, upload)).toEqual([content])
  })

  it.each([0, 1, 65_536, 900_000, 999_999])(
    "leaves nothing of a client that goes away after %i bytes",
    async (sent) => {
      const content = randomBytes(1_000_000)
      const upload = await create(company, announce(content))
      const before = await stores[company]?.keys()
      await breakOff(only(upload), content.subarray(0, sent), () => storeReached(company))
      await settled(company)
      expect(await stores[company]?.keys()).toEqual(before)
      expect((await untilFree(only(upload), content)).status).toBe(200)
    },
  )
})

describe.each([
  ["announced", true],
  ["not announced", false],
])("of thousands of clients that go away at any byte, digest %s,", (_what, isAnnounced) => {
  it(
    "no object is left, and each one's upload is over within a second",
    async ({ task }) => {
      const content = randomBytes(300_000)
      const announced = isAnnounced ? announce(content) : { file_name: "a.bin", file_size: content.length }
      const before = await stores[GCS]?.keys()
      const blamedBefore = await storeFailures()
      let left = ABORTS
      let slowestMs = 0
      const lane = async () => {
        while (left-- > 0) {
          const upload = await create(GCS, announced)
          const part = content.subarray(0, Math.floor(Math.random() * content.length))
          const reached = () => claimEvent(upload, "made").then(left % 2 === 0 ? () => storeReached(GCS) : undefined)
          await breakOff(only(upload), part, reached)
          const endedAt = performance.now()
          await claimEvent(upload, "given-back")
          slowestMs = Math.max(slowestMs, performance.now() - endedAt)
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      await settled(GCS)
      const after = (await stores[GCS]?.keys()) ?? []
      counted(task, `files_aborts_${isAnnounced ? "digest" : "no_digest"}`, {
        uploads: ABORTS,
        partial_objects: after.length - (before?.length ?? 0),
        slowest_end_ms: Math.round(slowestMs),
      })
      expect(slowestMs).toBeLessThan(1000)
      expect(after).toEqual(before)
      // A client's going is not a failure of the store's, in nobody's log.
      expect(await storeFailures()).toBe(blamedBefore)
      const upload = await create(GCS, announced)
      expect((await put(only(upload), content)).status).toBe(200)
    },
    TIMEOUT_MS,
  )
})

describe("an upload URL", () => {
  it("is refused for another method than PUT", async () => {
    const segment = only(await create(S3, announce(randomBytes(10))))
    for (const method of ["GET", "POST", "DELETE"])
      await expectProblem(await platform().fetch(segment.url, { method }), 403, "upload.signature-invalid")
  })

  it("works once: the second use is told so, and changes nothing", async () => {
    const content = randomBytes(1000)
    const upload = await create(S3, { file_name: "a", file_size: content.length })
    expect((await put(only(upload), content)).status).toBe(200)
    await expectProblem(await put(only(upload), randomBytes(1000)), 409, "upload.already-used")
    expect(await contentOf(S3, upload)).toEqual([content])
  })

  it("is used by one of many who try at the same time", async () => {
    const contents = Array.from({ length: 8 }, () => randomBytes(200_000))
    const upload = await create(GCS, { file_name: "a", file_size: 200_000 })
    const responses = await Promise.all(contents.map((content) => put(only(upload), content)))
    const won = responses.flatMap((response, at) => (response.status === 200 ? [contents[at]] : []))
    const codes = await Promise.all(responses.filter((each) => each.status !== 200).map(codeOf))
    expect(codes.filter((code) => code !== "upload.in-progress" && code !== "upload.already-used")).toEqual([])
    expect(won).toHaveLength(1)
    expect(await contentOf(GCS, upload)).toEqual(won)
  })

  it("that has expired is refused, and the service signs a fresh one", async () => {
    const content = randomBytes(1000)
    aheadMs = -2 * 3_600_000
    const upload = await create(S3, announce(content)).finally(() => {
      aheadMs = 0
    })
    await expectProblem(await put(only(upload), content), 403, "upload.url-expired")
    const renewed = await ask<Upload>(S3, "GET", `/companies/${S3}/uploads/${upload.upload_id}`)
    expect((await put(only(renewed), content)).status).toBe(200)
  })

  it("needs no credential, and is refused with one", async () => {
    const content = randomBytes(1000)
    const segment = only(await create(S3, announce(content)))
    const init = { method: "PUT", body: content, headers: segment.headers }
    await expectProblem(
      await platform().fetch(segment.url, init, { subject: "alice" }),
      400,
      "upload.credential-unexpected",
    )
    const headers = { ...segment.headers, authorization: "Bearer a.b.c" }
    await expectProblem(await platform().fetch(segment.url, { ...init, headers }), 401, "auth.credential-invalid")
    expect((await put(segment, content)).status).toBe(200)
  })

  it("of an upload that the service does not know is answered as unknown", async () => {
    const other = await startFileUploadService({
      port: 0,
      storageUrl: "https://storage.procore.com",
      putKeys: PUT_KEYS,
      getKeys: GET_KEYS,
      storeOf: () => stores[S3] ?? null,
    })
    const content = randomBytes(10)
    const created = await fetch(`${other.url}/rest/v2.1/companies/${S3}/uploads`, {
      method: "POST",
      body: JSON.stringify(announce(content)),
    })
    const { data } = (await created.json()) as { data: Upload }
    await other.close()
    await expectProblem(await put(only(data), content), 404, "upload.unknown")
  })
})

describe("a body", () => {
  it.each([999, 1001])("of %i bytes is refused when 1000 were announced", async (length) => {
    const content = randomBytes(1000)
    const upload = await create(AZURE, announce(content))
    const before = await stores[AZURE]?.keys()
    const headers = { "Content-Length": String(length) }
    await expectProblem(await put({ ...only(upload), headers }, randomBytes(length)), 400, "upload.length-mismatch")
    expect(await stores[AZURE]?.keys()).toEqual(before)
    expect((await put(only(upload), content)).status).toBe(200)
  })

  it("of unstated length is refused", async () => {
    const content = randomBytes(1000)
    const upload = await create(S3, announce(content))
    const headers = { "Transfer-Encoding": "chunked" }
    await expectProblem(await put({ ...only(upload), headers }, content), 411, "upload.length-required")
  })

  it("is checked by MD5 as well", async () => {
    const content = randomBytes(1000)
    const { md5: _md5, ...announced } = announce(content)
    const upload = await create(GCS, { ...announced, md5: "0".repeat(32) })
    await expectProblem(await put(only(upload), content), 422, "upload.digest-mismatch")
  })
})

describe("a store that fails", () => {
  const cases: [Behaviour, number, string][] = [
    ["forbidden", 502, "upload.store-refused"],
    ["early", 502, "upload.store-refused"],
    ["redirect", 502, "upload.store-refused"],
    ["broken", 502, "upload.store-failed"],
    ["hang-up", 502, "upload.store-failed"],
    ["no-etag", 502, "upload.store-failed"],
    ["silent", 504, "upload.store-timeout"],
    ["elsewhere", 502, "upload.target-refused"],
  ]
  describe.each(cases)("because it is %s", (what, status, code) => {
    it.each(["with", "without"])("is told apart, %s digest, and no URL of it is told", async (digest) => {
      behaviour = what
      const content = randomBytes(1_500_000)
      const announced = announce(content)
      const upload = await create(FAULTY, digest === "with" ? announced : { file_name: "a", file_size: content.length })
      const response = await put(only(upload), content)
      const text = await response.clone().text()
      await expectProblem(response, status, code)
      expect(text).not.toContain("127.0.0.1")
      expect(text).not.toContain("secret-signature")
      expect(await contentOf(FAULTY, upload)).toBeNull()
      // The claim was given back: the next try gets as far as this one.
      expect(await codeOf(await put(only(upload), content))).toBe(code)
    })
  })

  it("is not waited for by a client that goes away when all was sent", async () => {
    behaviour = "silent"
    const content = randomBytes(1000)
    const upload = await create(FAULTY, announce(content))
    const heard = new Promise<void>((resolve) => {
      silentHeard = resolve
    })
    // A closed direction alone would say that nothing more is sent, which is so: it has to be a reset.
    await breakOff(only(upload), content, () => heard, "reset")
    const endedAt = performance.now()
    await claimEvent(upload, "given-back")
    expect(performance.now() - endedAt).toBeLessThan(1000)
  })

  it("is not waited for longer than the store may take when the client only closes its half, and nothing stays open", async () => {
    behaviour = "silent"
    const content = randomBytes(1000)
    const upload = await create(FAULTY, announce(content))
    const heard = new Promise<void>((resolve) => {
      silentHeard = resolve
    })
    await breakOff(only(upload), content, () => heard, "half")
    const endedAt = performance.now()
    expect(silentUploads.size).toBe(1)
    await claimEvent(upload, "given-back")
    expect(performance.now() - endedAt).toBeLessThan(Number(VARS.STORE_TIMEOUT_MS) + 500)
    await eventually(1_000, async () => (silentUploads.size === 0 ? true : null))
  })

  it("leaves no signature in the platform's log, the client's no more than a store's", async () => {
    const log = await readFile(platform().logFile, "utf8")
    expect(log).toContain("upload.store-refused")
    expect(log).not.toMatch(/sig=|signature=|secret-signature/i)
  })

  it("sees nothing of redirects: they are not followed", () => {
    expect(faultyRequests.filter((url) => url.includes("redirected"))).toEqual([])
    expect(faultyRequests.length).toBeGreaterThan(0)
  })
})

describe("the files Worker", () => {
  it("answers for its health", async () => {
    const response = await platform().fetch("https://storage.procore.com/rest/v2.1/uploads/health")
    expect(await response.json()).toEqual({ status: "ok" })
  })

  it("lets the web application's scripts upload, and no others", async () => {
    const { url, headers } = only(await create(S3, announce(Buffer.from("content"))))
    const preflight = { origin: "https://app.procore.com", "access-control-request-method": "PUT" }
    const allowed = await platform().fetch(url, { method: "OPTIONS", headers: preflight })
    expect(allowed.status).toBe(204)
    expect(allowed.headers.get("access-control-allow-methods")).toContain("PUT")
    const origin = { origin: "https://evil.example" }
    const refused = await platform().fetch(url, { method: "OPTIONS", headers: { ...preflight, ...origin } })
    expect(refused.headers.has("access-control-allow-origin")).toBe(false)
    const sent = await put({ url, headers: { ...headers, origin: "https://app.procore.com" } }, Buffer.from("content"))
    expect(sent.headers.get("access-control-allow-origin")).toBe("https://app.procore.com")
    expect(sent.headers.get("access-control-expose-headers")).toContain("etag")
  })
})

function newKey(): string {
  return randomBytes(32).toString("base64url")
}

function digestsOf(content: Uint8Array) {
  const hex = (algorithm: string) => createHash(algorithm).update(content).digest("hex")
  return { sha256: hex("sha256"), md5: hex("md5") }
}

function announce(content: Uint8Array) {
  return { file_name: "a.bin", file_size: content.length, ...digestsOf(content) }
}

async function ask<T>(company: string, method: string, place: string, body?: unknown): Promise<T> {
  const service = services[ZONE_OF[company as keyof typeof ZONE_OF]]
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const response = await fetch(`${service?.url}/rest/v2.1${place}`, { method, ...sent })
  const text = await response.text()
  expect(response.ok, text).toBe(true)
  return (JSON.parse(text) as { data: T }).data
}

function create(company: string, announced: object, project = ""): Promise<Upload> {
  return ask(company, "POST", `/companies/${company}${project}/uploads`, announced)
}

function complete(company: string, upload: Upload, etags: readonly (string | null)[], project = ""): Promise<Upload> {
  const place = `/companies/${company}${project}/uploads/${upload.upload_id}`
  return ask(company, "PATCH", place, { part_etags: etags })
}

function only(upload: Upload): Segment {
  const [segment] = upload.segments
  if (segment === undefined) throw new Error("The upload has no segment left")
  return segment
}

/** As a client does: URL and headers as they were given. */
function put({ url, headers }: Pick<Segment, "url" | "headers">, content: Uint8Array): Promise<Response> {
  return platform().fetch(url, { method: "PUT", headers, body: content })
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code
}

/** What counts as the upload's content, part by part. */
async function contentOf(company: string, upload: Upload): Promise<Buffer[] | null> {
  const keys = services[ZONE_OF[company as keyof typeof ZONE_OF]]?.objectsOf(upload.upload_id)
  if (keys === null || keys === undefined) return null
  return Promise.all(keys.map(async (key) => Buffer.from((await stores[company]?.read(key)) ?? [])))
}

/** Resolves when the store has no upload under way; looks again whenever the event loop went round. */
async function settled(company: string): Promise<void> {
  while ((stores[company]?.openUploads() ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve))
}

/** Sends a part of the content, waits until it is on its way and `reached` says so, and breaks the connection. */
async function breakOff(
  { url, headers }: Segment,
  begun: Uint8Array,
  reached: () => Promise<void>,
  how: "close" | "reset" | "half" = "close",
): Promise<void> {
  const { host, pathname, search } = new URL(url)
  const { hostname, port } = new URL(platform().edgeUrl)
  const sent = http.request({
    hostname,
    port,
    method: "PUT",
    path: pathname + search,
    headers: { host, ...headers },
    agent: false,
  })
  sent.on("error", () => undefined)
  sent.flushHeaders()
  if (begun.length > 0) await new Promise((resolve) => sent.write(begun, resolve))
  await reached()
  if (how === "half") return void sent.socket?.end()
  const closed = new Promise((resolve) => sent.once("close", resolve))
  if (how === "reset") sent.socket?.resetAndDestroy()
  else sent.destroy()
  await closed
}

/** Resolves when the store has an upload under way. */
async function storeReached(company: string): Promise<void> {
  while (stores[company]?.openUploads() === 0) await new Promise((resolve) => setImmediate(resolve))
}

/** Resolves when this has happened to the upload's only URL, now or before. */
function claimEvent({ upload_id: id }: Upload, what: string): Promise<void> {
  const event = `${id} ${what}`
  return new Promise((resolve) => (claimEvents.has(event) ? resolve() : void claimWaiters.set(event, resolve)))
}

/** How often the platform's log says that a store failed. */
async function storeFailures(): Promise<number> {
  return (await readFile(platform().logFile, "utf8")).split("upload.store-failed").length - 1
}

/** Tries again while the broken one's claim is still being given back. */
async function untilFree(segment: Segment, content: Uint8Array): Promise<Response> {
  for (;;) {
    const response = await put(segment, content)
    if (response.status !== 409 || (await codeOf(response.clone())) !== "upload.in-progress") return response
  }
}

async function startFaultyStore(): Promise<ObjectStore> {
  const server = createServer((request, response) => {
    faultyRequests.push(request.url ?? "")
    const end = (status: number, headers: Record<string, string> = {}) =>
      request.resume().once("end", () => response.writeHead(status, headers).end("secret-signature"))
    const answers: Record<Behaviour, () => unknown> = {
      forbidden: () => end(403),
      early: () => response.writeHead(403).end("secret-signature"),
      broken: () => end(500),
      silent: () => {
        silentUploads.add(response)
        response.once("close", () => silentUploads.delete(response))
        request.resume().once("end", () => silentHeard())
      },
      "hang-up": () => request.once("data", () => request.destroy()),
      redirect: () => end(307, { location: "/redirected", etag: '"e"' }),
      elsewhere: () => end(200, { etag: '"e"' }),
      "no-etag": () => end(200),
    }
    answers[behaviour]()
  })
  const { url: origin, stop: close } = await listen(server, 0)
  return {
    kind: "s3",
    origin,
    presignPut: async (key, { contentLength }) => ({
      url: `${behaviour === "elsewhere" ? origin.replace("127.0.0.1", "localhost") : origin}/${key}?signature=secret-signature`,
      method: "PUT",
      headers: { "content-length": String(contentLength) },
    }),
    read: async () => null,
    keys: async () => [],
    openUploads: () => 0,
    close,
    [Symbol.asyncDispose]: close,
  }
}
