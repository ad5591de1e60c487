/**
 * Clients that go away at any byte of an upload: nothing of it may be left in a store, no upload to a store may stay open, and the next one must work.
 * SALLYPORT_UPLOAD_ABORTS says how many (default 300; `npm run bench -- full-size` breaks off 10000), SALLYPORT_SEED repeats a run.
 */
import { createHash, randomBytes, randomInt } from "node:crypto"
import { once } from "node:events"
import http from "node:http"
import { connect } from "node:net"
import path from "node:path"
import { json } from "node:stream/consumers"
import { afterAll, expect, it } from "vitest"
import { policyFor } from "../../emulator/example-layout.ts"
import { type FileUploadService, startFileUploadService } from "../../emulator/origins/file-upload-service.ts"
import { startAzureStore } from "../../emulator/origins/stores/azure-store.ts"
import { startGcsStore } from "../../emulator/origins/stores/gcs-store.ts"
import type { ObjectStore } from "../../emulator/origins/stores/object-store.ts"
import { startS3Store } from "../../emulator/origins/stores/s3-store.ts"
import type { TestPlatform } from "../../emulator/testing.ts"
import { counted, ROOT, usePlatform } from "../harness.ts"

const ABORTS = Number(process.env.SALLYPORT_UPLOAD_ABORTS ?? 300)
const SEED = Number(process.env.SALLYPORT_SEED ?? randomInt(2 ** 31))
const TIMEOUT_MS = 600_000 + 100 * ABORTS
/** Uploads at a time. */
const LANES = 12
const LARGEST_BYTES = 1024 * 1024
/** Milliseconds after the last abort within which nothing may be open any more. */
const SETTLED_MS = 1_000
/** Companies of the example directory, each in a zone and with a store of its own. */
const COMPANIES = { "100": "us01", "200": "us02", "300": "uk01" } as const
type Company = keyof typeof COMPANIES
const ZONES = Object.values(COMPANIES)
const IDS = Object.keys(COMPANIES) as Company[]

const stores = new Map<string, ObjectStore>()
/** What waits for the upload service to ask a store for a target, by upload id. */
const targetAsked = new Map<string, () => void>()
let service: FileUploadService

const platform = usePlatform({}, async (running) => {
  const started = await Promise.all([startS3Store(), startAzureStore(), startGcsStore()])
  IDS.forEach((company, at) => {
    const store = started[at]
    if (store !== undefined) stores.set(company, telling(store))
  })
  const [putKey = "", getKey = ""] = [newKey(), newKey()]
  service = await startFileUploadService({
    port: 0,
    storageUrl: "https://storage.procore.com",
    putKeys: [putKey],
    getKeys: [getKey],
    storeOf: (company) => stores.get(company) ?? null,
  })
  await deployFiles(running, { URI_INTEGRITY_V2_1_PUT_DECRYPT: putKey, URI_INTEGRITY_V2_1_GET_ENCRYPT: getKey })
})

afterAll(async () => {
  await service?.close()
  for (const store of stores.values()) await store.close()
})

it(
  `leaves nothing behind of ${ABORTS} uploads that are broken off, seed ${SEED}`,
  async ({ task }) => {
    const random = generator(SEED)
    const whole = new Map<Company, string>()
    for (const company of IDS) whole.set(company, await storeWhole(company))

    const plans = Array.from({ length: ABORTS }, (_, index) => planOf(index, random))
    let inStore = 0
    const lane = async () => {
      for (let plan = plans.pop(); plan !== undefined; plan = plans.pop()) if (await breakOff(plan)) inStore++
    }
    await Promise.all(Array.from({ length: LANES }, lane))

    const endedAt = performance.now()
    while (openUploads() > 0 && performance.now() - endedAt < SETTLED_MS) await nextTurn()
    const settledMs = performance.now() - endedAt
    let partialObjects = -IDS.length
    for (const store of stores.values()) partialObjects += (await store.keys()).length
    counted(task, "upload_aborts", { uploads: ABORTS, partial_objects: partialObjects, open_upstreams: openUploads() })
    expect(openUploads()).toBe(0)
    expect(settledMs).toBeLessThan(SETTLED_MS)
    // Else the aborts would have shown nothing about the way to the store.
    expect(inStore).toBeGreaterThan(ABORTS / 4)
    for (const company of IDS) expect(await stores.get(company)?.keys()).toEqual([whole.get(company)])
    for (const company of IDS) await storeWhole(company)
    expect(openUploads()).toBe(0)
  },
  TIMEOUT_MS,
)

interface Plan {
  readonly company: Company
  readonly content: Buffer
  readonly isDigestAnnounced: boolean
  /** Bytes of the body that are sent, fewer than all. */
  readonly sentBytes: number
  /** At once, or when an upload to the store is under way. */
  readonly when: "at-once" | "in-store"
  readonly isReset: boolean
}

function planOf(index: number, random: () => number): Plan {
  const sizeBytes = 1 + Math.floor(random() * LARGEST_BYTES)
  const isNearMiss = random() < 0.1
  return {
    company: IDS[index % IDS.length] ?? "100",
    content: Buffer.alloc(sizeBytes, index),
    isDigestAnnounced: random() < 0.5,
    sentBytes: isNearMiss ? sizeBytes - 1 : Math.floor(random() * sizeBytes),
    when: random() < 0.3 ? "at-once" : "in-store",
    isReset: random() < 0.5,
  }
}

/** Whether the store had an upload under way when the client went. */
async function breakOff({ company, content, isDigestAnnounced, sentBytes, when, isReset }: Plan): Promise<boolean> {
  const { id, target } = await announce(company, content, isDigestAnnounced)
  const store = stores.get(company)
  const asked = new Promise<void>((resolve) => targetAsked.set(id, resolve))
  const { hostname, port } = new URL(platform().edgeUrl)
  const socket = connect(Number(port), hostname)
  let isClosed = false
  socket.on("error", () => {})
  const closed = once(socket, "close").then(() => {
    isClosed = true
  })
  const head = `PUT ${target} HTTP/1.1\r\nHost: storage.procore.com\r\nContent-Length: ${content.length}\r\n\r\n`
  socket.write(head)
  await new Promise((resolve) => socket.write(content.subarray(0, sentBytes), resolve))
  if (when === "in-store") {
    await Promise.race([asked, closed])
    while (store?.openUploads() === 0 && !isClosed) await nextTurn()
  }
  const wasInStore = (store?.openUploads() ?? 0) > 0
  // An answer before the end of the body would be a refusal, and the abort none.
  expect(isClosed, `an upload of ${content.length} bytes was answered after ${sentBytes}`).toBe(false)
  expect(socket.bytesRead).toBe(0)
  if (isReset) socket.resetAndDestroy()
  else socket.destroy()
  await closed
  targetAsked.delete(id)
  return wasInStore
}

/** A whole upload; returns its key in the store. */
async function storeWhole(company: Company): Promise<string> {
  const content = randomBytes(100_000)
  const { id, target } = await announce(company, content, true)
  const response = await platform().fetch(`https://storage.procore.com${target}`, { method: "PUT", body: content })
  expect(response.status, await response.clone().text()).toBe(200)
  const [key = ""] = service.objectsOf(id) ?? []
  expect(Buffer.compare(content, (await stores.get(company)?.read(key)) ?? Buffer.alloc(0))).toBe(0)
  return key
}

async function announce(company: Company, content: Buffer, isDigestAnnounced: boolean) {
  const sha256 = createHash("sha256").update(content).digest("hex")
  const upload = { file_name: "a.bin", file_size: content.length, ...(isDigestAnnounced ? { sha256 } : {}) }
  const { data } = (await post(`${service.url}/rest/v2.1/companies/${company}/uploads`, upload)) as {
    data: { upload_id: string; segments: { url: string }[] }
  }
  const { pathname, search } = new URL(data.segments[0]?.url ?? "")
  return { id: data.upload_id, target: pathname + search }
}

/** On a connection of its own: a kept one may be closed by the server at the moment it is used again. */
async function post(url: string, body: object): Promise<unknown> {
  const client = http.request(url, { method: "POST", agent: false })
  client.end(JSON.stringify(body))
  const [response] = (await once(client, "response")) as [http.IncomingMessage]
  expect(response.statusCode).toBe(201)
  return json(response)
}

/** The same store, which tells when a target in it was asked for. */
function telling(store: ObjectStore): ObjectStore {
  return {
    ...store,
    presignPut: async (key, options) => {
      const target = await store.presignPut(key, options)
      for (const segment of key.split("/")) targetAsked.get(segment)?.()
      return target
    },
  }
}

async function deployFiles(running: TestPlatform, secrets: Readonly<Record<string, string>>): Promise<void> {
  const { audiences } = policyFor(running) as { audiences: Record<string, unknown> }
  const services = ZONES.map((zone) => [`fus:${zone}`, { origins: [service.url] }])
  await running.api.put("/v1/policy/audiences", { ...audiences, ...Object.fromEntries(services) })
  const egress = [...stores.values()].map((store) => store.origin)
  const grants = ["zones:read", ...ZONES.map((zone) => `audience:fus:${zone}`)]
  await running.putTeam("files", { grants, egress: [...egress, service.url] })
  await running.api.put("/v1/scripts/files", { team: "files", timeoutMs: 300_000 })
  await running.uploadWorker({
    directory: path.join(ROOT, "user-workers/files"),
    team: "files",
    vars: { STORE_ORIGINS: egress.join(" ") },
    secrets,
    route: { hostname: "storage.procore.com", path: "/rest/v2.1/*", auth: "none" },
  })
}

function openUploads(): number {
  return [...stores.values()].reduce((sum, store) => sum + store.openUploads(), 0)
}

function newKey(): string {
  return randomBytes(32).toString("base64url")
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Numbers in [0, 1), the same for the same seed: a linear congruential generator (Numerical Recipes), good enough to scatter. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
