/**
 * Changes the key ring of the passports: rotates it, rolls a rotation back, and lets the schedule do what its keys' age asks for. What a ring becomes is decided by
 * contracts/passport-keys.ts; here it is recorded, audited and published like any other change of the config.
 */
import {
  isTakenBack,
  MOST_KEYS,
  nextKey,
  postponed,
  rolledBack,
  rotated,
  rotatedAtOnce,
  signingKey,
  withoutRetired,
} from "../../../contracts/passport-keys.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, SYSTEM } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { type Change, type Changed, change } from "../config/change.ts"
import type { PublishDependencies } from "../config/publish.ts"
import type { PassportKeyStore } from "../store/passport-keys.ts"
import type { Edit, Registry } from "../store/registry.ts"
import type { PassportKeyRow } from "../store/rows.ts"
import type { KeySettings } from "./key-settings.ts"
import { makeKey } from "./make-key.ts"

/** A rotation that is being published just now is left in peace. */
const PUBLISHES_WITHIN_MS = 30_000

export interface KeyDependencies extends PublishDependencies {
  readonly store: PublishDependencies["store"] & { readonly passportKeys: PassportKeyStore }
  readonly settings: PublishDependencies["settings"] & { readonly ringKey: string | null; readonly keys: KeySettings }
}

export interface Asked {
  readonly message?: string | undefined
  /** Id of the request; a repeat of it changes nothing. Null without an Idempotency-Key. */
  readonly askedBy: string | null
}

/** The ring after a change, and whether this made it so. */
export interface RingChange {
  readonly keys: readonly PassportKeyRow[]
  readonly created: boolean
}

/**
 * Publishes a new key, which signs after the lead; or, with `immediately`, lets it sign at once. While one waits to be the next, nothing is made: it is that rotation, and
 * `immediately` makes that one sign. Throws `keys.not-configured`, `keys.ring-full`, and as {@link change} does.
 */
export async function rotateKeys(
  asked: Asked & { readonly immediately: boolean },
  actor: Actor,
  deps: KeyDependencies,
): Promise<Changed<RingChange>> {
  const made = await makeKey(deps)
  return change(deps, actor, ({ passportKeys }) => {
    const nowMs = deps.clock.now()
    const before = [...passportKeys.values()]
    const live = withoutRetired(before, nowMs)
    const waits = nextKey(live, nowMs)
    const isDone = isRepeat(before, asked) || (waits !== undefined && !asked.immediately)
    if (isDone) return unchanged(before)
    if (waits === undefined && live.length >= MOST_KEYS) throw refuse("keys.ring-full")
    const row: PassportKeyRow = { ...made, askedBy: null, changedAt: "" }
    const after = asked.immediately ? rotatedAtOnce(live, row, nowMs) : rotated(live, row, nowMs, deps.settings.keys)
    const kid = waits?.kid ?? made.kid
    return changed("keys.rotate", kid, { ...asked, before, after, nowMs }, { immediately: asked.immediately })
  })
}

/** Undoes the newest rotation: the key that waits is taken back, or the former one signs again at once. Throws `keys.none-before`, and as {@link change} does. */
export async function rollBackKeys(asked: Asked, actor: Actor, deps: KeyDependencies): Promise<Changed<RingChange>> {
  return change(deps, actor, ({ passportKeys }) => {
    const nowMs = deps.clock.now()
    const before = [...passportKeys.values()]
    if (isRepeat(before, asked)) return unchanged(before)
    const live = withoutRetired(before, nowMs)
    const undone = nextKey(live, nowMs) ?? signingKey(live, nowMs)
    const after = rolledBack(live, nowMs)
    if (undone === undefined || after === null) throw refuse("keys.none-before")
    return changed("keys.rollback", undone.kid, { ...asked, before, after, nowMs }, {})
  })
}

/** For the schedule: puts a rotation off that could not be published, removes keys whose time is over, and rotates when the one that signs is old. Begins with no ring: the first rotation is ops' to order. */
export async function tendKeys(deps: KeyDependencies): Promise<void> {
  const nowMs = deps.clock.now()
  const keys = await deps.store.passportKeys.list()
  if (isLosingItsLead(keys, await publishedAtMs(deps), nowMs, deps.settings.keys)) return postpone(deps)
  if (withoutRetired(keys, nowMs).length < keys.length) await removeRetired(deps)
  const dueMs = rotatesAtMs(keys, nowMs, deps.settings.keys)
  if (dueMs === null || nowMs < dueMs) return
  await rotateKeys({ immediately: false, askedBy: null, message: "on schedule" }, SYSTEM, deps)
}

/** A lead that began before the config was to be had is none: while KV takes nothing, the time to sign moves on with the clock. */
async function postpone(deps: KeyDependencies): Promise<void> {
  const seenMs = await publishedAtMs(deps)
  await change(deps, SYSTEM, ({ passportKeys }) => {
    const nowMs = deps.clock.now()
    const before = [...passportKeys.values()]
    const unseen = newestKey(before)
    if (unseen === undefined || !isLosingItsLead(before, seenMs, nowMs, deps.settings.keys)) return unchanged(before)
    const after = postponed(before, unseen, nowMs, deps.settings.keys)
    const asked = { askedBy: unseen.askedBy, message: "not published yet" }
    return changed("keys.postpone", unseen.kid, { ...asked, before, after, nowMs }, {})
  })
}

/** True of a ring whose newest key was to stand published for the lead, and is in no config that was ever live though some of that time is over. */
function isLosingItsLead(
  keys: readonly PassportKeyRow[],
  seenMs: number,
  nowMs: number,
  { leadS }: KeySettings,
): boolean {
  const newest = newestKey(keys)
  if (newest === undefined) return false
  const madeMs = Date.parse(newest.changedAt)
  const hasLead = newest.signsFromMs - madeMs >= leadS * 1000
  return hasLead && madeMs > seenMs && newest.signsFromMs - nowMs < leadS * 1000 - PUBLISHES_WITHIN_MS
}

function newestKey(keys: readonly PassportKeyRow[]): PassportKeyRow | undefined {
  return keys.filter((key) => !isTakenBack(key)).toSorted((a, b) => b.signsFromMs - a.signsFromMs)[0]
}

/** When the newest config that KV ever named was made; whatever changed later, nobody has seen. */
async function publishedAtMs({ store }: KeyDependencies): Promise<number> {
  const revision = await store.revisions.newestLive()
  const row = revision === null ? null : await store.revisions.get(revision)
  return row === null ? Number.NEGATIVE_INFINITY : Date.parse(row.publishedAt)
}

async function removeRetired(deps: KeyDependencies): Promise<void> {
  await change(deps, SYSTEM, ({ passportKeys }: Registry): Change<null> => {
    const keys = [...passportKeys.values()]
    const kept = new Set(withoutRetired(keys, deps.clock.now()).map((key) => key.kid))
    const gone = keys.map((key) => key.kid).filter((kid) => !kept.has(kid))
    return {
      edits: gone.map((kid) => ({ table: "passportKeys", remove: kid })),
      audit: { action: "keys.remove", target: "passport-keys", detail: { kids: gone } },
      result: null,
    }
  })
}

function isRepeat(keys: readonly PassportKeyRow[], { askedBy }: Asked): boolean {
  return askedBy !== null && keys.some((key) => key.askedBy === askedBy)
}

function unchanged(keys: readonly PassportKeyRow[]): Change<RingChange> {
  const audit = { action: "keys.rotate", target: "passport-keys", detail: {} }
  return { edits: [], audit, result: { keys, created: false } }
}

interface RingBeforeAndAfter extends Asked {
  readonly before: readonly PassportKeyRow[]
  readonly after: readonly PassportKeyRow[]
  readonly nowMs: number
}

/** `kid` is the key that the change is about: it is what a repeat of the request is known by. The audit has times and kids, no part of a key. */
function changed(
  action: string,
  kid: string,
  { before, after, nowMs, askedBy, message }: RingBeforeAndAfter,
  detail: Readonly<Record<string, unknown>>,
): Change<RingChange> {
  const known = new Map(before.map((key) => [key.kid, key]))
  const changedAt = new Date(nowMs).toISOString()
  const keys = after.map((key) => {
    const isSame = canonicalJson(key) === canonicalJson(known.get(key.kid) ?? null)
    return isSame ? key : { ...key, changedAt, ...(key.kid === kid ? { askedBy } : {}) }
  })
  const kept = new Set(keys.map((key) => key.kid))
  const edits: Edit[] = [
    ...keys.map((put) => ({ table: "passportKeys", put }) as const),
    ...before.filter((key) => !kept.has(key.kid)).map((key) => ({ table: "passportKeys", remove: key.kid }) as const),
  ]
  const times = keys.map(({ kid: name, signsFromMs, verifiesUntilMs = null }) => ({
    kid: name,
    signsFromMs,
    verifiesUntilMs,
  }))
  return {
    edits,
    audit: { action, target: `passport-keys/${kid}`, detail: { ...detail, message, keys: times } },
    result: { keys, created: true },
  }
}

/** When the schedule will next rotate; null while a key waits, or there is none that signs. Milliseconds. */
export function rotatesAtMs(keys: readonly PassportKeyRow[], nowMs: number, settings: KeySettings): number | null {
  const current = signingKey(keys, nowMs)
  if (current === undefined || nextKey(keys, nowMs) !== undefined) return null
  // Since it signs, or signs again: a rollback is not to be undone by the schedule.
  const sinceMs = Math.max(current.signsFromMs, Date.parse(current.changedAt))
  return sinceMs + (settings.maxAgeS - settings.leadS) * 1000
}
