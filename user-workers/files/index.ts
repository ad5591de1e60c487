/**
 * The files Worker on storage.procore.com: takes an upload whose URL the file upload service (FUS) signed, asks that service where it goes, and streams it there.
 * Nothing is stored here: whether a URL was used is known to the FUS of the company's zone.
 */
import { trace } from "@opentelemetry/api"
import type { Context, MiddlewareHandler } from "hono"
import type { PlatformApi } from "../../contracts/platform.ts"
import { CONFIG_HEADER, PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import type { UploadTarget } from "../../contracts/upload-target.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { AudienceDirectory } from "../../kit/audience-origins.ts"
import { cors } from "../../kit/cors.ts"
import { type HmacUrl, hmacUrl } from "../../kit/hmac-url.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { streamToStore } from "../../kit/stream-to-store.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { checkZone, revisionOf, ZoneDirectory } from "../../kit/zone-resolution.ts"
import {
  burnClaim,
  claimTarget,
  releaseClaim,
  type ServiceKeys,
  serviceKeys,
  UNCLAIMED,
  type UploadService,
} from "./upload-service.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  readonly STORE_ORIGINS: string
  readonly CORS_ORIGINS: string
  readonly SERVICE_TIMEOUT_MS: string
  readonly STORE_TIMEOUT_MS: string
  readonly UPLOAD_TIMEOUT_MS: string
  /** Secret: keys of the URLs that clients bring. */
  readonly URI_INTEGRITY_V2_1_PUT_DECRYPT: string
  /** Secret: keys of the requests to the FUS. */
  readonly URI_INTEGRITY_V2_1_GET_ENCRYPT: string
}
type Call = Context<{ Bindings: Env; Variables: PassportVariables }>

const UPLOAD_PATH = /^\/rest\/v2\.1\/companies\/([^/]+)(?:\/projects\/([^/]+))?\/uploads\/([^/]+)(?:\/parts\/([^/]+))?$/
/** Text, as ids exceed 53 bits. */
const IDS = {
  company: /^[0-9]{1,20}$/,
  project: /^[0-9]{1,20}$/,
  upload: /^[A-Za-z0-9_-]{1,64}$/,
  part: /^(?:[1-9][0-9]{0,3}|10000)$/,
} as const

const directory = new ZoneDirectory()
const services = new AudienceDirectory()
/** Made from the environment by the first request of an isolate. */
let keys: { readonly inward: HmacUrl; readonly outward: ServiceKeys } | null = null
let answerCors: { readonly origins: string; readonly answer: MiddlewareHandler } | null = null

const app = worker<Env, PassportVariables>({ log: writeLog })
app.use(tracing({ service: "files" }))
app.use((c, next) => corsOf(c.env)(c, next))
app.get("/rest/v2.1/uploads/health", (c) => c.json({ status: "ok" }))
// Every path and method, so that a URL that was changed, or is used for something else, is refused for that and not for where it leads.
app.all("*", requirePassport({ script: "files" }), async (c) => {
  const upload = takeUpload(c)
  // The claim is given back also when the client has gone and nobody waits for the answer.
  c.executionCtx.waitUntil(upload.catch(() => undefined))
  return new Response(null, { headers: { etag: await upload, "cache-control": "no-store" } })
})
export default app

/** The ETag of what was stored. */
async function takeUpload(c: Call): Promise<string> {
  const { env } = c
  const { passport } = c.var
  const request = c.req.raw
  if (passport.kind !== "anonymous") throw refuse("upload.credential-unexpected")
  const userId = await signedUser(request, keysOf(env).inward)
  if (request.method !== "PUT") throw refuse("route.not-found")
  const path = new URL(request.url).pathname
  const ids = readIds(path)
  describe({ company_id: ids.company, upload_id: ids.upload, is_standard: ids.part === undefined })
  if (request.headers.get("content-length") === null || request.body === null) throw refuse("upload.length-required")
  if (request.signal.aborted) throw refuse("upload.interrupted")

  const service = await serviceOf(ids.company, passport.facts.country, request, env)
  const claim = { path: `${path}/url`, userId, id: crypto.randomUUID() }
  const storeOrigins = wordsOf(env.STORE_ORIGINS)
  const limits = { storeTimeoutMs: msOf(env, "STORE_TIMEOUT_MS"), uploadTimeoutMs: msOf(env, "UPLOAD_TIMEOUT_MS") }
  let etag: string
  try {
    const target = await timed("fetch_cloud_storage_url", () => claimTarget(service, claim, storeOrigins))
    compareHeaders(request.headers, target)
    const { body, signal } = request
    etag = await timed("stream_to_cloud_storage", () => streamToStore(body, target, limits, signal))
  } catch (thrown) {
    const code = thrown instanceof Refusal ? thrown.code : null
    // Nobody waits a second time for a service that does not answer.
    if (code === "upload.service-timeout") c.executionCtx.waitUntil(releaseClaim(service, claim))
    else if (!UNCLAIMED.has(code)) await releaseClaim(service, claim)
    throw thrown
  }
  await burnClaim(service, claim, etag)
  return etag
}

function corsOf({ CORS_ORIGINS }: Env): MiddlewareHandler {
  if (answerCors?.origins !== CORS_ORIGINS) answerCors = { origins: CORS_ORIGINS, answer: corsFor(CORS_ORIGINS) }
  return answerCors.answer
}

/** Without an origin no script of any may read an answer: browsers see to that where nothing is said. */
function corsFor(text: string): MiddlewareHandler {
  const origins = wordsOf(text)
  if (origins.length === 0) return (_, next) => next()
  const exposeHeaders = ["etag", "x-request-id"]
  return cors({ origins, methods: ["GET", "PUT"], headers: ["content-type"], exposeHeaders, maxAgeS: 7_200 })
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== "")
}

/** Throws for a variable that is empty or no whole number: as a time it would be none at all, and every upload the service's or the store's failure. */
function msOf(env: Env, name: "SERVICE_TIMEOUT_MS" | "STORE_TIMEOUT_MS" | "UPLOAD_TIMEOUT_MS"): number {
  if (!/^[0-9]{1,9}$/.test(env[name])) throw new TypeError(`${name} must be whole milliseconds`)
  return Number(env[name])
}

function keysOf(env: Env) {
  keys ??= {
    inward: hmacUrl({ keys: env.URI_INTEGRITY_V2_1_PUT_DECRYPT, parameters: ["expires_at", "user_id"] }),
    outward: serviceKeys(env.URI_INTEGRITY_V2_1_GET_ENCRYPT),
  }
  return keys
}

async function signedUser(request: Request, links: HmacUrl): Promise<string> {
  const verdict = await links.verify(request.method, request.url)
  if (verdict.ok) return verdict.parameters.user_id ?? ""
  throw refuse(verdict.reason === "expired" ? "upload.url-expired" : "upload.signature-invalid")
}

function readIds(path: string) {
  const [match, company = "", project, upload = "", part] = UPLOAD_PATH.exec(path) ?? []
  if (match === undefined) throw refuse("route.not-found")
  const ids = { company, project, upload, part }
  const wrong = Object.entries(IDS).filter(([name, shape]) => !shape.test(ids[name as keyof typeof IDS] ?? "1"))
  if (wrong.length === 0) return ids
  const errors = wrong.map(([name]) => ({ pointer: `/${name}`, detail: "is not an id" }))
  throw refuse("upload.id-invalid", { errors })
}

/** The FUS of the company's zone. */
async function serviceOf(company: string, country: string | null, request: Request, env: Env): Promise<UploadService> {
  const revision = revisionOf(request.headers)
  const place = await directory.zoneOf(company, revision, (id, atLeast) =>
    askPlatform(() => env.PLATFORM.zoneOf(id, atLeast)),
  )
  if (place === null) throw refuse("company.unknown")
  checkZone(place, request.method, country)
  const audience = `fus:${place.zone}`
  const [origin] = await services.originsOf(audience, revision, (name) =>
    askPlatform(() => env.PLATFORM.originsOf(name)),
  )
  const ownPassport = request.headers.get(PASSPORT_HEADER) ?? ""
  const configRevision = request.headers.get(CONFIG_HEADER) ?? ""
  const timeoutMs = msOf(env, "SERVICE_TIMEOUT_MS")
  return { origin, audience, ownPassport, configRevision, keys: keysOf(env).outward, timeoutMs }
}

function compareHeaders(given: Headers, { contentLength, clientHeaders }: UploadTarget): void {
  if (given.get("content-length") !== String(contentLength)) throw refuse("upload.length-mismatch")
  const other = Object.entries(clientHeaders).filter(([name, value]) => given.get(name) !== value)
  const errors = other.map(([name]) => ({ pointer: `/headers/${name}`, detail: "is not as it was given" }))
  if (errors.length > 0) throw refuse("upload.headers-mismatch", { errors })
}

/** Span attributes `upload.<name>`. */
function describe(facts: Readonly<Record<string, string | number | boolean>>): void {
  const span = trace.getActiveSpan()
  for (const [name, value] of Object.entries(facts)) span?.setAttribute(`upload.${name}`, value)
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startedAt = Date.now()
  try {
    return await work()
  } finally {
    describe({ [`${name}_duration_ms`]: Date.now() - startedAt })
  }
}
