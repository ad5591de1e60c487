import { env } from "cloudflare:workers"
import { beforeEach, describe, it } from "vitest"
import { isMoreThanChance, Scoreboard, type ScoredDifference } from "./scoreboard.ts"

const database = (env as unknown as { DB: D1Database }).DB
const rule = { path: "/documents/*", round: 1 }

beforeEach(async () => {
  await database.exec("DROP TABLE IF EXISTS strangler_rule")
  await database.exec("DROP TABLE IF EXISTS strangler_field")
})

const difference = (field: string, seenIn: ScoredDifference["seenIn"], kind = "value"): ScoredDifference => ({
  field,
  kind,
  seenIn,
  first: "string(3)",
  other: "string(4)",
})

async function scoreOf(...comparisons: (readonly ScoredDifference[])[]) {
  const board = new Scoreboard()
  for (const [index, each] of comparisons.entries()) board.addComparison(rule, each, true, `r-${index}`)
  await board.write(database)
  const [score] = await board.read(database)
  if (score === undefined) throw new Error("no score")
  return score
}
const times = (count: number, ...differences: ScoredDifference[]) => Array.from({ length: count }, () => differences)

describe("Scoreboard", () => {
  it("has nothing to say before anything was counted", async ({ expect }) => {
    expect(await new Scoreboard().read(database)).toEqual([])
  })

  it("finds a single difference of a field that legacy always answers alike", async ({ expect }) => {
    const score = await scoreOf(...times(9_999), [difference("/name", "new")])
    expect(score).toMatchObject({ compared: 10_000, matchPercent: 99.99, noiseAdjustedMatchPercent: 99.99 })
    expect(score.fields).toMatchObject([{ field: "/name", verdict: "different", onlyNew: 1 }])
  })

  it("takes a field that is never the same twice for noise, and adjusts for it", async ({ expect }) => {
    const score = await scoreOf(...times(100, difference("/at", "both")))
    expect(score).toMatchObject({ matchPercent: 0, noiseAdjustedMatchPercent: 100 })
    expect(score.fields).toMatchObject([{ verdict: "noise", matchPercent: 0, noiseAdjustedMatchPercent: 100 }])
  })

  it("takes a field that is the same now and then by chance for noise, with either side a bit ahead", async ({
    expect,
  }) => {
    for (const ahead of [40, 60]) {
      const shuffled = [
        ...times(50, difference("/tags", "both", "order")),
        ...times(ahead, difference("/tags", "new", "order")),
        ...times(100 - ahead, difference("/tags", "again", "order")),
      ]
      const score = await scoreOf(...shuffled)
      expect(score.fields).toMatchObject([{ field: "/tags", kind: "order", verdict: "noise" }])
      expect(score.noiseAdjustedMatchPercent).toBe(100)
      await database.exec("DELETE FROM strangler_rule")
      await database.exec("DELETE FROM strangler_field")
    }
  })

  it("finds a noisy field that differs from the new service far more often than by chance", async ({ expect }) => {
    const score = await scoreOf(
      ...times(100, difference("/tags", "new")),
      ...times(10, difference("/tags", "again")),
      ...times(100),
    )
    expect(score.fields).toMatchObject([{ verdict: "different" }])
    // 90 more than chance, of the 200 in which noise hid nothing.
    expect(score.noiseAdjustedMatchPercent).toBe(55)
  })

  it("tells another type of a noisy field from its noise", async ({ expect }) => {
    const score = await scoreOf(...times(50, difference("/at", "both"), difference("/id", "new", "type")))
    expect(score.fields.map(({ field, verdict }) => [field, verdict])).toEqual([
      ["/id", "different"],
      ["/at", "noise"],
    ])
    expect(score.noiseAdjustedMatchPercent).toBe(0)
  })

  it("is never better than its worst field, and knows requests that differ in several", async ({ expect }) => {
    const score = await scoreOf(
      ...times(10, difference("/a", "new"), difference("/b", "new")),
      ...times(10, difference("/c", "new")),
      ...times(80),
    )
    expect(score).toMatchObject({ matchPercent: 80, noiseAdjustedMatchPercent: 80 })
    expect(score.fields.map(({ matchPercent }) => matchPercent)).toEqual([90, 90, 90])
  })

  it("never rounds up to all", async ({ expect }) => {
    const board = new Scoreboard()
    board.addComparison(rule, [difference("/a", "new")], true, "r")
    await board.write(database)
    await database.exec("UPDATE strangler_rule SET compared = 100000000, matched = 99999999")
    expect((await board.read(database))[0]?.matchPercent).toBe(99.9999)
  })

  it("keeps the latest three examples: types, lengths and the request, no value", async ({ expect }) => {
    const score = await scoreOf(...times(5, difference("/a", "new")))
    expect(score.fields[0]?.examples).toEqual(
      [4, 3, 2].map((each) => ({ legacy: "string(3)", new: "string(4)", requestId: `r-${each}` })),
    )
    const later = await scoreOf([difference("/a", "both")])
    expect(later.fields[0]?.examples).toHaveLength(3)
  })

  it("adds up what several isolates write at once", async ({ expect }) => {
    const boards = [new Scoreboard(), new Scoreboard(), new Scoreboard()]
    const writeOften = async (board: Scoreboard) => {
      for (let each = 0; each < 20; each++) {
        board.addComparison(rule, [difference("/a", "new")], each % 2 === 0, "r")
        board.addEvent(rule, "fallback")
        board.addEvent(rule, "skipped")
        await board.write(database)
      }
    }
    await Promise.all(boards.map(writeOften))
    const [score] = await new Scoreboard().read(database)
    expect(score).toMatchObject({ compared: 60, comparedWithoutBody: 30, fallbacks: 60, skipped: 60 })
    expect(score?.fields).toMatchObject([{ onlyNew: 60 }])
  })

  it("lets one request write for all, and loses nothing of what comes meanwhile", async ({ expect }) => {
    const board = new Scoreboard()
    let batches = 0
    const counted = new Proxy(database, {
      get: (target, name) => {
        if (name === "batch") batches++
        const value = Reflect.get(target, name)
        return typeof value === "function" ? value.bind(target) : value
      },
    })
    const all = Array.from({ length: 50 }, () => {
      board.addComparison(rule, [], true, "r")
      return board.write(counted)
    })
    await Promise.all(all)
    expect((await board.read(database))[0]?.compared).toBe(50)
    // The tables, what was there at first, what came meanwhile.
    expect(batches).toBeLessThanOrEqual(3)
  })

  it("goes on after a writer that failed, or was ended without a word", async ({ expect }) => {
    const clock = { nowMs: 0, now: () => clock.nowMs }
    const board = new Scoreboard(clock)
    board.addComparison(rule, [], true, "r")
    await expect(
      board.write({
        prepare: () => {
          throw new Error("down")
        },
      } as unknown as D1Database),
    ).rejects.toThrow("down")
    const silent = {
      prepare: database.prepare.bind(database),
      batch: () => new Promise(() => {}),
    } as unknown as D1Database
    void board.write(silent)
    clock.nowMs = 9_999
    await board.write(database)
    expect(await board.read(database)).toEqual([])
    clock.nowMs = 10_000
    await board.write(database)
    expect(await board.read(database)).toMatchObject([{ compared: 1 }])
  })

  it("keeps rounds and rules apart", async ({ expect }) => {
    const board = new Scoreboard()
    board.addComparison(rule, [difference("/a", "new")], true, "r")
    board.addComparison({ ...rule, round: 2 }, [], true, "r")
    board.addComparison({ path: "/documents", round: 1 }, [], true, "r")
    await board.write(database)
    const scores = await board.read(database)
    expect(scores.map(({ path, round, fields }) => [path, round, fields.length])).toEqual([
      ["/documents", 1, 0],
      ["/documents/*", 2, 0],
      ["/documents/*", 1, 1],
    ])
  })

  it("keeps no more fields of a rule than it may, and goes on counting those it has", async ({ expect }) => {
    const board = new Scoreboard()
    for (let at = 0; at < 600; at++) board.addComparison(rule, [difference(`/field-${at}`, "new")], true, "r")
    await board.write(database)
    board.addComparison(rule, [difference("/field-0", "new"), difference("/field-599", "new")], true, "r")
    await board.write(database)
    const [score] = await board.read(database)
    expect(score?.fields).toHaveLength(500)
    expect(score?.fields[0]).toMatchObject({ field: "/field-0", onlyNew: 2 })
    expect(score).toMatchObject({ compared: 601, matchPercent: 0 })
  })
})

describe("Scoreboard: when a service makes up names", () => {
  const made = (from: number, seenIn: ScoredDifference["seenIn"]) =>
    Array.from({ length: 100 }, (_, at) => difference(`/made-${from + at}`, seenIn))

  it("finds no match where the difference has no field of its own any more", async ({ expect }) => {
    const noise = [0, 100, 200, 300, 400].map((from) => made(from, "both"))
    const score = await scoreOf(...noise, ...times(95), ...times(100, difference("/name", "new")))
    expect(score).toMatchObject({ compared: 200, noiseAdjustedMatchPercent: 50, areFieldsFull: true })
    expect(score.fields).toHaveLength(500)
    expect(score.fields.every(({ verdict }) => verdict === "noise")).toBe(true)
  })

  it("still takes noise for noise where the fields are full", async ({ expect }) => {
    const noise = [0, 100, 200, 300, 400, 500].map((from) => made(from, "both"))
    const score = await scoreOf(...noise, ...times(100, difference("/at", "both")), [difference("/at", "new")])
    expect(score).toMatchObject({ noiseAdjustedMatchPercent: 100, areFieldsFull: true })
  })

  it("finds differences of a rule whose fields are beyond what is read", async ({ expect }) => {
    const board = new Scoreboard()
    for (let at = 10; at < 52; at++)
      for (const from of [0, 100, 200, 300, 400])
        board.addComparison({ path: `/${at}`, round: 1 }, made(from, "both"), true, "r")
    board.addComparison({ path: "/z", round: 1 }, [difference("/name", "new")], true, "r")
    await board.write(database)
    const score = (await board.read(database)).find(({ path }) => path === "/z")
    expect(score).toMatchObject({ noiseAdjustedMatchPercent: 0, fields: [{ field: "/name", verdict: "different" }] })
  })

  it("holds no more of them in memory than it may write", async ({ expect }) => {
    const board = new Scoreboard()
    let statements = 0
    const counted = new Proxy(database, {
      get: (target, name) => {
        if (name === "batch")
          return (batch: D1PreparedStatement[]) => {
            statements += batch.length
            return target.batch(batch)
          }
        const value = Reflect.get(target, name)
        return typeof value === "function" ? value.bind(target) : value
      },
    })
    for (let from = 0; from < 10_000; from += 100) board.addComparison(rule, made(from, "both"), true, "r")
    await board.write(counted)
    expect(statements).toBeLessThan(600)
  })

  it("reads no more rows than it must to count a field that it has", async ({ expect }) => {
    const board = new Scoreboard()
    for (const from of [0, 100, 200, 300]) board.addComparison(rule, made(from, "both"), true, "r")
    await board.write(database)
    let rowsRead = 0
    const counted = new Proxy(database, {
      get: (target, name) => {
        if (name === "batch")
          return async (batch: D1PreparedStatement[]) => {
            const results = await target.batch(batch)
            for (const { meta } of results) rowsRead += meta.rows_read
            return results
          }
        const value = Reflect.get(target, name)
        return typeof value === "function" ? value.bind(target) : value
      },
    })
    board.addComparison(rule, made(0, "both"), true, "r")
    await board.write(counted)
    expect(rowsRead).toBeLessThan(1_000)
  })

  it("keeps the latest ten rounds of a rule", async ({ expect }) => {
    const board = new Scoreboard()
    for (let round = 1; round <= 12; round++) {
      board.addComparison({ ...rule, round }, [difference("/a", "new")], true, "r")
      board.addComparison({ path: "/other", round: 1 }, [], true, "r")
      await board.write(database)
    }
    const rounds = (await board.read(database)).filter(({ path }) => path === rule.path).map(({ round }) => round)
    expect(rounds).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
    const fields = await database.prepare("SELECT count(*) AS n FROM strangler_field").first<{ n: number }>()
    expect(fields?.n).toBe(10)
  })
})

describe("isMoreThanChance", () => {
  for (const [onlyNew, onlyAgain, inBoth, expected] of [
    [0, 0, 0, false],
    [1, 0, 0, true],
    [1, 1, 0, false],
    [1, 0, 1, false],
    [22, 0, 1, false],
    [23, 0, 1, true],
    [0, 500, 0, false],
    [5_100, 4_900, 0, false],
    [6_000, 4_000, 0, true],
  ] as const)
    it(`is ${expected} for ${onlyNew} in new alone, ${onlyAgain} in legacy alone, ${inBoth} in both`, ({ expect }) => {
      expect(isMoreThanChance({ onlyNew, onlyAgain, inBoth })).toBe(expected)
    })
})
