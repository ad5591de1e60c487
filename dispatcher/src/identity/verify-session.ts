/**
 * Checks a session cookie by itself: sealed by us, and within the life that its seal gives it. Whether the session goes on is session-reader.ts's to find out.
 * Every reason is told apart here, for the log; the caller sees two public codes.
 */
import { MAX_CREDENTIAL_LIFETIME_S } from "../../../contracts/revocation.ts"
import type { SessionSeal } from "../../../contracts/session.ts"
import { openSession } from "../../../kit/session-cookie.ts"
import { type CredentialFacts, KeptSubject } from "./subject.ts"

/** Milliseconds that a session may seem to begin in the future: whoever seals it has another clock. Its end is exact. */
const MAX_SKEW_MS = 60_000

export interface Session {
  readonly handle: string
  readonly seal: SessionSeal
  readonly subject: KeptSubject
}

/** `malformed`: not one of ours, in whatever way. `lifetime`: begins later than now, or would outlive the memory of its revocation. The others are over. */
export type SessionFault = "malformed" | "lifetime" | "expired" | "idle" | "ended"

export type SessionCheck =
  | { readonly ok: true; readonly session: Session }
  | { readonly ok: false; readonly fault: SessionFault }

/** Never throws but for bad keys, which are found when the isolate begins. No I/O: a made-up cookie costs one MAC. */
export async function verifySession(cookieValue: string, keys: string, nowMs: number): Promise<SessionCheck> {
  const opened = await openSession(cookieValue, keys)
  if (opened === null) return { ok: false, fault: "malformed" }
  const { handle, seal } = opened
  const lifetimeMs = seal.expiresAtMs - seal.createdAtMs
  const beginsAtMs = Math.max(seal.createdAtMs, seal.authenticatedAtMs)
  if (lifetimeMs > MAX_CREDENTIAL_LIFETIME_S * 1000 || beginsAtMs > nowMs + MAX_SKEW_MS)
    return { ok: false, fault: "lifetime" }
  if (nowMs >= seal.expiresAtMs) return { ok: false, fault: "expired" }
  return { ok: true, session: { handle, seal, subject: new KeptSubject(factsOf(handle, seal)) } }
}

function factsOf(handle: string, seal: SessionSeal): CredentialFacts {
  return {
    kind: "user",
    id: seal.subject,
    idp: seal.idp,
    scopes: seal.scopes,
    company: seal.company,
    sid: handle,
    authTimeMs: seal.authenticatedAtMs,
    level: seal.level,
    kid: null,
  }
}
