/**
 * Sessions as this Worker begins and ends them. Written before the browser has its cookie, so that no cookie exists that no record stands behind;
 * ended in the feed before the record goes, so that a failure in between leaves a session that is refused, not one that nobody can list.
 */
import type { PassportClaims } from "../../contracts/passport.ts"
import {
  hashForKey,
  idpSessionKey,
  type SessionRecord,
  type SessionSeal,
  seenKey,
  sessionKey,
  sessionRecord,
  subjectSessionKey,
} from "../../contracts/session.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { refuse } from "../../kit/problem.ts"
import { sealSession, sessionCookie } from "../../kit/session-cookie.ts"
import { within } from "../../kit/within.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Env } from "./env.ts"
import { noteYoungSession, type SessionIndex } from "./login-store.ts"
import type { Identity } from "./relying-party.ts"
import type { Settings } from "./settings.ts"

type Store = Pick<Env, "SESSIONS" | "SESSION_KEYS" | "PLATFORM" | "LOGINS">
/** Milliseconds for the session store; a login waits for it, nobody else does. */
const TIMEOUT_MS = 5_000
/** Of one logout message; a person has a few. */
const MOST_SESSIONS = 2_000
const MOST_PER_CALL = 500
/** Milliseconds that a revocation waits for when its session would have ended. */
const END_LIMIT_MS = 500

export interface Beginning {
  readonly idp: string
  readonly identity: Identity
  /** When the person set out to log in. */
  readonly startedAtMs: number
  /** Of the request that ends the login. */
  readonly passport: PassportClaims
  readonly userAgent: string | null
}

export interface Begun {
  readonly handle: string
  /** `Set-Cookie`. */
  readonly cookie: string
}

/** Ends the session that the browser had, then begins one with a new id. Refuses `login.store-unavailable`, what the platform refuses, `login.answer-invalid` for more than a cookie holds, and `login.denied` when the provider ended its own session meanwhile. */
export async function beginSession(
  env: Store,
  settings: Settings,
  { idp, identity, startedAtMs, passport, userAgent }: Beginning,
): Promise<Begun> {
  const { lifetimeS, idleS } = settings
  const { sid, facts } = passport
  const { idpSession, ...who } = identity
  const nowMs = Date.now()
  const seal: SessionSeal = {
    ...who,
    scopes: [...who.scopes],
    idp,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + lifetimeS * 1000,
    idleS,
  }
  // What no cookie holds, most likely more scopes than a session can have, is found before anything ends.
  const { handle, cookieValue } = await sealSession(seal, env.SESSION_KEYS).catch((cause: unknown) => {
    throw refuse("login.answer-invalid", { cause })
  })
  if (sid !== undefined) await endSession(env, settings, sid, "a new login in the same browser")
  const device = {
    userAgent: (userAgent ?? "").slice(0, 300),
    ip: facts.ip?.slice(0, 45) ?? null,
    country: facts.country?.slice(0, 2) ?? null,
  }
  const record = sessionRecord.parse({ format: 1, handle, ...seal, device, idpSession })
  const index = await indexOf(record)
  if (!(await noteYoungSession(env.LOGINS, handle, index, startedAtMs))) throw refuse("login.denied")
  await write(env.SESSIONS, record, index)
  return { handle, cookie: sessionCookie(cookieValue, lifetimeS) }
}

async function indexOf({ idp, subject, idpSession }: SessionRecord): Promise<SessionIndex> {
  return {
    subject: await hashForKey([idp, subject]),
    idpSession: idpSession === null ? null : await hashForKey([idp, idpSession]),
  }
}

function indexKeys({ subject, idpSession }: SessionIndex, handle: string): readonly string[] {
  const bySubject = subjectSessionKey(subject, handle)
  return idpSession === null ? [bySubject] : [bySubject, idpSessionKey(idpSession, handle)]
}

async function write(store: KVNamespace, record: SessionRecord, index: SessionIndex): Promise<void> {
  const { handle, expiresAtMs, idleS } = record
  const kept = { expiration: Math.ceil(expiresAtMs / 1000) }
  await stored(
    Promise.all([
      store.put(sessionKey(handle), JSON.stringify(record), kept),
      store.put(seenKey(handle), String(record.createdAtMs), { expirationTtl: idleS }),
      ...indexKeys(index, handle).map((key) => store.put(key, "", kept)),
    ]),
  )
}

/** As {@link endSessions}, of one whose end is looked up first: so long its revocation is remembered, and the platform can remember so many. `lifetimeS`: of sessions that begin today. */
export async function endSession(env: Store, { lifetimeS }: Settings, handle: string, reason: string): Promise<void> {
  const found = await within(END_LIMIT_MS, env.SESSIONS.get(sessionKey(handle), "json")).catch(() => null)
  const record = sessionRecord.safeParse(found)
  // The seal has the real end. A record that says less than any session of today would have is not believed.
  const ends = record.success ? Math.max(record.data.expiresAtMs, Date.now() + lifetimeS * 1000) : null
  await end(env, [handle], reason, ends === null ? {} : { sessionExpiresAtMs: ends })
}

/** Revokes everywhere, then deletes what is stored, if it can be: what is revoked is refused all the same, and the records go by themselves in time. Refuses what the platform refuses. */
export function endSessions(env: Store, handles: readonly string[], reason: string): Promise<void> {
  return end(env, handles, reason, {})
}

async function end(
  env: Store,
  handles: readonly string[],
  reason: string,
  known: { readonly sessionExpiresAtMs?: number },
): Promise<void> {
  for (let at = 0; at < handles.length; at += MOST_PER_CALL) {
    const some = handles.slice(at, at + MOST_PER_CALL)
    const revocations = some.map((session) => ({ target: { kind: "session", session }, reason, ...known }) as const)
    await askPlatform(() => env.PLATFORM.revoke(revocations))
  }
  const forgotten = await stored(Promise.allSettled(handles.map((handle) => forget(env.SESSIONS, handle)))).catch(
    () => null,
  )
  const kept = forgotten?.filter(({ status }) => status === "rejected").length ?? handles.length
  if (kept > 0) writeLog(Object.assign({ event: "session-records-kept" }, { kept }))
}

async function forget(store: KVNamespace, handle: string): Promise<void> {
  const record = sessionRecord.safeParse(await store.get(sessionKey(handle), "json"))
  const index = record.success ? indexKeys(await indexOf(record.data), handle) : []
  await Promise.all([...index, sessionKey(handle), seenKey(handle)].map((key) => store.delete(key)))
}

/** Handles below one index key. */
export async function sessionsBelow(store: KVNamespace, prefix: string): Promise<readonly string[]> {
  const handles: string[] = []
  let cursor: string | null = null
  do {
    const page: KVNamespaceListResult<unknown> = await stored(
      store.list({ prefix, ...(cursor === null ? {} : { cursor }) }),
    )
    handles.push(...page.keys.map(({ name }) => name.slice(prefix.length)))
    cursor = page.list_complete ? null : page.cursor
  } while (cursor !== null && handles.length < MOST_SESSIONS)
  return handles
}

async function stored<T>(work: Promise<T>): Promise<T> {
  try {
    return await within(TIMEOUT_MS, work)
  } catch (cause) {
    throw refuse("login.store-unavailable", { cause, headers: { "retry-after": "5" } })
  }
}
