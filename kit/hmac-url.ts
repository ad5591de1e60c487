/**
 * Signed URLs: whoever holds the URL may make exactly this request until it expires, and nobody can make another out of it.
 * The HMAC-SHA256 covers method, host, path and query as the bytes that were sent, and nothing is normalised before it is checked:
 * a URL that could be written in a second way is not signed and not accepted. Used by the files Worker, inwards and outwards.
 * @see RFC 2104, RFC 3986 §2.3 (the characters that never need escaping)
 */

import { importHmacKeys, parseHmacKeys, signHmac, verifyHmac } from "./hmac-keys.ts"

const MAX_URL_LENGTH = 4_096
/** Seconds. */
const MAX_SKEW_S = 30

const ORIGIN_AND_PATH = /^https?:\/\/([a-z0-9.-]+(?::[0-9]{1,5})?)((?:\/[A-Za-z0-9._~-]+)+)$/
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/
const SIGNED_QUERY = /^(.+)&sig=([0-9a-f]{64})$/
const NAME = /^[a-z][a-z0-9_]{0,31}$/
const VALUE = /^[A-Za-z0-9._~-]{1,256}$/
const SECONDS = /^[1-9][0-9]{9,11}$/

export interface HmacUrlOptions {
  /** As hmac-keys.ts says; the first signs. */
  readonly keys: string
  /** Names of the parameters beside `sig`, in the order in which they stand. `expires_at` must be among them. */
  readonly parameters: readonly string[]
  /** Seconds after its expiry that a URL is still taken, for clocks that differ: 0–30, default 30. */
  readonly skewS?: number
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
}

/** A URL that was not signed as it stands is `forged`, whatever is wrong with it; only a genuine one can be `expired`. */
export type HmacUrlVerdict =
  | { readonly ok: true; readonly parameters: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly reason: "forged" | "expired" }

export interface HmacUrl {
  /**
   * `url` (origin and path, no query) with the parameters and `sig`. Throws TypeError for what could not be verified: a path or value with other
   * characters than RFC 3986's unreserved ones, a missing or additional parameter.
   */
  sign(method: string, url: string, parameters: Readonly<Record<string, string>>): Promise<string>
  /** `url` as it arrived, with its query. Never throws. */
  verify(method: string, url: string): Promise<HmacUrlVerdict>
}

/**
 * Signer and verifier with these keys. Make it once per isolate: each key is imported once. Throws TypeError for keys or parameters that are not as they must be.
 *
 * ```ts
 * const links = hmacUrl({ keys: env.LINK_KEYS, parameters: ["expires_at", "user_id"] })
 * const url = await links.sign("PUT", "https://storage.procore.com/files/17", { expires_at: "1800000000", user_id: "42" })
 * const verdict = await links.verify("PUT", url)
 * ```
 */
export function hmacUrl(options: HmacUrlOptions): HmacUrl {
  const rawKeys = parseHmacKeys(options.keys)
  const names = checkNames(options.parameters)
  const skewS = checkSkew(options.skewS ?? MAX_SKEW_S)
  const clock = options.clock ?? Date
  let imported: readonly CryptoKey[] | null = null

  /** Only keys are kept for other requests, never the promise of one. */
  async function keys(): Promise<readonly CryptoKey[]> {
    imported ??= await importHmacKeys(rawKeys)
    return imported
  }

  return {
    async sign(method, url, parameters) {
      const target = readTarget(url)
      const query = names.map((name) => `${name}=${parameters[name] ?? ""}`).join("&")
      if (target === null || Object.keys(parameters).length !== names.length || readQuery(query, names) === null)
        throw new TypeError("Only a URL of unreserved characters with exactly the named parameters can be signed")
      const mac = await signHmac(await keys(), signedBytes(method, target, query))
      const signed = `${url}?${query}&sig=${hex(mac)}`
      if (signed.length > MAX_URL_LENGTH) throw new TypeError("The URL is too long")
      return signed
    },

    async verify(method, url) {
      const read = url.length > MAX_URL_LENGTH ? null : readSigned(url, names)
      if (read === null) return { ok: false, reason: "forged" }
      const bytes = signedBytes(method, read.target, read.query)
      if (!(await verifyHmac(await keys(), read.mac, bytes))) return { ok: false, reason: "forged" }
      const expiresS = Number(read.parameters.expires_at)
      return clock.now() / 1000 >= expiresS + skewS
        ? { ok: false, reason: "expired" }
        : { ok: true, parameters: read.parameters }
    },
  }
}

interface Target {
  readonly host: string
  readonly path: string
}

function readTarget(url: string): Target | null {
  const [, host, path] = ORIGIN_AND_PATH.exec(url) ?? []
  return host === undefined || path === undefined || DOT_SEGMENT.test(path) ? null : { host, path }
}

/** The parameters, when they are exactly the named ones in their order, each once. */
function readQuery(query: string, names: readonly string[]): Record<string, string> | null {
  const pairs = query.split("&").map((pair) => pair.split("="))
  if (pairs.length !== names.length) return null
  const isAsNamed = pairs.every(([name, value = "", ...more], at) => {
    const shape = name === "expires_at" ? SECONDS : VALUE
    return name === names[at] && more.length === 0 && shape.test(value)
  })
  return isAsNamed ? (Object.fromEntries(pairs) as Record<string, string>) : null
}

function readSigned(url: string, names: readonly string[]) {
  const at = url.indexOf("?")
  const target = at === -1 ? null : readTarget(url.slice(0, at))
  const [, query, sig] = SIGNED_QUERY.exec(url.slice(at + 1)) ?? []
  if (target === null || query === undefined || sig === undefined) return null
  const parameters = readQuery(query, names)
  return parameters === null ? null : { target, query, parameters, mac: bytesOfHex(sig) }
}

/** No part can hold a line feed, so that no two requests have the same bytes. The scheme is left out: TLS may end before whoever verifies. */
function signedBytes(method: string, { host, path }: Target, query: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${method}\n${host}\n${path}\n${query}`) as Uint8Array<ArrayBuffer>
}

function checkNames(names: readonly string[]): readonly string[] {
  const isFine = names.includes("expires_at") && new Set(names).size === names.length && !names.includes("sig")
  if (!isFine || !names.every((name) => NAME.test(name)))
    throw new TypeError("Parameters are named in small letters, each once, with expires_at and without sig")
  return [...names]
}

function checkSkew(skewS: number): number {
  if (!Number.isInteger(skewS) || skewS < 0 || skewS > MAX_SKEW_S) throw new TypeError(`skewS is 0–${MAX_SKEW_S}`)
  return skewS
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

function bytesOfHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length / 2)
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16)
  return bytes
}
