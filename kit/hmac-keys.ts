/**
 * Keys for HMAC-SHA256 as they stand in a secret: several, so that they overlap while they change. The first signs and all verify: add the new one behind
 * the old at whoever verifies, then put it first at whoever signs, then take the old one away. Used by hmac-url.ts and session-cookie.ts.
 * @see RFC 2104
 */

/** Bytes: a shorter key would be weaker than the hash. */
const MIN_KEY_BYTES = 32
/** The key in use, its successor and predecessors that still verify. */
const MAX_KEYS = 4
const ALGORITHM = { name: "HMAC", hash: "SHA-256" }

/** One to four keys, separated by commas or spaces: each in base64url without padding, of at least 32 bytes. Throws TypeError for anything else. */
export function parseHmacKeys(text: string): readonly Uint8Array<ArrayBuffer>[] {
  const keys = text.split(/[\s,]+/).filter((each) => each !== "")
  if (keys.length === 0 || keys.length > MAX_KEYS) throw new TypeError(`There must be 1–${MAX_KEYS} keys`)
  return keys.map((key) => {
    if (!/^[A-Za-z0-9_-]+$/.test(key) || key.length % 4 === 1)
      throw new TypeError("A key must be base64url without padding")
    const bytes = Uint8Array.from(atob(key.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
    if (bytes.length < MIN_KEY_BYTES) throw new TypeError(`A key must have at least ${MIN_KEY_BYTES} bytes`)
    return bytes
  })
}

export function importHmacKeys(rawKeys: readonly Uint8Array<ArrayBuffer>[]): Promise<readonly CryptoKey[]> {
  return Promise.all(rawKeys.map((raw) => crypto.subtle.importKey("raw", raw, ALGORITHM, false, ["sign", "verify"])))
}

/** The MAC by the first key, 32 bytes. */
export async function signHmac(keys: readonly CryptoKey[], bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const [key] = keys
  if (key === undefined) throw new TypeError("There is no key")
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes))
}

/** True for the whole MAC by one of the keys, compared in constant time; all are tried whatever the first ones say. */
export async function verifyHmac(
  keys: readonly CryptoKey[],
  mac: Uint8Array<ArrayBuffer>,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  let isGenuine = false
  for (const key of keys) isGenuine = (await crypto.subtle.verify("HMAC", key, mac, bytes)) || isGenuine
  return isGenuine
}
