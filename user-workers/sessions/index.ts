/**
 * Sessions listed and ended: by whoever has them, by internal systems, and on the word of identity providers.
 * What ends a session is the revocation, durable before anything else happens; the record in KV is taken away after it, so that no interruption leaves a
 * session that is gone from the list and still good. Every call may be repeated.
 */
import type { Context } from "hono"
import { z } from "zod"
import { idpName, toFaults } from "../../contracts/dispatch-config.ts"
import type { PassportClaims } from "../../contracts/passport.ts"
import type { PlatformApi } from "../../contracts/platform.ts"
import { type Revocation, revocation } from "../../contracts/revocation.ts"
import { sessionHandle } from "../../contracts/session.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { boundedText } from "../../kit/bounded-text.ts"
import { refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { receiveEvent } from "./receive-event.ts"
import {
  isAlive,
  isOf,
  type KnownSession,
  readSessions,
  removeSessions,
  type SubjectId,
  subjectHandles,
} from "./session-records.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  /** The namespace that the login Worker writes and the dispatcher reads. */
  readonly SESSIONS: KVNamespace
  readonly EVENTS: D1Database
  /** JSON: receive-event.ts says of what. */
  readonly TRANSMITTERS: string
}
type Call = Context<{ Bindings: Env; Variables: PassportVariables }>

export const ADMIN_SCOPE = "sessions:admin"
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

const app = worker<Env, PassportVariables>({ log: writeLog })
app.use(tracing({ service: "sessions" }))
app.use(requirePassport({ script: "sessions" }))
app.use(async (c, next) => {
  await next()
  c.header("cache-control", "no-store")
})
app.get("/sessions", async (c) => {
  const { id, cursor } = whose(c, subjectQuery)
  const page = await subjectHandles(c.env.SESSIONS, id, cursor ?? null)
  const nowMs = Date.now()
  const alive = (await readSessions(c.env.SESSIONS, page.handles)).filter((each) => isAlive(each, nowMs))
  return c.json({ items: alive.map((each) => show(each, c.var.passport.sid)), nextCursor: page.cursor })
})
app.delete("/sessions", async (c) => {
  if (c.req.query("keep") === "current") return endOthers(c)
  const { id } = whose(c, subjectQuery.omit({ cursor: true }))
  const reason = c.req.query("idp") === undefined ? "signed out everywhere by its owner" : `asked by ${nameOf(c)}`
  await revoke(c, [{ target: { kind: "subject", ...id }, beforeMs: Date.now(), reason }])
  return c.json(await remove(c, id))
})
app.delete("/sessions/:handle", async (c) => {
  const id = ownId(c.var.passport)
  const handle = sessionHandle.safeParse(c.req.param("handle"))
  if (!handle.success) throw refuse("session.unknown")
  // Right after login KV may not show it here yet, but the passport names it.
  const isOwn = handle.data === c.var.passport.sid || (await isOf(c.env.SESSIONS, handle.data, id))
  if (!isOwn) throw refuse("session.unknown")
  await revoke(c, [{ target: { kind: "session", session: handle.data }, reason: "signed out by its owner" }])
  await removeSessions(c.env.SESSIONS, [handle.data], id)
  return c.body(null, 204)
})
app.post("/sessions/revocations", async (c) => {
  requireAdmin(c.var.passport)
  const asked = revocations.safeParse(await jsonOf(c.req.raw))
  if (!asked.success) throw refuse("session.request-invalid", { errors: toFaults(asked.error) })
  const nowMs = Date.now()
  // What they name as made before a time ends with this call, unless they say which time.
  const all = asked.data.map((each) => (each.target.kind === "session" ? each : { beforeMs: nowMs, ...each }))
  const { seq, boundMs } = await revoke(c, all)
  const handles = all.flatMap(({ target }) => (target.kind === "session" ? [target.session] : []))
  await removeSessions(c.env.SESSIONS, handles.slice(0, 50))
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
  const id = ownId(c.var.passport)
  const { sid } = c.var.passport
  if (sid === undefined || !ownQuery.extend({ keep: z.string() }).safeParse(c.req.query()).success)
    throw refuse("session.request-invalid", { detail: "keep=current is for callers with a session, and stands alone." })
  const page = await subjectHandles(c.env.SESSIONS, id, c.req.query("cursor") ?? null)
  const others = page.handles.filter((handle) => handle !== sid)
  const reason = "signed out by its owner from another session"
  if (others.length > 0)
    await revoke(
      c,
      others.map((session) => ({ target: { kind: "session", session }, reason })),
    )
  await removeSessions(c.env.SESSIONS, others, id)
  return c.json({ ended: others.length, nextCursor: page.cursor })
}

/** After a revocation: takes the records of a subject away, a page of them; `complete` says whether any are left in the list. */
async function remove(c: Call, id: SubjectId): Promise<{ complete: boolean }> {
  const page = await subjectHandles(c.env.SESSIONS, id, null)
  const removed = await removeSessions(c.env.SESSIONS, page.handles, id)
  return { complete: page.cursor === null && removed === page.handles.length }
}

async function revoke(c: Call, list: readonly Revocation[]): Promise<{ seq: number; boundMs: number }> {
  const { seq, boundMs } = await askPlatform(() => c.env.PLATFORM.revoke(list))
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
    return { id: ownId(c.var.passport), cursor: own.data.cursor }
  }
  requireAdmin(c.var.passport)
  const asked = shape.safeParse(query)
  if (!asked.success) throw refuse("session.request-invalid", { errors: toFaults(asked.error) })
  const { idp, subject } = asked.data
  return { id: { idp, subject }, cursor: query.cursor }
}

function ownId({ kind, idp, sub }: PassportClaims): SubjectId {
  if (kind === "anonymous" || idp === undefined) throw refuse("auth.credential-required")
  return { idp, subject: sub }
}

/** People never list or end the sessions of others, whatever their scopes. */
function requireAdmin({ kind, scope = "" }: PassportClaims): void {
  if (kind === "anonymous") throw refuse("auth.credential-required")
  if (kind !== "service" || !scope.split(" ").includes(ADMIN_SCOPE)) throw refuse("auth.not-allowed")
}

/** For log and reason; never a name that a person goes by. */
function nameOf({ var: { passport } }: Call): string {
  return passport.kind === "service" ? `service ${passport.sub}`.slice(0, 150) : passport.kind
}

async function jsonOf(request: Request): Promise<unknown> {
  const text = await boundedText(request, MAX_BODY_BYTES)
  try {
    return JSON.parse(text ?? "")
  } catch {
    throw refuse("session.request-invalid", { detail: "Send JSON in UTF-8, at most 256 KiB." })
  }
}

function show({ seenAtMs, ...record }: KnownSession, current: string | undefined) {
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
