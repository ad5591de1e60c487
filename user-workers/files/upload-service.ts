/**
 * The file upload service (FUS) of a company's zone: says where an upload goes, and keeps who is using its URL. Every request to it is signed, and names a
 * claim: made by `GET …/url`, given back by `DELETE`, burnt by `PATCH` with the ETag. Only the FUS decides which claim counts.
 * The claim goes with a passport for the FUS, put on it on the way out. What comes after goes by the claim alone: an upload may take longer than any passport lives.
 */
import { base64url } from "jose"
import { AUDIENCE_HEADER, CONFIG_HEADER, PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { parseUploadTarget, type UploadTarget } from "../../contracts/upload-target.ts"
import { egressRefusal } from "../../kit/egress-refusal.ts"
import { type HmacUrl, hmacUrl } from "../../kit/hmac-url.ts"
import { refuse } from "../../kit/problem.ts"

/** Seconds that a request to the FUS is good for. */
const LIFETIME_S = 60

export interface UploadService {
  readonly origin: string
  /** `fus:<zone>`: several zones may have one origin. */
  readonly audience: string
  /** As it came with the upload; exchanged for the FUS's on the way out. */
  readonly ownPassport: string
  /** The config revision that the upload is under, as it came with it. */
  readonly configRevision: string
  readonly keys: ServiceKeys
  readonly timeoutMs: number
}

/** One claim of one URL. */
export interface Claim {
  /** `/rest/v2.1/…/url` at the FUS. */
  readonly path: string
  readonly userId: string
  /** Chosen by whoever claims, so that a question asked twice is one claim. */
  readonly id: string
}

export interface ServiceKeys {
  readonly asking: HmacUrl
  readonly burning: HmacUrl
}

export function serviceKeys(keys: string): ServiceKeys {
  const parameters = ["expires_at", "user_id", "claim"]
  return { asking: hmacUrl({ keys, parameters }), burning: hmacUrl({ keys, parameters: [...parameters, "etag"] }) }
}

/** The refusals by which the service says that it made no claim. */
export const UNCLAIMED: ReadonlySet<string | null> = new Set([
  "upload.unknown",
  "upload.in-progress",
  "upload.already-used",
])

/** Claims the URL. Refuses `upload.unknown`, `upload.in-progress`, `upload.already-used`, `upload.target-refused`, `upload.service-*`. */
export async function claimTarget(
  service: UploadService,
  claim: Claim,
  storeOrigins: readonly string[],
): Promise<UploadTarget> {
  const response = await ask(service, "GET", claim)
  const refusal = egressRefusal(response, "upload.service-failed")
  if (refusal !== null) throw refusal
  const answer: unknown = await response.json().catch(() => null)
  if (response.status === 404) throw refuse("upload.unknown")
  if (response.status === 409) throw refuse(isUsed(answer) ? "upload.already-used" : "upload.in-progress")
  const announced = response.status === 200 ? parseUploadTarget(answer, claim.path.includes("/parts/")) : null
  if (announced === null) throw refuse("upload.service-failed", { log: { status: response.status } })
  const url = URL.parse(announced.url)
  if (url === null || !storeOrigins.includes(url.origin) || url.username !== "" || url.password !== "")
    throw refuse("upload.target-refused", { log: { origin: url?.origin ?? "invalid" } })
  return announced
}

/** Gives an unused claim back, so that the URL is good again at once. Without success it lapses by itself. */
export async function releaseClaim(service: UploadService, claim: Claim): Promise<void> {
  await ask(service, "DELETE", claim).catch(() => undefined)
}

/** Burns the URL: what this claim stored is the content. Asked once more when there was no answer. Refuses `upload.not-recorded`. */
export async function burnClaim(service: UploadService, claim: Claim, etag: string): Promise<void> {
  const burn = () => ask(service, "PATCH", claim, etag)
  const response = await burn()
    .then((first) => (first.status >= 500 ? burn() : first), burn)
    .catch(() => null)
  if (response?.status !== 204) throw refuse("upload.not-recorded", { log: { status: response?.status ?? null } })
}

async function ask(service: UploadService, method: string, claim: Claim, etag?: string): Promise<Response> {
  const { origin, audience, ownPassport, configRevision, keys } = service
  const claiming = { [PASSPORT_HEADER]: ownPassport, [AUDIENCE_HEADER]: audience, [CONFIG_HEADER]: configRevision }
  const headers = method === "GET" ? claiming : {}
  const expires_at = String(Math.floor(Date.now() / 1000) + LIFETIME_S)
  const parameters = { expires_at, user_id: claim.userId, claim: claim.id }
  const url =
    etag === undefined
      ? await keys.asking.sign(method, `${origin}${claim.path}`, parameters)
      : await keys.burning.sign(method, `${origin}${claim.path}`, { ...parameters, etag: base64url.encode(etag) })
  const signal = AbortSignal.timeout(service.timeoutMs)
  try {
    return await fetch(url, { method, headers, redirect: "manual", signal })
  } catch {
    throw refuse(signal.aborted ? "upload.service-timeout" : "upload.service-failed")
  }
}

function isUsed(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "code" in answer && answer.code === "used"
}
