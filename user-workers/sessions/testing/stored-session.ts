/** Sessions as the login Worker leaves them in KV, for tests. */
import {
  handleOf,
  hashForKey,
  idpSessionKey,
  type SessionRecord,
  seenKey,
  sessionKey,
  subjectSessionKey,
} from "../../../contracts/session.ts"

export const NOON = Date.parse("2026-11-20T12:00:00.000Z")
const HOUR_MS = 3_600_000

/** Stores a session of `alice` at `corp`, begun an hour before noon, and returns its handle. */
export async function putSession(
  kv: KVNamespace,
  changes: Partial<SessionRecord> & { readonly seenAtMs?: number } = {},
): Promise<string> {
  const { seenAtMs, ...rest } = changes
  const handle = await handleOf(crypto.randomUUID())
  const record: SessionRecord = {
    format: 1,
    handle,
    idp: "corp",
    subject: "alice",
    scopes: [],
    company: null,
    level: 1,
    authenticatedAtMs: NOON - HOUR_MS,
    createdAtMs: NOON - HOUR_MS,
    expiresAtMs: NOON + 8 * HOUR_MS,
    idleS: 86_400,
    device: { userAgent: "Laptop/1", ip: "203.0.113.7", country: "GB" },
    idpSession: null,
    ...rest,
  }
  await kv.put(sessionKey(handle), JSON.stringify(record))
  await kv.put(subjectSessionKey(await hashForKey([record.idp, record.subject]), handle), "")
  if (seenAtMs !== undefined) await kv.put(seenKey(handle), String(seenAtMs))
  if (record.idpSession !== null)
    await kv.put(idpSessionKey(await hashForKey([record.idp, record.idpSession]), handle), "")
  return handle
}

/** Names of all keys that begin so. */
export async function keysOf(kv: KVNamespace, prefix = ""): Promise<string[]> {
  return (await kv.list({ prefix })).keys.map(({ name }) => name)
}
