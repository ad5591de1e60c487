/**
 * What may be used once, in the team's own D1: one primary, so that of two at the same time exactly one gets it, wherever they come in.
 * Ids are held as hashes: who reads the database can finish nobody's login. Rows are bounded per client, and gone when their time is over.
 */

import { hashForKey } from "../../contracts/session.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import { within } from "../../kit/within.ts"

/** Milliseconds from the beginning of a login to its end. */
export const LOGIN_LIFETIME_MS = 600_000
/** Per client address, behind which a whole office may stand; then the oldest goes. */
const MOST_PER_CLIENT = 200
/** Milliseconds for one question to the database. */
const TIMEOUT_MS = 5_000

/** A login under way. */
export interface PendingLogin {
  readonly idp: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
  readonly returnTo: string
  readonly level: number
  readonly maxAgeS: number | null
  readonly startedAtMs: number
}

/** Of whom a login is: the browser by the secret in its cookie, the client by its address. */
export interface Owner {
  readonly browser: string
  readonly client: string
}

const TABLES = [
  "CREATE TABLE IF NOT EXISTS logins (state TEXT PRIMARY KEY, browser TEXT NOT NULL, client TEXT NOT NULL, expires_ms INTEGER NOT NULL, login TEXT NOT NULL)",
  "CREATE INDEX IF NOT EXISTS logins_by_client ON logins (client, expires_ms)",
  "CREATE INDEX IF NOT EXISTS logins_by_time ON logins (expires_ms)",
  "CREATE TABLE IF NOT EXISTS pins (id TEXT PRIMARY KEY, browser TEXT NOT NULL, client TEXT NOT NULL, address TEXT NOT NULL, asked_ms INTEGER NOT NULL, tries INTEGER NOT NULL, pin TEXT NOT NULL, return_to TEXT NOT NULL)",
  "CREATE INDEX IF NOT EXISTS pins_by_client ON pins (client)",
  "CREATE INDEX IF NOT EXISTS pins_by_address ON pins (address)",
  "CREATE INDEX IF NOT EXISTS pins_by_time ON pins (asked_ms)",
  "CREATE TABLE IF NOT EXISTS logout_tokens (jti TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL)",
  "CREATE TABLE IF NOT EXISTS young_sessions (handle TEXT PRIMARY KEY, begun_ms INTEGER NOT NULL, subject TEXT NOT NULL, idp_session TEXT)",
  "CREATE INDEX IF NOT EXISTS young_sessions_by_subject ON young_sessions (subject)",
  "CREATE INDEX IF NOT EXISTS young_sessions_by_idp_session ON young_sessions (idp_session)",
  "CREATE TABLE IF NOT EXISTS ended (what TEXT PRIMARY KEY, ended_ms INTEGER NOT NULL)",
]
/** Milliseconds for which a session is listed here as well: KV shows a new key in its lists everywhere only after a minute or so. */
const YOUNG_MS = 600_000
let isPrepared = false

/** Runs `work` on a database that has its tables, in bounded time. Refuses `login.store-unavailable`. */
export async function inStore<T>(db: D1Database, work: (db: D1Database) => Promise<T>): Promise<T> {
  const answer = async () => {
    if (!isPrepared) await db.batch(TABLES.map((table) => db.prepare(table)))
    isPrepared = true
    return work(db)
  }
  try {
    return await within(TIMEOUT_MS, answer())
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    isPrepared = false
    throw refuse("login.store-unavailable", { cause, headers: { "retry-after": "5" } })
  }
}

export async function putLogin(db: D1Database, state: string, owner: Owner, login: PendingLogin): Promise<void> {
  const [stateHash, browser, client] = await Promise.all(
    [state, owner.browser, owner.client].map((text) => hashForKey([text])),
  )
  const nowMs = Date.now()
  await inStore(db, () =>
    db.batch([
      db.prepare("DELETE FROM logins WHERE expires_ms <= ?").bind(nowMs),
      db
        .prepare(
          "DELETE FROM logins WHERE state IN (SELECT state FROM logins WHERE client = ? ORDER BY expires_ms DESC LIMIT -1 OFFSET ?)",
        )
        .bind(client, MOST_PER_CLIENT - 1),
      db
        .prepare("INSERT INTO logins (state, browser, client, expires_ms, login) VALUES (?, ?, ?, ?, ?)")
        .bind(stateHash, browser, client, nowMs + LOGIN_LIFETIME_MS, JSON.stringify(login)),
    ]),
  )
}

/** The login of this state and this browser, for whoever asks first; null for everybody else. */
export async function takeLogin(db: D1Database, state: string, browser: string): Promise<PendingLogin | null> {
  const [stateHash, browserHash] = await Promise.all([state, browser].map((text) => hashForKey([text])))
  const row = await inStore(db, () =>
    db
      .prepare("DELETE FROM logins WHERE state = ? AND browser = ? AND expires_ms > ? RETURNING login")
      .bind(stateHash, browserHash, Date.now())
      .first<{ login: string }>(),
  )
  return row === null ? null : (JSON.parse(row.login) as PendingLogin)
}

/** True for the first who comes with this id of a logout token within its time. */
export async function isFirstUse(db: D1Database, jti: readonly string[], expiresMs: number): Promise<boolean> {
  const hash = await hashForKey(jti)
  const results = await inStore(db, () =>
    db.batch<{ jti: string }>([
      db.prepare("DELETE FROM logout_tokens WHERE expires_ms <= ?").bind(Date.now()),
      db
        .prepare("INSERT INTO logout_tokens (jti, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING jti")
        .bind(hash, expiresMs),
    ]),
  )
  return (results[1]?.results.length ?? 0) === 1
}

/** So that a token that could not be acted on may come again. */
export async function forgetUse(db: D1Database, jti: readonly string[]): Promise<void> {
  const hash = await hashForKey(jti)
  await inStore(db, () => db.prepare("DELETE FROM logout_tokens WHERE jti = ?").bind(hash).run())
}

/** By what the sessions of one provider are found: hashes of `[idp, subject]` and `[idp, sid]`. */
export interface SessionIndex {
  readonly subject: string
  readonly idpSession: string | null
}

/** Lists a session that is about to begin. False when the provider has ended its own, from which this one comes, or all of the subject's, since the person set out. */
export async function noteYoungSession(
  db: D1Database,
  handle: string,
  { subject, idpSession }: SessionIndex,
  startedAtMs: number,
): Promise<boolean> {
  const nowMs = Date.now()
  const results = await inStore(db, () =>
    db.batch<{ handle: string }>([
      db.prepare("DELETE FROM young_sessions WHERE begun_ms <= ?").bind(nowMs - YOUNG_MS),
      db
        .prepare(
          "INSERT INTO young_sessions (handle, begun_ms, subject, idp_session) SELECT ?1, ?2, ?3, ?4 " +
            "WHERE NOT EXISTS (SELECT 1 FROM ended WHERE what IN (?3, ?4) AND ended_ms >= ?5) RETURNING handle",
        )
        .bind(handle, nowMs, subject, idpSession, startedAtMs),
    ]),
  )
  return (results[1]?.results.length ?? 0) === 1
}

/** Handles of the young sessions found so; by `idpSession` where it is given. What comes from there later is refused. */
export async function takeYoungSessions(db: D1Database, { subject, idpSession }: Partial<SessionIndex>) {
  const nowMs = Date.now()
  const found =
    idpSession == null
      ? db.prepare("SELECT handle FROM young_sessions WHERE subject = ?").bind(subject ?? "")
      : db.prepare("SELECT handle FROM young_sessions WHERE idp_session = ?").bind(idpSession)
  const results = await inStore(db, () =>
    db.batch<{ handle: string }>([
      db.prepare("DELETE FROM ended WHERE ended_ms <= ?").bind(nowMs - LOGIN_LIFETIME_MS),
      db.prepare("INSERT OR REPLACE INTO ended VALUES (?, ?)").bind(idpSession ?? subject ?? "", nowMs),
      found,
    ]),
  )
  return (results.at(-1)?.results ?? []).map(({ handle }) => handle)
}
