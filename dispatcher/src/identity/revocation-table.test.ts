import { describe, expect, it } from "vitest"
import { ENTRY_BYTES } from "../../../contracts/revocation.ts"
import { RevocationTable } from "./revocation-table.ts"

const NOW_S = 1_800_000_000
const NOW_MS = NOW_S * 1000

/** The hash of entry `n`: spread over all segments and slots, as SHA-256 would. */
function hashOf(n: number): Uint8Array {
  const hash = new Uint8Array(8)
  const view = new DataView(hash.buffer)
  view.setUint32(0, Math.imul(n, 0x9e37_79b1) >>> 0, true)
  view.setUint32(4, Math.imul(n, 0x85eb_ca6b) >>> 0, true)
  return hash
}

interface Entry {
  readonly hash: Uint8Array
  readonly beforeMs?: number
  readonly untilS?: number
}

function entriesOf(...all: readonly Entry[]): Uint8Array {
  const bytes = new Uint8Array(all.length * ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [index, { hash, beforeMs = Number.POSITIVE_INFINITY, untilS = NOW_S + 60 }] of all.entries()) {
    bytes.set(hash, index * ENTRY_BYTES)
    view.setFloat64(index * ENTRY_BYTES + 8, beforeMs, true)
    view.setUint32(index * ENTRY_BYTES + 16, untilS, true)
  }
  return bytes
}

function tableOf(...all: readonly Entry[]): RevocationTable {
  const table = new RevocationTable()
  table.merge(entriesOf(...all), NOW_S)
  return table
}

function many(from: number, to: number, untilS = NOW_S + 60): Uint8Array {
  return entriesOf(...Array.from({ length: to - from }, (_, index) => ({ hash: hashOf(from + index), untilS })))
}

describe("RevocationTable", () => {
  it("holds what was revoked outright against every credential, whenever it was made", () => {
    const table = tableOf({ hash: hashOf(1) })
    expect(table.verdict([hashOf(1)], 0)).toBe("revoked")
    expect(table.verdict([hashOf(1)], NOW_MS * 2)).toBe("revoked")
  })

  it("is clear of the hash beside it, in either half", () => {
    const table = tableOf({ hash: hashOf(1) })
    for (let byte = 0; byte < 8; byte += 1) {
      const other = hashOf(1)
      other[byte] = (other[byte] ?? 0) ^ 1
      expect(table.verdict([other], 0)).toBe("clear")
    }
  })

  it("decides by the millisecond: made at the time is revoked, one after is not", () => {
    const table = tableOf({ hash: hashOf(1), beforeMs: NOW_MS + 1 })
    expect(table.verdict([hashOf(1)], NOW_MS)).toBe("revoked")
    expect(table.verdict([hashOf(1)], NOW_MS + 1)).toBe("revoked")
    expect(table.verdict([hashOf(1)], NOW_MS + 2)).toBe("clear")
  })

  it("counts a time that is no number as before everything", () => {
    expect(tableOf({ hash: hashOf(1), beforeMs: 0 }).verdict([hashOf(1)], Number.NaN)).toBe("revoked")
  })

  it("finds any of a credential's hashes", () => {
    const table = tableOf({ hash: hashOf(3) })
    expect(table.verdict([hashOf(1), hashOf(2), hashOf(3)], 0)).toBe("revoked")
    expect(table.verdict([hashOf(1), hashOf(2)], 0)).toBe("clear")
  })

  it.each([
    [100, 200],
    [200, 100],
    [100, Number.POSITIVE_INFINITY],
    [Number.POSITIVE_INFINITY, 100],
  ])("never takes back: of %d and then %d the later holds", (one, other) => {
    const table = tableOf({ hash: hashOf(1), beforeMs: one }, { hash: hashOf(1), beforeMs: other })
    expect(table.verdict([hashOf(1)], Math.min(Math.max(one, other), NOW_MS))).toBe("revoked")
    expect(table.size).toBe(1)
  })

  it("keeps an entry for the longer of two times, and drops it only once that has passed", () => {
    const table = tableOf({ hash: hashOf(1), untilS: NOW_S + 500 }, { hash: hashOf(1), untilS: NOW_S + 10 })
    table.merge(many(1_000, 21_000, NOW_S + 900), NOW_S + 500)
    expect(table.verdict([hashOf(1)], 0)).toBe("revoked")
    table.merge(many(30_000, 90_000, NOW_S + 900), NOW_S + 501)
    expect(table.verdict([hashOf(1)], 0)).toBe("clear")
  })

  it("does not take in what has expired already", () => {
    const table = tableOf({ hash: hashOf(1), untilS: NOW_S - 1 })
    expect(table.size).toBe(0)
  })

  it("finds all of 100 000 and none of 100 000 others, in at most 35 bytes for each", () => {
    const table = new RevocationTable()
    for (let from = 0; from < 100_000; from += 1_000) table.merge(many(from, from + 1_000), NOW_S)
    expect(table.size).toBe(100_000)
    let wrong = 0
    for (let n = 0; n < 100_000; n += 1) {
      if (table.verdict([hashOf(n)], 0) !== "revoked") wrong += 1
      if (table.verdict([hashOf(n + 100_000)], 0) !== "clear") wrong += 1
    }
    expect(wrong).toBe(0)
    expect(table.sizeBytes / table.size).toBeLessThanOrEqual(35)
  })

  it("does not grow while as many expire as come", () => {
    const table = new RevocationTable()
    const sizes: number[] = []
    for (let round = 0; round < 12; round += 1) {
      const nowS = NOW_S + round * 100
      table.merge(many(round * 20_000, (round + 1) * 20_000, nowS + 99), nowS)
      sizes.push(table.sizeBytes)
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2.2 * (sizes[0] ?? 0))
  })

  it("does not read beyond the bytes of a page that is a part of a larger buffer", () => {
    const whole = entriesOf({ hash: hashOf(1) }, { hash: hashOf(2) }, { hash: hashOf(3) })
    const table = new RevocationTable()
    table.merge(whole.subarray(ENTRY_BYTES, 2 * ENTRY_BYTES), NOW_S)
    expect([1, 2, 3].map((n) => table.verdict([hashOf(n)], 0))).toEqual(["clear", "revoked", "clear"])
  })
})

describe("RevocationTable at its limit", () => {
  it("still knows of every hash, and says that it has to be asked elsewhere", () => {
    const table = new RevocationTable(1_000)
    table.merge(many(0, 5_000), NOW_S)
    expect({ size: table.size, beyond: table.beyond }).toEqual({ size: 1_000, beyond: 4_000 })
    const verdicts = Array.from({ length: 5_000 }, (_, n) => table.verdict([hashOf(n)], 0))
    expect(verdicts.filter((verdict) => verdict === "revoked")).toHaveLength(1_000)
    expect(verdicts.filter((verdict) => verdict === "ask")).toHaveLength(4_000)
  })

  it("is clear of nearly all others", () => {
    const table = new RevocationTable(1_000)
    table.merge(many(0, 5_000), NOW_S)
    const asked = Array.from({ length: 20_000 }, (_, n) => table.verdict([hashOf(n + 5_000)], 0))
    expect(asked.filter((verdict) => verdict !== "clear").length).toBeLessThanOrEqual(2)
  })

  it("still takes in a later time for what it holds", () => {
    const table = new RevocationTable(1)
    table.merge(entriesOf({ hash: hashOf(1), beforeMs: 100 }, { hash: hashOf(2) }), NOW_S)
    table.merge(entriesOf({ hash: hashOf(1), beforeMs: 200 }), NOW_S)
    expect(table.verdict([hashOf(1)], 200)).toBe("revoked")
  })

  it("makes room of what has expired before it forgets anything", () => {
    const table = new RevocationTable(1_000)
    table.merge(many(0, 1_000, NOW_S + 10), NOW_S)
    table.merge(many(1_000, 1_500), NOW_S + 100 - 60)
    expect({ size: table.size, beyond: table.beyond }).toEqual({ size: 500, beyond: 0 })
  })

  it("says revoked when one hash is held and another has to be asked", () => {
    const table = new RevocationTable(1)
    table.merge(entriesOf({ hash: hashOf(1) }, { hash: hashOf(2) }), NOW_S)
    expect(table.verdict([hashOf(2), hashOf(1)], 0)).toBe("revoked")
    expect(table.verdict([hashOf(1), hashOf(2)], 0)).toBe("revoked")
  })
})
