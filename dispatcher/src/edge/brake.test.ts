import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { BRAKE_BATCH, BRAKE_LIMIT, BRAKE_PERIOD_S, BRAKE_REPORTS, Brake, checkBrake, type Limiter } from "./brake.ts"

const PERIOD_MS = BRAKE_PERIOD_S * 1000
/** Isolates of one location share one of these; it counts reports as the binding does. */
function locationOf(reports = BRAKE_REPORTS): Limiter & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    limit: async ({ key }) => {
      calls.push(key)
      return { success: calls.filter((each) => each === key).length <= reports }
    },
  }
}

/** Takes up to `count` for `key` and waits for every report; the number that passed. */
async function take(brake: Brake, count: number, key = "203.0.113.7"): Promise<number> {
  let passed = 0
  for (let index = 0; index < count; index++) {
    const work: Promise<unknown>[] = []
    if (brake.take(key, (report) => work.push(report)) === 0) passed++
    await Promise.all(work)
  }
  return passed
}

describe("one isolate", () => {
  it("passes exactly the limit in a window, and as many again in the next", async () => {
    let now = 0
    const brake = new Brake(locationOf(1_000_000), { now: () => now })
    expect(await take(brake, BRAKE_LIMIT + 500)).toBe(BRAKE_LIMIT)
    now = PERIOD_MS - 1
    expect(await take(brake, 1)).toBe(0)
    now = PERIOD_MS
    expect(await take(brake, BRAKE_LIMIT + 1)).toBe(BRAKE_LIMIT)
  })

  it("counts every key for itself", async () => {
    const brake = new Brake(locationOf(), { now: () => 0 })
    expect(await take(brake, BRAKE_LIMIT + 1, "a")).toBe(BRAKE_LIMIT)
    expect(await take(brake, 10, "b")).toBe(10)
  })

  it("says how many seconds are left of the window, rounded up and at least one", async () => {
    let now = 1_700_000_003_500
    const brake = new Brake(undefined, { now: () => now })
    await take(brake, BRAKE_LIMIT)
    expect(brake.take("203.0.113.7", () => undefined)).toBe(7)
    now = 1_700_000_009_999
    expect(brake.take("203.0.113.7", () => undefined)).toBe(1)
  })

  it("starts anew when the clock was set back", async () => {
    let now = PERIOD_MS * 1000
    const brake = new Brake(undefined, { now: () => now })
    await take(brake, BRAKE_LIMIT)
    now = PERIOD_MS
    expect(await take(brake, 1)).toBe(1)
  })

  it("holds no more keys than its bound", async () => {
    const brake = new Brake(undefined, { now: () => 0 }, 3)
    await take(brake, BRAKE_LIMIT + 1, "a")
    expect(await take(brake, 1, "a")).toBe(0)
    for (const key of ["b", "c"]) await take(brake, 1, key)
    expect(await take(brake, 1, "a")).toBe(0)
    await take(brake, 1, "d")
    expect(await take(brake, 1, "a")).toBe(1)
  })
})

describe("isolates of one location", () => {
  it.each([2, 5, 20])("%i of them pass no more than the limit and one batch each", async (count) => {
    const location = locationOf()
    const isolates = Array.from({ length: count }, () => new Brake(location, { now: () => 0 }))
    let passed = 0
    for (let round = 0; round < 2000; round++) for (const brake of isolates) passed += await take(brake, 1)
    expect(passed).toBeGreaterThanOrEqual(BRAKE_LIMIT)
    expect(passed).toBeLessThanOrEqual(BRAKE_LIMIT + count * BRAKE_BATCH)
  })

  it("asks the binding once per batch, and no more once it refused", async () => {
    const location = locationOf(2)
    const brake = new Brake(location, { now: () => 0 })
    expect(await take(brake, BRAKE_BATCH - 1)).toBe(BRAKE_BATCH - 1)
    expect(location.calls).toEqual([])
    expect(await take(brake, 10 * BRAKE_BATCH)).toBe(2 * BRAKE_BATCH + 1)
    expect(location.calls).toHaveLength(3)
  })

  it("forgets a refusal of the last window that comes late", async () => {
    let now = 0
    const answers: ((outcome: { success: boolean }) => void)[] = []
    const brake = new Brake({ limit: () => new Promise((resolve) => answers.push(resolve)) }, { now: () => now })
    const work: Promise<unknown>[] = []
    for (let index = 0; index < BRAKE_BATCH; index++) brake.take("a", (report) => work.push(report))
    now = PERIOD_MS
    expect(await take(brake, 1, "a")).toBe(1)
    answers[0]?.({ success: false })
    await Promise.all(work)
    expect(await take(brake, 1, "a")).toBe(1)
  })
})

describe("a binding that fails", () => {
  const failures: [string, Limiter | undefined][] = [
    ["is missing", undefined],
    ["rejects", { limit: () => Promise.reject(new Error("unreachable")) }],
    [
      "throws",
      {
        limit: () => {
          throw new Error("unreachable")
        },
      },
    ],
  ]
  it.each(failures)("that %s leaves the isolate's own count, and shows", async (_how, limiter) => {
    const brake = new Brake(limiter, { now: () => 0 })
    expect(await take(brake, BRAKE_LIMIT + 1)).toBe(BRAKE_LIMIT)
    expect(brake.isBlind).toBe(true)
  })

  it("is no longer held against it once it answers", async () => {
    let isDown = true
    const brake = new Brake(
      { limit: async () => (isDown ? Promise.reject(new Error("unreachable")) : { success: true }) },
      { now: () => 0 },
    )
    await take(brake, BRAKE_BATCH)
    expect(brake.isBlind).toBe(true)
    isDown = false
    await take(brake, BRAKE_BATCH)
    expect(brake.isBlind).toBe(false)
  })
})

// The real binding keeps its own time; should the test meet the end of a window, it is run again.
it("hears from the platform's binding that others have used the limit up", { retry: 2 }, async () => {
  const { BRAKE: binding } = env as { BRAKE: Limiter }
  const key = crypto.randomUUID()
  while ((await binding.limit({ key })).success);
  const brake = new Brake(binding, { now: () => Date.now() })
  expect(await take(brake, 2 * BRAKE_BATCH, key)).toBe(BRAKE_BATCH)
  expect(await take(brake, 2 * BRAKE_BATCH, crypto.randomUUID())).toBe(2 * BRAKE_BATCH)
  expect(brake.isBlind).toBe(false)
})

it("counts the addresses of a household as one client, and the next household's as another", () => {
  const brake = new Brake(undefined, { now: () => 0 })
  const ask = (ip: string) => checkBrake(ip, brake, () => undefined)?.code ?? "passes"
  for (let index = 0; index < BRAKE_LIMIT; index++) expect(ask(`2001:db8:1:2::${index.toString(16)}`)).toBe("passes")
  expect(ask("2001:DB8:1:2:ffff::1")).toBe("edge.too-many-requests")
  expect(ask("2001:db8:1:3::1")).toBe("passes")
})
