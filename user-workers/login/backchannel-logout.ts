/**
 * OpenID Connect Back-Channel Logout 1.0: a provider says, server to server, that a session of its own or a subject has ended.
 * Nobody is logged in here; the token is the whole credential, so it is checked in full, and is good once.
 */

import { isRecord } from "../../contracts/is-record.ts"
import { hashForKey, idpSessionKey, subjectSessionKey } from "../../contracts/session.ts"
import { boundedText } from "../../kit/bounded-text.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import type { Env } from "./env.ts"
import { forgetUse, isFirstUse, takeYoungSessions } from "./login-store.ts"
import { metadataOf } from "./provider-documents.ts"
import { checkAudience, checkTimes, type Party, SKEW_S, verifySignature } from "./relying-party.ts"
import { endSessions, sessionsBelow } from "./sessions.ts"

const EVENT = "http://schemas.openid.net/event/backchannel-logout"
const ENDED = "the identity provider ended it"
const MAX_BYTES = 64 * 1024
/** Seconds: for so long a token's id has to be remembered at most. */
const MAX_LIFETIME_S = 3_600

export interface LogoutNotice {
  readonly idp: string
  readonly jti: string
  readonly expiresS: number
  readonly subject: string | null
  readonly idpSession: string | null
}

/** Refuses `login.logout-token-invalid`, whatever is wrong, and `login.provider-unavailable` when there are no keys to check it with. */
export async function readLogoutToken(
  request: Request,
  partyOfIssuer: (issuer: string) => Party | null,
): Promise<LogoutNotice> {
  try {
    const token = await tokenIn(request)
    // Not believed: it only chooses who has to have signed.
    const party = partyOfIssuer(unverifiedIssuer(token))
    if (party === null) throw new Error("no such issuer")
    const { settings, waitUntil } = party
    const claims = await verifySignature(token, party, await metadataOf(settings, waitUntil), isLogoutTokenType)
    if (claims.iss !== settings.issuer) throw new Error("another issuer")
    checkAudience(claims, settings)
    checkTimes(claims, 0)
    return noticeOf(claims, settings.idp)
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    throw refuse("login.logout-token-invalid", { cause })
  }
}

/** Ends what the notice names, and says how many sessions. A second use of the token refuses `login.logout-token-invalid`; one that could not be acted on may come again. */
export async function carryOut(env: Env, notice: LogoutNotice): Promise<number> {
  const { idp, subject, idpSession, expiresS } = notice
  const jti = [idp, notice.jti]
  if (!(await isFirstUse(env.LOGINS, jti, (expiresS + SKEW_S + 1) * 1000))) throw refuse("login.logout-token-invalid")
  try {
    const by =
      idpSession === null
        ? { subject: await hashForKey([idp, subject ?? ""]) }
        : { idpSession: await hashForKey([idp, idpSession]) }
    const below = by.subject === undefined ? idpSessionKey(by.idpSession) : subjectSessionKey(by.subject)
    const found = await Promise.all([sessionsBelow(env.SESSIONS, below), takeYoungSessions(env.LOGINS, by)])
    const handles = [...new Set(found.flat())]
    await endSessions(env, handles, ENDED)
    return handles.length
  } catch (thrown) {
    await forgetUse(env.LOGINS, jti)
    throw thrown
  }
}

function isLogoutTokenType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === "string" && /^(application\/)?(logout\+)?jwt$/i.test(typ))
}

function noticeOf(claims: Readonly<Record<string, unknown>>, idp: string): LogoutNotice {
  const { jti, exp, sub, sid, events } = claims
  if ("nonce" in claims) throw new Error("an id token")
  const event = isRecord(events) ? events[EVENT] : undefined
  if (!isRecord(event)) throw new Error("no logout event")
  const nowS = Math.floor(Date.now() / 1000)
  if (typeof exp !== "number" || exp > nowS + MAX_LIFETIME_S) throw new Error("good for too long")
  if (!isText(jti) || (sub === undefined && sid === undefined)) throw new Error("a claim is missing")
  if ((sub !== undefined && !isText(sub)) || (sid !== undefined && !isText(sid))) throw new Error("a claim is no text")
  return { idp, jti, expiresS: exp, subject: sub ?? null, idpSession: sid ?? null }
}

async function tokenIn(request: Request): Promise<string> {
  const type = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase()
  if (type !== "application/x-www-form-urlencoded") throw new Error("not a form")
  const text = await boundedText(request, MAX_BYTES)
  if (text === null) throw new Error("too long, or no text")
  const tokens = new URLSearchParams(text).getAll("logout_token")
  if (tokens.length !== 1 || tokens[0] === undefined) throw new Error("not one token")
  return tokens[0]
}

function unverifiedIssuer(token: string): string {
  const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")
  const claims: unknown = JSON.parse(atob(payload))
  return isRecord(claims) && typeof claims.iss === "string" ? claims.iss : ""
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 500
}
