/** The records of sessions in KV, by the keys of contracts/session.ts alone. Nothing here ends a session: the revocation does, and has been made before a record goes. */
import type { Revocation, RevocationRequest } from "../../contracts/revocation.ts"
import {
  hashForKey,
  idpSessionKey,
  type SessionRecord,
  seenKey,
  sessionKey,
  sessionRecord,
  subjectSessionKey,
} from "../../contracts/session.ts"
import { within } from "../../kit/within.ts"
import { writeLog } from "../../kit/write-log.ts"

/** Sessions per call: two keys of each are read at once, and KV gives at most a hundred. Their four keys are deleted one by one, which fits the calls that a request may make. */
export const PAGE = 50
/** KV gives so many keys at once. */
const KEYS_AT_ONCE = 100
/** Milliseconds that a revocation waits for when its sessions would have ended. */
const END_LIMIT_MS = 500

export interface SubjectId {
  readonly idp: string
  readonly subject: string
}
export interface HandlePage {
  readonly handles: readonly string[]
  /** Null on the last page. */
  readonly cursor: string | null
}
export interface KnownSession extends SessionRecord {
  /** Null when it was never noted, or so long ago that the note has gone. */
  readonly seenAtMs: number | null
}

export async function subjectHandles(kv: KVNamespace, id: SubjectId, cursor: string | null): Promise<HandlePage> {
  return handlesBelow(kv, subjectSessionKey(await hashForKey([id.idp, id.subject])), cursor)
}

/** All that began with one session of the provider; nobody has a thousand. */
export async function idpSessionHandles(kv: KVNamespace, idp: string, idpSession: string): Promise<readonly string[]> {
  const prefix = idpSessionKey(await hashForKey([idp, idpSession]))
  const { keys } = await kv.list({ prefix, limit: 1000 })
  return keys.map(({ name }) => name.slice(prefix.length))
}

async function handlesBelow(kv: KVNamespace, prefix: string, cursor: string | null): Promise<HandlePage> {
  const page = await kv.list({ prefix, limit: PAGE, cursor })
  const handles = page.keys.map(({ name }) => name.slice(prefix.length))
  return { handles, cursor: page.list_complete ? null : page.cursor }
}

/** True where KV says so, by the index or by the record itself: either may be the later to be seen here. */
export async function isOf(kv: KVNamespace, handle: string, id: SubjectId): Promise<boolean> {
  const index = subjectSessionKey(await hashForKey([id.idp, id.subject]), handle)
  const [listed, text] = await Promise.all([kv.get(index), kv.get(sessionKey(handle))])
  const record = parse(text)
  return listed !== null || (record?.idp === id.idp && record.subject === id.subject)
}

/** Those of at most {@link PAGE} handles that have a readable record, over or not. */
export async function readSessions(kv: KVNamespace, handles: readonly string[]): Promise<KnownSession[]> {
  if (handles.length === 0) return []
  const texts = await kv.get(handles.flatMap((handle) => [sessionKey(handle), seenKey(handle)]))
  return handles.flatMap((handle) => {
    const record = parse(texts.get(sessionKey(handle)) ?? null)
    const seen = texts.get(seenKey(handle)) ?? ""
    return record === null ? [] : [{ ...record, seenAtMs: /^\d{1,15}$/.test(seen) ? Number(seen) : null }]
  })
}

/**
 * `asked`, with the ends of those sessions that have a record: so long their revocation is remembered, and the platform can remember so many. The others, and all of them while KV does not answer,
 * are remembered as long as any session may last. Never rejects. A record that is of another session or over before it began is not believed: what is forgotten is refused no more.
 */
export async function withEnds(kv: KVNamespace, asked: readonly Revocation[]): Promise<readonly RevocationRequest[]> {
  const handles = asked.flatMap(({ target }) => (target.kind === "session" ? [target.session] : []))
  const ends = await within(END_LIMIT_MS, endsOf(kv, handles)).catch(() => new Map<string, number>())
  return asked.map((each) => {
    const sessionExpiresAtMs = each.target.kind === "session" ? ends.get(each.target.session) : undefined
    return sessionExpiresAtMs === undefined ? each : { ...each, sessionExpiresAtMs }
  })
}

async function endsOf(kv: KVNamespace, handles: readonly string[]): Promise<Map<string, number>> {
  const pages = Array.from({ length: Math.ceil(handles.length / KEYS_AT_ONCE) }, (_, page) =>
    handles.slice(page * KEYS_AT_ONCE, (page + 1) * KEYS_AT_ONCE),
  )
  const texts = await Promise.all(pages.map((page) => kv.get(page.map((handle) => sessionKey(handle)))))
  const ends = new Map<string, number>()
  for (const [key, text] of texts.flatMap((page) => [...page])) {
    const record = parse(text)
    if (record === null || key !== sessionKey(record.handle) || record.expiresAtMs <= record.createdAtMs) continue
    ends.set(record.handle, record.expiresAtMs)
  }
  return ends
}

/** False once it is over, by its end or because nobody used it for so long. */
export function isAlive({ expiresAtMs, idleS, createdAtMs, seenAtMs }: KnownSession, nowMs: number): boolean {
  return nowMs < expiresAtMs && nowMs < (seenAtMs ?? createdAtMs) + idleS * 1000
}

/**
 * Takes the records of what was revoked away, at most {@link PAGE} of them. Never rejects: it was revoked before, and is refused whatever stands here.
 * True when no record of it is left that KV shows; `owner` is whose those are that have no record any more.
 */
export async function removeRevoked(
  kv: KVNamespace,
  revoked: readonly Revocation[],
  owner: SubjectId | null = null,
): Promise<boolean> {
  try {
    let isAll = true
    let left = PAGE
    for (const { target, beforeMs = 0 } of revoked) {
      if (target.kind !== "session" && target.kind !== "subject") continue
      if (left === 0) return false
      const page =
        target.kind === "session" ? { handles: [target.session], cursor: null } : await subjectHandles(kv, target, null)
      const records = new Map((await readSessions(kv, page.handles)).map((record) => [record.handle, record]))
      // What somebody began after the time is not meant.
      const ended = page.handles.filter(
        (handle) => target.kind === "session" || (records.get(handle)?.authenticatedAtMs ?? 0) <= beforeMs,
      )
      const taken = ended.slice(0, left)
      left -= taken.length
      isAll &&= page.cursor === null && taken.length === ended.length
      const whose = target.kind === "subject" ? target : owner
      await Promise.all(taken.map((handle) => removeOne(kv, handle, records.get(handle), whose)))
    }
    return isAll
  } catch (failure) {
    const record = { event: "sessions-not-removed", error: String(failure) }
    writeLog(record)
    return false
  }
}

/** The list of the subject's last: what is interrupted is found and finished by the next. */
async function removeOne(
  kv: KVNamespace,
  handle: string,
  record: SessionRecord | undefined,
  owner: SubjectId | null,
): Promise<void> {
  if (record?.idpSession != null)
    await kv.delete(idpSessionKey(await hashForKey([record.idp, record.idpSession]), handle))
  await Promise.all([sessionKey(handle), seenKey(handle)].map((key) => kv.delete(key)))
  const whose = record ?? owner
  if (whose !== null) await kv.delete(subjectSessionKey(await hashForKey([whose.idp, whose.subject]), handle))
}

function parse(text: string | null): SessionRecord | null {
  if (text === null) return null
  try {
    return sessionRecord.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
