/**
 * What identity providers push: that a session is over, or that somebody's credential has changed. Answered by RFC 8935: 202 once it is in force, 400 with `err`
 * for what no repeat would mend, and 503 for what one would. Which event came before is remembered after its effect: an event lost between the two is taken twice, never not at all.
 * @see OpenID CAEP 1.0 §3.1 (session-revoked), §3.3 (credential-change); RFC 9493 (subjects)
 */
import { z } from "zod"
import { idpName } from "../../contracts/dispatch-config.ts"
import { publicKeySet } from "../../contracts/public-jwk.ts"
import type { Revocation } from "../../contracts/revocation.ts"
import { hashForKey } from "../../contracts/session.ts"
import { refuse } from "../../kit/problem.ts"
import {
  readSecurityEvent,
  SECURITY_EVENT_MAX_AGE_MS,
  SECURITY_EVENT_TYPE,
  type SecurityEventError,
} from "../../kit/security-event.ts"
import { idpSessionHandles, removeRevoked } from "./session-records.ts"

const CAEP = "https://schemas.openid.net/secevent/caep/event-type"
export const SESSION_REVOKED = `${CAEP}/session-revoked`
export const CREDENTIAL_CHANGE = `${CAEP}/credential-change`

/** TRANSMITTERS: `subjectIssuer` is the `iss` of its subjects when that is not its own, `emailIdp` the provider whose subjects are e-mail addresses, as the event spells them or in lower case. It speaks for no other. */
const transmitters = z
  .array(
    z.strictObject({
      iss: z.string().min(1),
      audience: z.array(z.string().min(1)).min(1),
      algorithms: z.array(z.enum(["ES256", "EdDSA", "RS256"])).default(["ES256", "EdDSA", "RS256"]),
      jwks: publicKeySet,
      idp: idpName,
      subjectIssuer: z.string().optional(),
      emailIdp: idpName.optional(),
    }),
  )
  .refine((list) => new Set(list.map(({ iss }) => iss)).size === list.length, "an issuer may appear once")
type Transmitter = z.output<typeof transmitters>[number]

/** Milliseconds in which KV may not show a session that has begun elsewhere. */
const KV_LAG_MS = 120_000

const text = z.string().min(1).max(500)
const user = z.union([
  z.object({ format: z.literal("iss_sub"), iss: text, sub: text }),
  z.object({ format: z.literal("email"), email: text }),
])
const session = z.object({ format: z.literal("opaque"), id: text })
/** Members beside these would name less than all sessions of the user; to revoke more is the safe reading. */
const complex = z.object({ format: z.literal("complex"), user: user.optional(), session: session.optional() })
const subject = z.union([
  user.transform((each) => ({ user: each, session: undefined })),
  session.transform((each) => ({ user: undefined, session: each })),
  complex,
])
type Subject = z.output<typeof subject>
const payload = z.object({
  subject: z.unknown().optional(),
  event_timestamp: z.number().positive().optional(),
  change_type: z.string().optional(),
})

interface Bindings {
  readonly SESSIONS: KVNamespace
  readonly EVENTS: D1Database
  readonly TRANSMITTERS: string
}
class Refused extends Error {
  readonly err: SecurityEventError
  constructor(err: SecurityEventError, description: string) {
    super(description)
    this.err = err
  }
}

/** `token`: the body, null when it was too long or no text. `revoke` is durable when it resolves. */
export async function receiveEvent(
  token: string | null,
  mediaType: string,
  env: Bindings,
  revoke: (list: readonly Revocation[]) => Promise<unknown>,
): Promise<Response> {
  const essence = mediaType.split(";")[0]?.trim().toLowerCase()
  if (token === null || essence !== SECURITY_EVENT_TYPE)
    return badRequest("invalid_request", `Send ${SECURITY_EVENT_TYPE}, at most 8 KiB.`)
  const nowMs = Date.now()
  const read = await readSecurityEvent(token, transmitters.parse(JSON.parse(env.TRANSMITTERS)), nowMs)
  if (!read.ok) return badRequest(read.err, read.description)
  const { event } = read
  const id = await hashForKey([event.transmitter.iss, event.jti])
  if (await isKnown(env.EVENTS, id)) return new Response(null, { status: 202 })
  // Revoked on the spot, and looked for again at the repeat: a session of the same login may have begun a moment ago.
  let isYoung = false
  try {
    const list: Revocation[] = []
    for (const [type, raw] of Object.entries(event.events)) {
      if (type !== SESSION_REVOKED && type !== CREDENTIAL_CHANGE) continue
      const parsed = payload.safeParse(raw)
      if (!parsed.success) throw new Refused("invalid_request", "The event's payload is not as CAEP has it.")
      if (type === CREDENTIAL_CHANGE && parsed.data.change_type === "create") continue
      const about = subject.safeParse(event.subject ?? parsed.data.subject)
      if (!about.success) throw new Refused("invalid_request", "The subject's format is not one that is understood.")
      const beforeMs = timeOf(parsed.data.event_timestamp, event.issuedAtMs, nowMs)
      const found = type === SESSION_REVOKED ? await handlesOf(about.data, event.transmitter, env.SESSIONS) : []
      const reason = `${type.slice(CAEP.length + 1)} of ${event.transmitter.iss}`.slice(0, 200)
      if (found.length > 0) {
        list.push(...found.map((each) => endOf(each, reason)))
        isYoung ||= nowMs - event.issuedAtMs < KV_LAG_MS
      } else if (about.data.user !== undefined)
        list.push(...targetsOf(about.data.user, event.transmitter).map((target) => ({ target, beforeMs, reason })))
      else if (type === CREDENTIAL_CHANGE || about.data.session === undefined)
        throw new Refused("invalid_request", "The event must name a user, or a session that was revoked.")
      else isYoung ||= nowMs - event.issuedAtMs < KV_LAG_MS
    }
    if (list.length > 0) await revoke(list)
    await removeRevoked(env.SESSIONS, list)
    if (isYoung) throw refuse("session.not-known-yet", { headers: { "retry-after": "60" } })
  } catch (thrown) {
    if (thrown instanceof Refused) return badRequest(thrown.err, thrown.message)
    throw thrown
  }
  await remember(env.EVENTS, id, nowMs)
  return new Response(null, { status: 202 })
}

async function handlesOf({ session }: Subject, { idp }: Transmitter, kv: KVNamespace): Promise<readonly string[]> {
  return session === undefined ? [] : idpSessionHandles(kv, idp, session.id)
}

function endOf(handle: string, reason: string): Revocation {
  return { target: { kind: "session", session: handle }, reason }
}

function targetsOf(about: z.output<typeof user>, transmitter: Transmitter): readonly Revocation["target"][] {
  const { idp, emailIdp } = transmitter
  if (about.format === "email") {
    if (emailIdp === undefined) throw new Refused("invalid_request", "Subjects are not known by e-mail.")
    // A session's subject is the provider's own spelling, capitals and all, and credentials are refused by that to the letter. PINs are for addresses in lower case.
    const spellings = new Set([about.email, about.email.toLowerCase()])
    return [...spellings].map((subject) => ({ kind: "subject", idp: emailIdp, subject }))
  }
  if (about.iss !== (transmitter.subjectIssuer ?? transmitter.iss))
    throw new Refused("access_denied", "The transmitter does not speak for this issuer's subjects.")
  return [{ kind: "subject", idp, subject: about.sub }]
}

/**
 * The last millisecond that the event can mean, never in the future: whoever says seconds may have cut off up to one. CAEP has seconds, drafts and
 * products of before have milliseconds; no time of either kind can be taken for the other.
 */
function timeOf(timestamp: number | undefined, issuedAtMs: number, nowMs: number): number {
  const at = timestamp ?? issuedAtMs / 1000
  return Math.min(nowMs, at >= 1e11 ? Math.ceil(at) : Math.floor(at) * 1000 + 999)
}

const SCHEMA = "CREATE TABLE IF NOT EXISTS security_event (id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT"
const KNOWN = "SELECT 1 FROM security_event WHERE id = ?"
const FORGET = "DELETE FROM security_event WHERE at_ms < ?"

/** Makes the table too: events are rare, and an isolate that remembers that it has is one more thing to be wrong. */
async function isKnown(db: D1Database, id: string): Promise<boolean> {
  const [, known] = await db.batch([db.prepare(SCHEMA), db.prepare(KNOWN).bind(id)])
  return known?.results.length === 1
}

/** A day longer than a token is taken. */
async function remember(db: D1Database, id: string, nowMs: number): Promise<void> {
  const oldest = nowMs - SECURITY_EVENT_MAX_AGE_MS - 86_400_000
  const insert = db.prepare("INSERT OR IGNORE INTO security_event (id, at_ms) VALUES (?, ?)").bind(id, nowMs)
  await db.batch([insert, db.prepare(FORGET).bind(oldest)])
}

/** RFC 8935 §2.4. */
function badRequest(err: SecurityEventError, description: string): Response {
  return Response.json({ err, description }, { status: 400, headers: { "content-language": "en" } })
}
