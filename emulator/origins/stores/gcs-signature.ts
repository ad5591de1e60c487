/**
 * How Google Cloud Storage checks a V4 signed URL (GOOG4-RSA-SHA256): called by gcs-store.ts, and proven by Google's own vectors beside this file.
 * It knows no object and no store, only the request as it came and the public keys of the accounts.
 * @see https://cloud.google.com/storage/docs/authentication/canonical-requests
 */
import { createHash, type KeyObject, verify } from "node:crypto"

const ALGORITHM = "GOOG4-RSA-SHA256"
const UNSIGNED = "UNSIGNED-PAYLOAD"
const PAYLOAD_HEADER = "x-goog-content-sha256"
/** Seven days. */
const MAX_EXPIRES_S = 604_800
/** Milliseconds that a signer's clock may be ahead. */
const SKEW_MS = 15 * 60_000

export interface SignedRequest {
  readonly method: string
  /** As it stands on the wire: `/bucket/object?query`. */
  readonly target: string
  /** Lower-case names, `host` among them. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface SignatureCheck {
  /** Of the service account that this e-mail names; null when there is none. */
  readonly publicKeyOf: (email: string) => KeyObject | null
  /** Unix milliseconds. */
  readonly now: number
}

/** `code` as in GCS's XML answers. */
export interface SignatureFault {
  readonly status: 400 | 403
  readonly code:
    | "AuthenticationRequired"
    | "ExpiredToken"
    | "InvalidArgument"
    | "MalformedSecurityHeader"
    | "SignatureDoesNotMatch"
}

/** Null when the request is exactly what was signed, by a known account, and now is in its time. */
export function faultOfGcsSignature(
  request: SignedRequest,
  { publicKeyOf, now }: SignatureCheck,
): SignatureFault | null {
  const [rawPath = "", rawQuery = ""] = request.target.split(/\?(.*)/s)
  const parameters = readParameters(rawQuery)
  if (parameters === null) return invalid("InvalidArgument")
  const [algorithm, credential, date, expires, signedHeaders, signature] = [
    "algorithm",
    "credential",
    "date",
    "expires",
    "signedheaders",
    "signature",
  ].map((name) => only(parameters, `x-goog-${name}`))
  if (signature === undefined) return { status: 403, code: "AuthenticationRequired" }
  const scope = readScope(credential ?? "")
  const signedAt = readDate(date ?? "")
  if (algorithm !== ALGORITHM || scope === null || signedAt === null || !/^(?:[0-9a-f]{2})+$/.test(signature))
    return invalid("InvalidArgument")
  if (scope.day !== date?.slice(0, 8) || !/^[1-9][0-9]{0,5}$/.test(expires ?? "") || Number(expires) > MAX_EXPIRES_S)
    return invalid("InvalidArgument")
  const names = (signedHeaders ?? "").split(";")
  const canonicalHeaders = canonicalHeadersOf(request.headers, names)
  if (canonicalHeaders === null) return invalid("MalformedSecurityHeader")
  const path = canonicalPathOf(rawPath)
  const key = publicKeyOf(scope.email)
  if (path === null || key === null) return { status: 403, code: "SignatureDoesNotMatch" }
  const canonicalRequest = [
    request.method,
    path,
    canonicalQueryOf(parameters),
    canonicalHeaders,
    names.join(";"),
    request.headers[PAYLOAD_HEADER] ?? UNSIGNED,
  ].join("\n")
  const digest = createHash("sha256").update(canonicalRequest).digest("hex")
  const signed = [ALGORITHM, date, scope.text, digest].join("\n")
  if (!verify("RSA-SHA256", Buffer.from(signed), key, Buffer.from(signature, "hex")))
    return { status: 403, code: "SignatureDoesNotMatch" }
  const inTime = signedAt - SKEW_MS <= now && now < signedAt + Number(expires) * 1000
  return inTime ? null : invalid("ExpiredToken")
}

function invalid(code: SignatureFault["code"]): SignatureFault {
  return { status: 400, code }
}

type Parameters = readonly (readonly [name: string, value: string])[]

function readParameters(rawQuery: string): Parameters | null {
  try {
    return rawQuery.split("&").map((pair) => {
      const [name = "", value = ""] = pair.split(/=(.*)/s)
      return [decodeURIComponent(name), decodeURIComponent(value)] as const
    })
  } catch {
    return null
  }
}

/** Undefined also when it stands there more than once: nobody may choose which of two counts. */
function only(parameters: Parameters, lowerName: string): string | undefined {
  const found = parameters.filter(([name]) => name.toLowerCase() === lowerName)
  return found.length === 1 ? found[0]?.[1] : undefined
}

function readScope(credential: string): { email: string; day: string; text: string } | null {
  const [email = "", day = "", location, service, type, ...more] = credential.split("/")
  const wellFormed = email !== "" && location !== undefined && service === "storage" && type === "goog4_request"
  return wellFormed && more.length === 0 ? { email, day, text: `${day}/${location}/${service}/${type}` } : null
}

/** Unix milliseconds of `20190201T090000Z`. */
function readDate(date: string): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  if (match === null) return null
  const [, year, month, day, hour, minute, second] = match
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? null : at
}

/** Null when a signed header is missing, or one that GCS obeys is not signed. */
function canonicalHeadersOf(headers: SignedRequest["headers"], names: readonly string[]): string | null {
  const unsigned = Object.keys(headers).some((name) => name.startsWith("x-goog-") && !names.includes(name))
  if (unsigned || !names.includes("host")) return null
  let text = ""
  for (const name of names) {
    const value = headers[name]
    if (value === undefined) return null
    // Google's signers leave the port out.
    const canonical = name === "host" ? value.replace(/:\d+$/, "") : value.trim().replaceAll(/\s+/g, " ")
    text += `${name}:${canonical}\n`
  }
  return text
}

function canonicalPathOf(rawPath: string): string | null {
  try {
    return rawPath
      .split("/")
      .map((segment) => encode(decodeURIComponent(segment)))
      .join("/")
  } catch {
    return null
  }
}

function canonicalQueryOf(parameters: Parameters): string {
  return parameters
    .filter(([name]) => name.toLowerCase() !== "x-goog-signature")
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("&")
}

/** Percent-encodes all but the unreserved characters of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
