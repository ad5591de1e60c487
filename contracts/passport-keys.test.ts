import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  CONFIG_LAG_S,
  canSign,
  KEY_GRACE_S,
  KEY_LEAD_S,
  KEY_RETIRES_S,
  KEY_SET_MAX_AGE_S,
  keyState,
  LEAST_LEAD_S,
  nextKey,
  postponed,
  rolledBack,
  rotated,
  rotatedAtOnce,
  signingKey,
  type TimedKey,
  verifies,
  withoutRetired,
} from "./passport-keys.ts"

const NOW = 1_800_000_000_000
const TIMES = { leadS: KEY_LEAD_S, retiresS: KEY_RETIRES_S }
const a: TimedKey = { kid: "a", signsFromMs: NOW - 30 * 86_400_000 }
const b: TimedKey = { kid: "b", signsFromMs: 0 }
const at = (s: number) => NOW + s * 1000
const states = (keys: readonly TimedKey[], nowMs: number) =>
  Object.fromEntries(keys.map((key) => [key.kid, keyState(key, keys, nowMs)]))

describe("a rotation", () => {
  const ring = rotated([a], b, NOW, TIMES)

  it("goes next, current, retiring, retired by the clock alone, and at every moment one key signs", () => {
    expect(states(ring, NOW)).toEqual({ a: "current", b: "next" })
    expect(states(ring, at(KEY_LEAD_S) - 1)).toEqual({ a: "current", b: "next" })
    expect(states(ring, at(KEY_LEAD_S))).toEqual({ a: "retiring", b: "current" })
    expect(states(ring, at(KEY_LEAD_S + KEY_RETIRES_S) - 1)).toEqual({ a: "retiring", b: "current" })
    expect(states(ring, at(KEY_LEAD_S + KEY_RETIRES_S))).toEqual({ a: "retired", b: "current" })
  })

  it("publishes a key for longer than a key set may be kept before it signs, and the one before it for longer than its last passport lives", () => {
    expect(LEAST_LEAD_S).toBeGreaterThan(KEY_SET_MAX_AGE_S)
    expect(KEY_LEAD_S).toBeGreaterThanOrEqual(LEAST_LEAD_S)
    for (let s = 0; s <= KEY_LEAD_S + KEY_RETIRES_S; s += 61) {
      const signs = signingKey(ring, at(s))
      if (signs === undefined) throw new Error(`nothing signs after ${s} s`)
      expect(verifies(signs, at(s + 65))).toBe(true)
      expect(withoutRetired(ring, at(s)).map((key) => key.kid)).toContain(signs.kid)
    }
  })

  it("lets a key that ends soon sign no longer, so that what it signs is good for all its life", () => {
    const ending = { ...a, verifiesUntilMs: at(65) }
    expect(canSign(ending, NOW - 1)).toBe(true)
    expect(canSign(ending, NOW)).toBe(false)
  })

  it("moves on as a whole when nobody could be told of it, but for a key that ends for another reason", () => {
    const other = { kid: "c", signsFromMs: 0, verifiesUntilMs: at(100) }
    const later = postponed([...ring, other], { ...b, signsFromMs: at(KEY_LEAD_S) }, at(3600), TIMES)
    expect(later).toEqual([...rotated([a], b, at(3600), TIMES), other])
  })

  it("does not prolong a key that was to end sooner", () => {
    const [first] = rotated([{ ...a, verifiesUntilMs: at(100) }], b, NOW, TIMES)
    expect(first?.verifiesUntilMs).toBe(at(100))
  })
})

describe("a rotation at once", () => {
  it("signs with the new key now, and ends the others when passports by them are gone everywhere", () => {
    const ring = rotatedAtOnce([a], b, NOW)
    expect(states(ring, NOW)).toEqual({ a: "retiring", b: "current" })
    expect(states(ring, at(KEY_GRACE_S))).toEqual({ a: "retired", b: "current" })
  })

  it("takes the key that waits rather than another one, since it is known already", () => {
    const ring = rotatedAtOnce(rotated([a], b, NOW, TIMES), { kid: "c", signsFromMs: 0 }, at(60))
    expect(ring.map((key) => key.kid)).toEqual(["a", "b"])
    expect(signingKey(ring, at(60))?.kid).toBe("b")
  })

  it("also when the clock was set back since the last one", () => {
    const ring = rotatedAtOnce([{ kid: "a", signsFromMs: at(5) }], b, at(5))
    expect(signingKey(ring, at(6))?.kid).toBe("b")
  })
})

describe("a rollback", () => {
  const ring = rotated([a], b, NOW, TIMES)

  it("lets the former key sign again at once, without an end, and goes on accepting what the other one signed", () => {
    const now = at(KEY_LEAD_S + 60)
    const back = rolledBack(ring, now) ?? []
    expect(states(back, now)).toEqual({ a: "current", b: "taken-back" })
    expect(back[0]).toEqual(a)
    expect(states(back, now + KEY_GRACE_S * 1000)).toEqual({ a: "current", b: "retired" })
  })

  it("is not undone by another one: what was taken back never signs again", () => {
    const now = at(KEY_LEAD_S + 60)
    const back = rolledBack(ring, now) ?? []
    expect(rolledBack(back, now)).toBeNull()
    for (let s = 0; s < 2 * KEY_GRACE_S; s++) expect(signingKey(back, now + s * 1000)?.kid).toBe("a")
  })

  it("of a rotation that is still to come keeps the key published for those who begin to sign with it before they hear", () => {
    const now = at(KEY_LEAD_S - 1)
    const back = rolledBack(ring, now) ?? []
    expect(states(back, now)).toEqual({ a: "current", b: "taken-back" })
    // An isolate of the config before signs with b from its time on, until the change has reached it.
    const last = at(KEY_LEAD_S + CONFIG_LAG_S)
    expect(back.filter((key) => verifies(key, last + 65_000 - 1)).map((key) => key.kid)).toEqual(["a", "b"])
    expect(nextKey(back, now)).toBeUndefined()
  })

  it("is possible while the former key outlives the time that a change takes, and not a moment longer", () => {
    const end = KEY_LEAD_S + KEY_RETIRES_S - CONFIG_LAG_S
    expect(rolledBack(ring, at(end) - 1)).not.toBeNull()
    expect(rolledBack(ring, at(end))).toBeNull()
  })

  it("takes the first key of all back while it waits, and cannot afterwards, since there was none before it", () => {
    const first = rotated([], b, NOW, TIMES)
    expect(states(rolledBack(first, NOW) ?? [], NOW)).toEqual({ b: "taken-back" })
    expect(rolledBack(first, at(KEY_LEAD_S))).toBeNull()
    expect(rolledBack([], NOW)).toBeNull()
  })

  it("goes back once more when there is a key before the former one", () => {
    const c = { kid: "c", signsFromMs: 0 }
    const two = rotated(rotated([a], b, NOW, TIMES), c, at(KEY_LEAD_S), TIMES)
    const now = at(2 * KEY_LEAD_S)
    const once = rolledBack(two, now) ?? []
    expect(signingKey(once, now)?.kid).toBe("b")
    expect(signingKey(rolledBack(once, now) ?? [], now)?.kid).toBe("a")
  })
})

it("tells two keys of one moment apart in the same way whatever their order", () => {
  const keys = [a, { ...a, kid: "z" }]
  expect(signingKey(keys, NOW)?.kid).toBe("z")
  expect(signingKey(keys.toReversed(), NOW)?.kid).toBe("z")
})

describe("nobody meets a key that they had no chance to know", () => {
  const change = fc.record({
    kind: fc.constantFrom("rotate" as const, "rollback" as const),
    /** Seconds since the change before; often just about when a key begins to sign. */
    afterS: fc.oneof(
      fc.integer({ min: 1, max: 4 * KEY_LEAD_S }),
      fc.integer({ min: KEY_LEAD_S - 5, max: KEY_LEAD_S + 5 }),
    ),
  })

  it("whatever is rotated and rolled back, however late an isolate hears of it, and however long a key set is kept", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const history = ringsOver(changes)
        const ringAt = (ms: number) => history.findLast((each) => each.fromMs <= ms)?.keys ?? [a]
        for (const madeMs of momentsAround(history))
          for (const makerLagS of [0, CONFIG_LAG_S])
            for (const publisherLagS of [0, CONFIG_LAG_S])
              for (const lookedAtS of [0, 64])
                for (const keptS of [0, KEY_SET_MAX_AGE_S]) {
                  const kid = signingKey(ringAt(madeMs - makerLagS * 1000), madeMs)?.kid
                  const readMs = madeMs + (lookedAtS - keptS) * 1000
                  const known = ringAt(readMs - publisherLagS * 1000).some(
                    (key) => key.kid === kid && verifies(key, readMs),
                  )
                  if (!known) throw new Error(`${kid} is unknown ${(madeMs - NOW) / 1000} s after the beginning`)
                }
      }),
      { numRuns: 100 },
    )
  })

  type History = readonly { readonly fromMs: number; readonly keys: readonly TimedKey[] }[]

  function ringsOver(changes: readonly { kind: "rotate" | "rollback"; afterS: number }[]): History {
    const history = [{ fromMs: NOW - 1e9, keys: [a] as readonly TimedKey[] }]
    let fromMs = NOW
    for (const [index, { kind, afterS }] of changes.entries()) {
      fromMs += afterS * 1000
      const live = withoutRetired(history.at(-1)?.keys ?? [], fromMs)
      if (kind === "rollback") history.push({ fromMs, keys: rolledBack(live, fromMs) ?? live })
      else if (nextKey(live, fromMs) === undefined)
        history.push({ fromMs, keys: rotated(live, { kid: `k${index}`, signsFromMs: 0 }, fromMs, TIMES) })
    }
    return history
  }

  /** Ten seconds before to twenty minutes after each change, and the same around each moment from which a key was to sign. */
  function momentsAround(history: History): Set<number> {
    const all = history.flatMap(({ fromMs, keys }) => [fromMs, ...keys.map((key) => key.signsFromMs)])
    const turns = all.filter((ms) => ms >= NOW)
    const moments = new Set<number>()
    for (const turn of new Set(turns)) for (let s = -10; s < 1200; s += 11) moments.add(turn + s * 1000)
    return moments
  }
})
