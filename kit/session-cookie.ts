/**
 * The session cookie: `<id>.<payload>.<mac>`. The id is the secret, the payload says what the session is (contracts/session.ts), the MAC covers both.
 * So a made-up cookie is refused without asking any store, and a genuine one is good for a while when the store cannot be asked.
 * Sealed by the login Worker and by the control plane's probe, opened by the dispatcher.
 */
import { base64url } from "jose"
import { isCanonicalCompactJws } from "../contracts/compact-jws.ts"
import { handleOf, SESSION_COOKIE, type SessionSeal, sessionSeal } from "../contracts/session.ts"
import { importHmacKeys, parseHmacKeys, signHmac, verifyHmac } from "./hmac-keys.ts"

/** Of the id: 256 bits, far beyond guessing. */
const ID_BYTES = 32
/** Characters of the id and of the MAC: 32 bytes in base64url. */
const PART_LENGTH = 43
/** Bytes of name and value together that browsers keep; they drop a longer cookie without a word (RFC 6265bis §5.6). */
export const MAX_COOKIE_BYTES = 4_096
export const MAX_SESSION_VALUE_LENGTH = MAX_COOKIE_BYTES - SESSION_COOKIE.length

export interface SealedSession {
  /** The secret: in the cookie and nowhere else. */
  readonly id: string
  /** What everything else calls the session. */
  readonly handle: string
  readonly cookieValue: string
}

/**
 * A new session with an id of its own. `keys`: as kit/hmac-keys.ts says; the first signs. `random` fills what it is given with random bytes.
 * Throws TypeError for bad keys, for a seal of another shape, and for one that no browser would keep.
 */
export async function sealSession(
  seal: SessionSeal,
  keys: string,
  random: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => crypto.getRandomValues(bytes),
): Promise<SealedSession> {
  const parsed = sessionSeal.safeParse(seal)
  if (!parsed.success) throw new TypeError("The seal is not as contracts/session.ts says", { cause: parsed.error })
  const secret = new Uint8Array(ID_BYTES)
  random(secret)
  const id = base64url.encode(secret)
  const sealed = `${id}.${base64url.encode(utf8(JSON.stringify(parsed.data)))}`
  const mac = await signHmac(await importedKeys(keys), utf8(sealed))
  const cookieValue = `${sealed}.${base64url.encode(mac)}`
  if (cookieValue.length > MAX_SESSION_VALUE_LENGTH)
    throw new TypeError("The seal is too long for a cookie: leave out scopes")
  return { id, handle: await handleOf(id), cookieValue }
}

/**
 * What a genuine cookie says, whether or not its time is over; null for anything else, in whatever way it is wrong. Throws TypeError for bad keys only.
 * A cookie has one spelling: what is read here is what was sealed, character for character.
 */
export async function openSession(
  cookieValue: string,
  keys: string,
): Promise<{ readonly handle: string; readonly seal: SessionSeal } | null> {
  const imported = await importedKeys(keys)
  if (cookieValue.length > MAX_SESSION_VALUE_LENGTH || !isCanonicalCompactJws(cookieValue)) return null
  const macAt = cookieValue.length - PART_LENGTH - 1
  if (cookieValue.indexOf(".") !== PART_LENGTH || cookieValue.lastIndexOf(".") !== macAt) return null
  const mac = bytesOf(cookieValue.slice(macAt + 1))
  if (!(await verifyHmac(imported, mac, utf8(cookieValue.slice(0, macAt))))) return null
  const seal = readSeal(cookieValue.slice(PART_LENGTH + 1, macAt))
  return seal === null ? null : { handle: await handleOf(cookieValue.slice(0, PART_LENGTH)), seal }
}

/** The `Set-Cookie` for a sealed session; the browser forgets it after `maxAgeS`. */
export function sessionCookie(cookieValue: string, maxAgeS: number): string {
  return `${SESSION_COOKIE}=${cookieValue}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${Math.max(0, Math.floor(maxAgeS))}`
}

/** The `Set-Cookie` that takes the session from the browser, with the attributes by which it was set. */
export function clearedSessionCookie(): string {
  return sessionCookie("", 0)
}

/** Keys across calls, for the one secret that an isolate has: only keys are kept for other requests, never the promise of one. */
let known: { readonly text: string; readonly keys: readonly CryptoKey[] } | null = null

async function importedKeys(text: string): Promise<readonly CryptoKey[]> {
  if (known?.text === text) return known.keys
  const keys = await importHmacKeys(parseHmacKeys(text))
  known = { text, keys }
  return keys
}

/** Sealed by us, and still read with care: a Worker of another version may have sealed it. */
function readSeal(payload: string): SessionSeal | null {
  try {
    const parsed = sessionSeal.safeParse(JSON.parse(new TextDecoder().decode(bytesOf(payload))))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
}
