/**
 * The example file upload service (FUS) of a zone: a plain Node server as it might stand behind the edge. Clients create, watch and complete uploads here;
 * the files Worker asks it where the bytes go. Written against the published API and with node:crypto alone, so that it proves what any backend can do.
 *
 * It is the one place that knows whether an upload URL was used. A **claim** is made when the Worker asks for a target, names an object of its own in the store, and
 * counts only once it is burnt: whatever a claim that lapsed still writes is an object that nobody refers to.
 * Long because it stands for a backend of somebody else's and shares no code with the gateway.
 */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import { listen } from "../listen.ts"
import { originSpans } from "./origin-spans.ts"
import type { ObjectStore } from "./stores/object-store.ts"

const MIB = 1024 * 1024
/** Bytes: a part is larger than this, but for the last one. */
const SMALLEST_PART = 5 * MIB
const LARGEST_PART = 100 * MIB
/** What stores take in one request. */
const LARGEST_STANDARD = 5 * 1024 * MIB
const MOST_PARTS = 10_000
const BODY_LIMIT = 4 * MIB
/** Seconds by which clocks may differ. */
const SKEW_S = 30
/** What can be a header's value wherever it goes. */
const CONTENT_TYPE = /^[!-~](?:[ -~]{0,253}[!-~])?$/
const HEX = { sha256: /^[0-9a-f]{64}$/, md5: /^[0-9a-f]{32}$/ }
const UPLOAD_PATH =
  /^\/rest\/v2\.1\/companies\/([0-9]{1,20})(?:\/projects\/([0-9]{1,20}))?\/uploads(?:\/([A-Za-z0-9_-]{1,64})(\/parts\/([1-9][0-9]{0,4}))?(\/url)?)?$/

export interface FileUploadServiceOptions {
  /** 0 takes any free one. */
  readonly port: number
  /** Where clients send bytes, such as `https://storage.procore.com`. */
  readonly storageUrl: string
  /** Base64url keys of at least 32 bytes: with these it signs the clients' URLs (the first) … */
  readonly putKeys: readonly string[]
  /** … and with these it verifies the files Worker's requests (any). */
  readonly getKeys: readonly string[]
  /** The company's store; null for a company that it does not serve. */
  readonly storeOf: (company: string) => ObjectStore | null
  /** Who asks, as `[A-Za-z0-9_-]{1,64}`; null refuses. Default: everybody is `anonymous`. */
  readonly userOf?: (headers: IncomingHttpHeaders) => Promise<string | null>
  /** Seconds that a client's URL is good for. Default 3 600. */
  readonly urlLifetimeS?: number
  /** Seconds after which a claim that was neither burnt nor given back lapses; longer than the files Worker takes for an upload. Default 600. */
  readonly claimLifetimeS?: number
  /** Base URL of an OpenTelemetry collector, to which it sends its part of a trace that is recorded; without it, nothing. */
  readonly otlpEndpoint?: string
  readonly now?: () => number
  /** Told of each claim that was made, given back or burnt. */
  readonly onClaim?: (uploadId: string, what: "made" | "given-back" | "burnt") => void
}

export interface FileUploadService extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  /** Where the bytes of the parts are, in their order; null when the upload is not complete. For tests. */
  objectsOf(uploadId: string): readonly string[] | null
  close(): Promise<void>
}

interface Segment {
  readonly size: number
  readonly sha256: string | null
  readonly md5: string | null
  claim: { readonly id: string; readonly key: string; readonly untilMs: number } | null
  stored: { readonly claim: string; readonly key: string; readonly etag: string } | null
}

interface Upload {
  readonly id: string
  readonly company: string
  readonly project: string | null
  readonly user: string
  readonly fileName: string
  readonly contentType: string
  readonly size: number
  readonly isStandard: boolean
  readonly segments: readonly Segment[]
  isComplete: boolean
}

class Refused extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

type Settings = Required<Omit<FileUploadServiceOptions, "otlpEndpoint">>

export async function startFileUploadService(options: FileUploadServiceOptions): Promise<FileUploadService> {
  const settings: Settings = {
    userOf: async () => "anonymous",
    urlLifetimeS: 3_600,
    claimLifetimeS: 600,
    now: Date.now,
    onClaim: () => undefined,
    ...options,
  }
  const uploads = new Map<string, Upload>()
  const spans = options.otlpEndpoint === undefined ? null : originSpans("file-upload-service", options.otlpEndpoint)
  const server = createServer((request, response) => {
    spans?.begin(request, response)
    handle(request, uploads, settings).then(
      ({ status, body }) => answer(response, status, body),
      (thrown) => {
        const { status, code, message } =
          thrown instanceof Refused ? thrown : new Refused(500, "internal", "something went wrong")
        answer(response, status, { code, message })
      },
    )
  })
  const { url, stop } = await listen(server, options.port)
  const close = () => stop().then(() => spans?.stop())
  return {
    url,
    objectsOf: (uploadId) => {
      const keys = uploads.get(uploadId)?.segments.map((segment) => segment.stored?.key ?? null) ?? [null]
      return keys.every((key) => key !== null) ? keys : null
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Answer {
  readonly status: number
  readonly body?: unknown
}

async function handle(request: IncomingMessage, uploads: Map<string, Upload>, settings: Settings): Promise<Answer> {
  const [path = ""] = (request.url ?? "").split("?")
  const [, company, project = null, id, isPart, part, isInternal] = UPLOAD_PATH.exec(path) ?? []
  if (company === undefined) throw new Refused(404, "unknown", "there is nothing here")
  const place = { company, project }
  if (isInternal !== undefined) {
    const query = signedQuery(request, settings)
    const upload = find(uploads, id, place, query.user_id)
    const segment = upload.isStandard === (isPart === undefined) ? upload.segments[Number(part ?? 1) - 1] : undefined
    if (segment === undefined) throw new Refused(404, "unknown", "there is no such upload")
    return handleClaim(request.method ?? "", upload, segment, query, settings)
  }
  const user = await settings.userOf(request.headers)
  if (user === null) throw new Refused(401, "unauthenticated", "say who you are")
  if (id === undefined) {
    if (request.method !== "POST") throw new Refused(405, "method", "POST creates an upload")
    const upload = createUpload(await readJson(request), place, user, settings)
    uploads.set(upload.id, upload)
    return { status: 201, body: { data: await describeUpload(upload, settings) } }
  }
  if (isPart !== undefined) throw new Refused(404, "unknown", "there is nothing here")
  const upload = find(uploads, id, place, user)
  if (request.method === "PATCH") complete(upload, await readJson(request))
  else if (request.method !== "GET") throw new Refused(405, "method", "GET or PATCH")
  return { status: 200, body: { data: await describeUpload(upload, settings) } }
}

/** Another company's, project's or user's upload is answered as if it were not there. */
function find(
  uploads: ReadonlyMap<string, Upload>,
  id: string | undefined,
  place: { readonly company: string; readonly project: string | null },
  user: string | undefined,
): Upload {
  const upload = uploads.get(id ?? "")
  if (upload?.company !== place.company || upload.project !== place.project || upload.user !== user)
    throw new Refused(404, "unknown", "there is no such upload")
  return upload
}

function createUpload(
  given: Record<string, unknown>,
  place: { readonly company: string; readonly project: string | null },
  user: string,
  settings: Settings,
): Upload {
  if (settings.storeOf(place.company) === null) throw new Refused(404, "unknown", "there is no such company")
  const { file_name: fileName, file_size: size, content_type: contentType = "application/octet-stream" } = given
  if (typeof fileName !== "string" || fileName === "" || !isSize(size))
    throw new Refused(422, "invalid", "file_name and file_size in bytes are needed")
  if (typeof contentType !== "string" || !CONTENT_TYPE.test(contentType))
    throw new Refused(422, "invalid", "content_type is 1–255 printable ASCII characters")
  const isStandard = given.segments === undefined
  const segments = isStandard ? [readSegment(given, size)] : readSegments(given.segments, size)
  if (isStandard && size > LARGEST_STANDARD) throw new Refused(422, "invalid", "send more than 5 GiB in segments")
  const id = `01${randomBytes(12).toString("hex").toUpperCase()}`
  return { id, ...place, user, fileName, contentType, size, isStandard, segments, isComplete: false }
}

function readSegments(given: unknown, size: number): Segment[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > MOST_PARTS)
    throw new Refused(422, "invalid", "segments holds 1–10000 parts")
  const segments = given.map((each: Record<string, unknown>) => readSegment(each ?? {}, each?.size))
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1
    if (segment.size > LARGEST_PART || (!isLast && segment.size <= SMALLEST_PART))
      throw new Refused(422, "invalid", "a part is over 5 MiB, but for the last one, and at most 100 MiB")
    if (segment.sha256 === null) throw new Refused(422, "invalid", "each part needs its sha256")
  })
  if (segments.reduce((sum, segment) => sum + segment.size, 0) !== size)
    throw new Refused(422, "invalid", "the parts' sizes must sum up to file_size")
  return segments
}

function readSegment(given: Record<string, unknown>, size: unknown): Segment {
  const { sha256 = null, md5 = null } = given
  const isHex = (value: unknown, shape: RegExp) => typeof value === "string" && shape.test(value)
  if (!isSize(size)) throw new Refused(422, "invalid", "size is a number of bytes, at least 1")
  if (sha256 !== null && !isHex(sha256, HEX.sha256)) throw new Refused(422, "invalid", "sha256 is 64 small hex digits")
  if (md5 !== null && !isHex(md5, HEX.md5)) throw new Refused(422, "invalid", "md5 is 32 small hex digits")
  return { size, sha256: sha256 as string | null, md5: md5 as string | null, claim: null, stored: null }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1
}

/** `part_etags` in the order of the segments; null for one that is still to come. */
function complete(upload: Upload, { part_etags: etags }: Record<string, unknown>): void {
  if (!Array.isArray(etags) || etags.length !== upload.segments.length)
    throw new Refused(422, "invalid", "part_etags holds one ETag per segment, or null")
  upload.segments.forEach(({ stored }, index) => {
    const etag: unknown = etags[index]
    if (etag !== null && (stored === null || bare(etag) !== bare(stored.etag)))
      throw new Refused(409, "etag", `part ${index + 1} was not stored with this ETag`)
  })
  upload.isComplete ||= etags.every((etag) => etag !== null)
}

/** Clients may leave the quotes out. */
function bare(etag: unknown): string {
  return String(etag).replace(/^"(.*)"$/, "$1")
}

async function describeUpload(upload: Upload, settings: Settings) {
  const expiresAt = Math.floor(settings.now() / 1000) + settings.urlLifetimeS
  const open = upload.segments.map((segment, index) =>
    segment.stored === null ? [describeSegment(upload, segment, index, expiresAt, settings)] : [],
  )
  const hasBegun = upload.segments.some((segment) => segment.stored !== null)
  return {
    upload_id: upload.id,
    file_name: upload.fileName,
    sanitized_file_name: upload.fileName.replaceAll(/[^A-Za-z0-9._ -]/g, "_"),
    file_size: upload.size,
    content_type: upload.contentType,
    upload_expires_at: expiresAt,
    segments: open.flat(),
    custom_metadata: {},
    // Nothing is scanned here, so that what is complete is available at once.
    status: upload.isComplete ? "available" : hasBegun ? "receiving" : "ready",
  }
}

/** Signed anew whenever it is asked for. */
function describeSegment(upload: Upload, segment: Segment, index: number, expiresAt: number, settings: Settings) {
  const project = upload.project === null ? "" : `/projects/${upload.project}`
  const part = upload.isStandard ? "" : `/parts/${index + 1}`
  const path = `/rest/v2.1/companies/${upload.company}${project}/uploads/${upload.id}${part}`
  const query = `expires_at=${expiresAt}&user_id=${upload.user}`
  const sig = macOf(settings.putKeys[0] ?? "", "PUT", new URL(settings.storageUrl).host, path, query).toString("hex")
  return {
    part_number: index + 1,
    url: `${settings.storageUrl}${path}?${query}&sig=${sig}`,
    url_expires_at: expiresAt,
    headers: { "Content-Length": String(segment.size) },
  }
}

/** The files Worker's requests: GET claims, DELETE gives back, PATCH burns. Each may be repeated with the same claim. */
async function handleClaim(
  method: string,
  upload: Upload,
  segment: Segment,
  query: Readonly<Record<string, string>>,
  settings: Settings,
): Promise<Answer> {
  const claimId = query.claim ?? ""
  if (method === "PATCH") {
    const burnt = burn(segment, claimId, query.etag ?? "")
    settings.onClaim(upload.id, "burnt")
    return burnt
  }
  if (method === "DELETE") {
    if (segment.claim?.id === claimId) segment.claim = null
    settings.onClaim(upload.id, "given-back")
    return { status: 204 }
  }
  if (segment.stored !== null) throw new Refused(409, "used", "this URL has been used")
  const nowMs = settings.now()
  const isFree = segment.claim === null || segment.claim.untilMs <= nowMs || segment.claim.id === claimId
  if (!isFree) throw new Refused(409, "in-progress", "this URL is being used")
  const index = upload.segments.indexOf(segment)
  const key = `companies/${upload.company}/uploads/${upload.id}/${index + 1}/${randomUUID()}`
  segment.claim = { id: claimId, key, untilMs: nowMs + settings.claimLifetimeS * 1000 }
  settings.onClaim(upload.id, "made")
  const store = settings.storeOf(upload.company)
  if (store === null) throw new Refused(404, "unknown", "there is no such company")
  const { size, sha256, md5 } = segment
  const { url, headers } = await store.presignPut(key, {
    contentLength: size,
    contentType: upload.contentType,
    sha256,
    md5,
    expiresS: settings.claimLifetimeS,
  })
  const { "content-length": _length, ...toSend } = headers
  return {
    status: 200,
    body: {
      url,
      method: "PUT",
      headers: toSend,
      client_headers: { "content-length": String(size) },
      content_length: size,
      sha256,
      md5,
      is_last: index === upload.segments.length - 1,
    },
  }
}

/** Only the claim that holds the URL can burn it: one that lapsed while another began lost it. */
function burn(segment: Segment, claimId: string, etag: string): Answer {
  if (segment.stored?.claim === claimId) return { status: 204 }
  if (segment.stored !== null || segment.claim?.id !== claimId)
    throw new Refused(409, "lapsed", "this claim does not count any more")
  const { key } = segment.claim
  segment.stored = { claim: claimId, key, etag: Buffer.from(etag, "base64url").toString("latin1") }
  segment.claim = null
  return { status: 204 }
}

/** The query of a request that the files Worker signed and that has not expired; refuses 403 else. */
function signedQuery(request: IncomingMessage, settings: Settings): Readonly<Record<string, string>> {
  const names = ["expires_at", "user_id", "claim", ...(request.method === "PATCH" ? ["etag"] : [])]
  const [path = "", rawQuery = "", ...more] = (request.url ?? "").split("?")
  const [, query = "", sig = ""] = /^(.+)&sig=([0-9a-f]{64})$/.exec(rawQuery) ?? []
  const pairs = query.split("&").map((pair) => pair.split("="))
  const isAsNamed =
    pairs.length === names.length &&
    pairs.every((pair, at) => pair.length === 2 && pair[0] === names[at] && /^[\w.~-]+$/.test(pair[1] ?? ""))
  const isKnownMethod = ["GET", "DELETE", "PATCH"].includes(request.method ?? "")
  const host = request.headers.host ?? ""
  const isGenuine = settings.getKeys
    .map((key) =>
      timingSafeEqual(macOf(key, request.method ?? "", host, path, query), Buffer.from(sig.padEnd(64, "0"), "hex")),
    )
    .includes(true)
  if (!isAsNamed || !isKnownMethod || more.length > 0 || sig === "" || !isGenuine)
    throw new Refused(403, "signature", "this request was not signed")
  const parameters: Record<string, string> = Object.fromEntries(pairs)
  if (!(settings.now() / 1000 < Number(parameters.expires_at) + SKEW_S))
    throw new Refused(403, "expired", "this request has expired")
  return parameters
}

function macOf(key: string, method: string, host: string, path: string, query: string): Buffer {
  const bytes = Buffer.from(key, "base64url")
  if (bytes.length < 32) throw new TypeError("A key must have at least 32 bytes")
  return createHmac("sha256", bytes).update(`${method}\n${host}\n${path}\n${query}`).digest()
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > BODY_LIMIT) throw new Refused(413, "too-large", "the body is too large")
    chunks.push(chunk)
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"))
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Answered below like any other body that is no object.
  }
  throw new Refused(400, "malformed", "the body must be a JSON object")
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
