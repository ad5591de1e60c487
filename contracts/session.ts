/**
 * A session: what a person has after logging in at the edge, and what the dispatcher accepts as a credential in their place.
 * Written by user-workers/login, listed and ended by user-workers/sessions, read by dispatcher/src/identity/. The id stands in the browser's cookie
 * and nowhere else; everything stored names it by its {@link handle}.
 */
import { z } from "zod"
import { companyId, idpName, scopeName } from "./dispatch-config.ts"

/** `__Host-`: Secure, `Path=/`, no Domain, so that no sibling host can set or read it (RFC 6265bis §4.1.3.2). */
export const SESSION_COOKIE = "__Host-sallyport-session"
/** Cookies of this prefix hold the state of a login under way. They reach only scripts whose team holds the grant `sessions:login`. */
export const LOGIN_COOKIE_PREFIX = "__Host-sallyport-login"
/** One of them: the browser's last session was revoked, so that the next login asks for a fresh proof (kit/fresh-login-cookie.ts). The dispatcher sets it. */
export const FRESH_LOGIN_COOKIE = `${LOGIN_COOKIE_PREFIX}-fresh`
/** Needed to set {@link SESSION_COOKIE}, and to set and see {@link LOGIN_COOKIE_PREFIX}. */
export const LOGIN_GRANT = "sessions:login"

/** How sure the identity provider was, least first: 0 unknown, 1 one factor, 2 several, 3 several, one of them hardware. */
export const authenticationLevel = z.int().min(0).max(3)

/** SHA-256 of the session id, base64url without padding: 43 characters. */
export const sessionHandle = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "is not a session handle")
const timeMs = z.int().min(0)

/**
 * What the cookie itself says, sealed by kit/session-cookie.ts: enough to go on with while KV cannot be read, and to refuse a made-up cookie without asking KV.
 * It never changes during a session: a new level or subject is a new session with a new id.
 */
export const sessionSeal = z.strictObject({
  /** Id of the identity provider in the dispatch config's `issuers`. */
  idp: idpName,
  subject: z.string().min(1).max(500),
  scopes: z.array(scopeName).max(100),
  company: companyId.nullable(),
  level: authenticationLevel,
  /** When the person last proved who they are, milliseconds since the epoch; revocations "before T" go by it. */
  authenticatedAtMs: timeMs,
  createdAtMs: timeMs,
  /** The absolute end. */
  expiresAtMs: timeMs,
  /** Seconds without a request after which it ends. */
  idleS: z.int().min(60).max(31_536_000),
})
export type SessionSeal = z.output<typeof sessionSeal>

/** What KV holds under {@link sessionKey}. */
export const sessionRecord = z.strictObject({
  format: z.literal(1),
  handle: sessionHandle,
  ...sessionSeal.shape,
  device: z.strictObject({
    userAgent: z.string().max(300),
    ip: z.string().max(45).nullable(),
    country: z.string().max(2).nullable(),
  }),
  /** The provider's own `sid`, for its logout messages; null when it gave none. */
  idpSession: z.string().max(500).nullable(),
})
export type SessionRecord = z.output<typeof sessionRecord>

/** KV key of the record. */
export function sessionKey(handle: string): string {
  return `session/${handle}`
}

/** KV key that holds the last request's time, decimal milliseconds, and vanishes `idleS` later. Apart from the record, so that noting a request can never bring back an ended session. */
export function seenKey(handle: string): string {
  return `seen/${handle}`
}

/** KV key (empty value) by which the sessions of a subject are listed; `subjectHash` by {@link hashForKey} of `[idp, subject]`. */
export function subjectSessionKey(subjectHash: string, handle = ""): string {
  return `subject/${subjectHash}/${handle}`
}

/** As {@link subjectSessionKey}, for `[idp, provider's sid]`. */
export function idpSessionKey(idpSessionHash: string, handle = ""): string {
  return `idp-session/${idpSessionHash}/${handle}`
}

/** SHA-256 of the parts as JSON, base64url: what comes from outside enters a KV key only so. */
export async function hashForKey(parts: readonly string[]): Promise<string> {
  return base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(parts))))
}

/** Handle of a session id. */
export async function handleOf(sessionId: string): Promise<string> {
  return base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sessionId)))
}

function base64url(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}
