/**
 * The key ring of the passports, as both planes read it: which key signs at a time, which verify, and how a ring changes when it is rotated or rolled back.
 * Pure: the control plane changes a ring by these functions, the dispatcher and the command line read it by them, so that no two disagree on whose turn it is.
 *
 * A key goes through next → current → retiring by the clock alone. It signs from `signsFromMs` on, until one with a later time does. It verifies, and is published,
 * from the moment it stands in the ring until `verifiesUntilMs`. One that was taken back has both at the same time: it verifies what it signed, and never signs again.
 */
import { PASSPORT_LIFETIME_S, PASSPORT_MAX_SKEW_S } from "./passport.ts"

/** Seconds that a verifier may keep the key set: `max-age` of /.well-known/jwks.json. */
export const KEY_SET_MAX_AGE_S = 300
/** Seconds within which every isolate that reaches KV goes by a new config: KV's own 60, its cache at the location 30, and the 60 after which a request waits for a look. KV promises no bound; the lead has two minutes to spare. */
export const CONFIG_LAG_S = 180
/** Seconds that a key stands published before it signs, unless told otherwise; never below {@link LEAST_LEAD_S} outside of tests. */
export const KEY_LEAD_S = 600
/** Below it, somebody could be shown a passport by a key that they had no chance to know. */
export const LEAST_LEAD_S = KEY_SET_MAX_AGE_S + CONFIG_LAG_S + PASSPORT_MAX_SKEW_S
/** Seconds that a key goes on verifying after its successor began to sign: an edge that no longer reaches its config signs with it for so long unharmed, and so long a rotation can be rolled back. */
export const KEY_RETIRES_S = 86_400
/** Seconds that a key goes on verifying which stops signing at once: what isolates of the config before still sign with it. */
export const KEY_GRACE_S = CONFIG_LAG_S + PASSPORT_LIFETIME_S + PASSPORT_MAX_SKEW_S
/** Seconds from one scheduled rotation to the next, unless told otherwise. */
export const KEY_MAX_AGE_S = 30 * 86_400
/** As many as a config takes. */
export const MOST_KEYS = 8
/** What the seal of a private key is bound to beside its kid (kit/seal.ts). */
export const PASSPORT_KEY_PURPOSE = "passport-key"

/** What the clock decides by. */
export interface TimedKey {
  readonly kid: string
  /** Milliseconds since the epoch. */
  readonly signsFromMs: number
  /** Absent: until something is said. */
  readonly verifiesUntilMs?: number | undefined
}

/** `taken-back`: verifies, and will never sign again. `retired`: does nothing any more. */
export type KeyState = "next" | "current" | "retiring" | "taken-back" | "retired"

export interface RingTimes {
  readonly leadS: number
  readonly retiresS: number
}

/** True while what the key has signed is accepted, and the key is published. */
export function verifies(key: TimedKey, nowMs: number): boolean {
  return key.verifiesUntilMs === undefined || nowMs < key.verifiesUntilMs
}

/** Never signs, whatever the time. */
export function isTakenBack(key: TimedKey): boolean {
  return key.verifiesUntilMs !== undefined && key.verifiesUntilMs <= key.signsFromMs
}

/** True when a passport made now would be accepted for all its life. */
export function canSign(key: TimedKey, nowMs: number): boolean {
  const lifeMs = (PASSPORT_LIFETIME_S + PASSPORT_MAX_SKEW_S) * 1000
  return key.signsFromMs <= nowMs && verifies(key, nowMs + lifeMs)
}

/** The key that signs: of those that can, the one whose time came last. Undefined when none can. */
export function signingKey<K extends TimedKey>(keys: readonly K[], nowMs: number): K | undefined {
  let found: K | undefined
  for (const key of keys) if (canSign(key, nowMs) && (found === undefined || isLater(key, found))) found = key
  return found
}

/** The key whose turn comes next, if one waits. */
export function nextKey<K extends TimedKey>(keys: readonly K[], nowMs: number): K | undefined {
  return keys.find((key) => nowMs < key.signsFromMs && !isTakenBack(key))
}

export function keyState(key: TimedKey, keys: readonly TimedKey[], nowMs: number): KeyState {
  if (!verifies(key, nowMs)) return "retired"
  if (isTakenBack(key)) return "taken-back"
  if (nowMs < key.signsFromMs) return "next"
  return signingKey(keys, nowMs)?.kid === key.kid ? "current" : "retiring"
}

/** Two keys of one moment are told apart by name, so that every isolate picks the same. */
function isLater(one: TimedKey, other: TimedKey): boolean {
  return one.signsFromMs === other.signsFromMs ? one.kid > other.kid : one.signsFromMs > other.signsFromMs
}

/** The ring without what does nothing any more. */
export function withoutRetired<K extends TimedKey>(keys: readonly K[], nowMs: number): readonly K[] {
  return keys.filter((key) => verifies(key, nowMs))
}

/** The ring with `made` published, to sign after the lead; what signs until then retires after it. Nobody who knows the ring for the lead's time ever meets an unknown key. */
export function rotated<K extends TimedKey>(
  keys: readonly K[],
  made: K,
  nowMs: number,
  times: RingTimes,
): readonly K[] {
  const signsFromMs = nowMs + times.leadS * 1000
  const untilMs = signsFromMs + times.retiresS * 1000
  return [...keys.map((key) => ending(key, untilMs)), { ...made, signsFromMs }]
}

/** The ring of a rotation that nobody could be told of in time: its key gets the whole lead again, and what signs until then as long after it. */
export function postponed<K extends TimedKey>(
  keys: readonly K[],
  unseen: TimedKey,
  nowMs: number,
  times: RingTimes,
): readonly K[] {
  const signsFromMs = nowMs + times.leadS * 1000
  const untilMs = unseen.signsFromMs + times.retiresS * 1000
  return keys.map((key) => {
    if (key.kid === unseen.kid) return { ...key, signsFromMs }
    return key.verifiesUntilMs === untilMs ? { ...key, verifiesUntilMs: signsFromMs + times.retiresS * 1000 } : key
  })
}

/**
 * The ring in which `made`, or the key that waits to be the next, signs at once, and all before it verify for {@link KEY_GRACE_S} more: for a key that somebody else may have.
 * The price: a verifier that keeps its key set and does not look again for an unknown kid refuses everything until {@link KEY_SET_MAX_AGE_S} are over.
 */
export function rotatedAtOnce<K extends TimedKey>(keys: readonly K[], made: K, nowMs: number): readonly K[] {
  const chosen = nextKey(keys, nowMs) ?? made
  const untilMs = nowMs + KEY_GRACE_S * 1000
  const others = keys.filter((key) => key.kid !== chosen.kid).map((key) => ending(key, untilMs))
  // Later than any that signs: a clock that was set back must not leave the old one signing.
  const signsFromMs = Math.max(nowMs, ...others.filter((key) => !isTakenBack(key)).map((key) => key.signsFromMs + 1))
  return [...others, { ...chosen, signsFromMs }]
}

/**
 * The ring in which the newest rotation is undone: the key that waits to be the next will not be, or the one that signs gives way to the one before it, which was published
 * all the while. What it signed stays good. Null when there is none before it that has long enough to live.
 */
export function rolledBack<K extends TimedKey>(keys: readonly K[], nowMs: number): readonly K[] | null {
  const waiting = nextKey(keys, nowMs)
  const undone = waiting ?? signingKey(keys, nowMs)
  if (undone === undefined) return null
  const former = formerKey(keys, undone, nowMs)
  // Before the first key of the ring there was the dispatcher's secret PASSPORT_KEYS, which signs until it is that key's turn.
  if (former === undefined && waiting === undefined) return null
  // An isolate of the config before may begin to sign with it at its time, and go on until it hears of this.
  const endMs = Math.max(nowMs, undone.signsFromMs) + KEY_GRACE_S * 1000
  return keys.map((key) => {
    if (key.kid === undone.kid) return { ...key, signsFromMs: endMs, verifiesUntilMs: endMs }
    if (key.kid !== former?.kid) return key
    const { verifiesUntilMs: _, ...again } = key
    return again as K
  })
}

/** The one that signs when `undone` does not. It must outlive the time that the change takes to reach everybody. */
export function formerKey<K extends TimedKey>(keys: readonly K[], undone: TimedKey, nowMs: number): K | undefined {
  const others = keys.filter((key) => key.kid !== undone.kid && verifies(key, nowMs + CONFIG_LAG_S * 1000))
  return signingKey(others, nowMs)
}

/** The same key with an end, if it has none that comes sooner. */
function ending<K extends TimedKey>(key: K, untilMs: number): K {
  return { ...key, verifiesUntilMs: Math.min(key.verifiesUntilMs ?? untilMs, untilMs) }
}
