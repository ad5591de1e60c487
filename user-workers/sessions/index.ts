/**
 * Sessions listed and ended: by whoever has them, by internal systems, and on the word of identity providers.
 * What ends a session is the revocation, durable before anything else happens; the record in KV is taken away after it, so that no interruption leaves a
 * session that is gone from the list and still good. Every call may be repeated.
 */
import type { Context } from "hono"
import { z } from "zod"
import { idpName } from "../../contracts/dispatch-config.ts"
import type { PlatformApi } from "../../contracts/platform.ts"
import { AHEAD_MOST_MS, type Revocation, revocation } from "../../contracts/revocation.ts"
import { sessionHandle } from "../../contracts/session.ts"
import { toFaults } from "../../contracts/to-faults.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { boundedText } from "../../kit/bounded-text.ts"
import { refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { type Session, type SessionVariables, session } from "../../kit/session.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { receiveEvent } from "./receive-event.ts"
import {
  isAlive,
  isOf,
  type KnownSession,
  readSessions,
  removeRevoked,
  type SubjectId,
  subjectHandles,
  withEnds,
} from "./session-records.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  /** The namespace that the login Worker writes and the dispatcher reads. */
  readonly SESSIONS: KVNamespace
  readonly EVENTS: D1Database
  /** JSON: receive-event.ts says of what. */
  readonly TRANSMITTERS: string
}
type Variables = PassportVariables & SessionVariables
type Call = Context<{ Bindings: Env; Variables: Variables }>

const ADMIN_SCOPE = "sessions:admin"
const MAX_BODY_BYTES = 256 * 1024
const MAX_TOKEN_BYTES = 8_192
const cursor = z.string().max(1000).optional()
const ownQuery = z.strictObject({ cursor })
const subjectQuery = z.strictObject({ idp: idpName, subject: z.string().min(1).max(500), cursor })
/** What internal systems may revoke; keys and everything are for ops, at the control plane. */
const revocations = z
  .array(revocation.refine(({ target }) => ["session", "subject", "company"].includes(target.kind), "is for ops"))
  .min(1)
  .max(200)

const app = worker<Env, Variables>({ log: writeLog })
app.use(tracing({ service: "sessions" }))
app.use(requirePassport({ script: "sessions" }), session())
app.use(async (c, next) => {
  await next()
  c.header("cache-control", "no-store")
})
app.get("/sessions", async (c) => {
  const { id, cursor } = whose(c, subjectQuery)
  const page = await subjectHandles(c.env.SESSIONS, id, cursor ?? null)
  const nowMs = Date.now()
  const alive = (await readSessions(c.env.SESSIONS, page.handles)).filter((each) => isAlive(each, nowMs))
  return c.json({ items: alive.map((each) => show(each, c.var.session.handle)), nextCursor: page.cursor })
})
app.delete("/sessions", async (c) => {
  if (c.req.query("keep") === "current") return endOthers(c)
  const { id } = whose(c, subjectQuery.omit({ cursor: true }))
  const reason = c.req.query("idp") === undefined ? "signed out everywhere by its owner" : `asked by ${nameOf(c)}`
  const list = [{ target: { kind: "subject" as const, ...id }, beforeMs: Date.now(), reason }]
  await revoke(c, list)
  return c.json({ complete: await removeRevoked(c.env.SESSIONS, list) })
})
app.delete("/sessions/:handle", async (c) => {
  const id = ownId(c.var.session)
  const handle = sessionHandle.safeParse(c.req.param("handle"))
  if (!handle.success) throw refuse("session.unknown")
  // Right after login KV may not show it here yet, but the passport names it.
  const isOwn = handle.data === c.var.session.handle || (await isOf(c.env.SESSIONS, handle.data, id))
  if (!isOwn) throw refuse("session.unknown")
  const list = [{ target: { kind: "session" as const, session: handle.data }, reason: "signed out by its owner" }]
  await revoke(c, list)
  await removeRevoked(c.env.SESSIONS, list, id)
  return c.body(null, 204)
})
app.post("/sessions/revocations", async (c) => {
  requireAdmin(c.var.session)
  const asked = revocations.safeParse(await jsonOf(c.req.raw))
  if (!asked.success) throw refuse("session.request-invalid", { errors: toFaults(asked.error) })
  const nowMs = Date.now()
  const errors = asked.data.flatMap((each, index) => timeFaultsOf(each, index, nowMs))
  if (errors.length > 0) throw refuse("session.request-invalid", { errors: errors.slice(0, 20) })
  // What they name as made before a time ends with this call, unless they say which time.
  const all = asked.data.map((each) => (each.target.kind === "session" ? each : { beforeMs: nowMs, ...each }))
  const { seq, boundMs } = await revoke(c, all)
  await removeRevoked(c.env.SESSIONS, all)
  return c.json({ seq, boundMs }, 201)
})
app.post("/sessions/events", async (c) => {
  const token = await boundedText(c.req.raw, MAX_TOKEN_BYTES)
  return receiveEvent(token, c.req.header("content-type") ?? "", c.env, (list) => revoke(c, list))
})
for (const [path, allow] of Object.entries({
  "/sessions": "GET, HEAD, DELETE",
  "/sessions/revocations": "POST",
  "/sessions/events": "POST",
  "/sessions/:handle": "DELETE",
}))
  app.all(path, () => {
    throw refuse("edge.method-not-allowed", { headers: { allow } })
  })
export default app

/** All but the one that asks: each by its own handle, since "made before" cannot spare one. */
async function endOthers(c: Call): Promise<Response> {
  const id = ownId(c.var.session)
  const { handle: current } = c.var.session
  if (current === null || !ownQuery.extend({ keep: z.string() }).safeParse(c.req.query()).success)
    throw refuse("session.request-invalid", { detail: "keep=current is for callers with a session, and stands alone." })
  const page = await subjectHandles(c.env.SESSIONS, id, c.req.query("cursor") ?? null)
  const others = page.handles.filter((handle) => handle !== current)
  const reason = "signed out by its owner from another session"
  const list = others.map((each) => ({ target: { kind: "session" as const, session: each }, reason }))
  if (list.length > 0) await revoke(c, list)
  await removeRevoked(c.env.SESSIONS, list, id)
  return c.json({ ended: others.length, nextCursor: page.cursor })
}

async function revoke(c: Call, list: readonly Revocation[]): Promise<{ seq: number; boundMs: number }> {
  const known = await withEnds(c.env.SESSIONS, list)
  const { seq, boundMs } = await askPlatform(() => c.env.PLATFORM.revoke(known))
  const record = { event: "sessions-revoked", by: nameOf(c), count: list.length, seq }
  writeLog(record)
  return { seq, boundMs }
}

/** The subject that the query names, for those who may ask for any; without one, the caller. */
function whose(c: Call, shape: typeof subjectQuery | ReturnType<typeof subjectQuery.omit<{ cursor: true }>>) {
  const query = c.req.query()
  if (query.idp === undefined && query.subject === undefined) {
    const own = ownQuery.safeParse(query)
    if (!own.success) throw refuse("session.request-invalid", { errors: toFaults(own.error) })
    return { id: ownId(c.var.session), cursor: own.data.cursor }
  }
  requireAdmin(c.var.session)
  const asked = shape.safeParse(query)
  if (!asked.success) throw refuse("session.request-invalid", { errors: toFaults(asked.error) })
  const { idp, subject } = asked.data
  return { id: { idp, subject }, cursor: query.cursor }
}

function ownId({ idp, subject }: Session): SubjectId {
  if (idp === null || subject === null) throw refuse("auth.credential-required")
  return { idp, subject }
}

/** People never list or end the sessions of others, whatever their scopes. */
function requireAdmin({ kind, scopes }: Session): void {
  if (kind === "anonymous") throw refuse("auth.credential-required")
  if (kind !== "service" || !scopes.includes(ADMIN_SCOPE)) throw refuse("auth.not-allowed")
}

/** For log and reason; never a name that a person goes by. */
function nameOf({ var: { session } }: Call): string {
  return session.kind === "service" ? `service ${session.subject}`.slice(0, 150) : session.kind
}

/** What the log would refuse, and the platform could only call a failure: no repeat would mend it. */
function timeFaultsOf({ target, beforeMs }: Revocation, index: number, nowMs: number) {
  if (beforeMs === undefined) return []
  const detail = target.kind === "session" ? "a session is revoked whenever it began" : "must not be in the future"
  return target.kind === "session" || beforeMs > nowMs + AHEAD_MOST_MS
    ? [{ pointer: `/${index}/beforeMs`, detail }]
    : []
}

async function jsonOf(request: Request): Promise<unknown> {
  const text = await boundedText(request, MAX_BODY_BYTES)
  try {
    return JSON.parse(text ?? "")
  } catch {
    throw refuse("session.request-invalid", { detail: "Send JSON in UTF-8, at most 256 KiB." })
  }
}

function show({ seenAtMs, ...record }: KnownSession, current: string | null) {
  const { handle, idp, company, level, device } = record
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return {
    ...{ handle, current: handle === current, idp, company, level, device },
    createdAt: time(record.createdAtMs),
    authenticatedAt: time(record.authenticatedAtMs),
    lastSeenAt: time(seenAtMs),
    expiresAt: time(record.expiresAtMs),
  }
}
