import { beforeEach, describe, it } from "vitest"
import { type CircuitBreaker, type CircuitBreakerOptions, circuitBreaker, type Permit } from "./circuit-breaker.ts"

let nowMs: number
const clock = { now: () => nowMs }
const make = (options: CircuitBreakerOptions = {}) =>
  circuitBreaker({ windowMs: 10_000, minimumCalls: 4, failureRate: 0.5, openMs: 5_000, clock, ...options })

beforeEach(() => {
  nowMs = 1_800_000_000_000
})

describe("circuitBreaker: closed", () => {
  it("opens when enough calls were made and the share of failures is reached, and not one before", ({ expect }) => {
    const breaker = make()
    run(breaker, "ok", "ok", "fail")
    expect(breaker.stateOf("a")).toBe("closed")
    run(breaker, "fail")
    expect(breaker.stateOf("a")).toBe("open")
  })

  it("stays closed just below the share", ({ expect }) => {
    const breaker = make()
    run(breaker, "ok", "ok", "ok", "fail", "fail")
    expect(breaker.stateOf("a")).toBe("closed")
  })

  it("stays closed for failures alone while they are fewer than counts", ({ expect }) => {
    const breaker = make()
    run(breaker, "fail", "fail", "fail")
    expect(breaker.stateOf("a")).toBe("closed")
  })

  it("forgets what lies further back than the window", ({ expect }) => {
    const breaker = make()
    run(breaker, "fail", "fail", "fail")
    nowMs += 10_000
    run(breaker, "fail")
    expect(breaker.stateOf("a")).toBe("closed")
    expect(breaker.snapshot()).toMatchObject([{ calls: 1, failures: 1 }])
  })

  it("still counts what lies just inside it", ({ expect }) => {
    const breaker = make()
    run(breaker, "fail", "fail", "fail")
    nowMs += 8_999
    run(breaker, "fail")
    expect(breaker.stateOf("a")).toBe("open")
  })

  it("opens after so many failures in a row, however many succeeded before", ({ expect }) => {
    const breaker = make({ consecutiveFailures: 3 })
    run(breaker, ...Array(100).fill("ok"), "fail", "fail", "ok", "fail", "fail")
    expect(breaker.stateOf("a")).toBe("closed")
    run(breaker, "fail")
    expect(breaker.stateOf("a")).toBe("open")
  })

  it("takes a call that was abandoned for neither", ({ expect }) => {
    const breaker = make({ minimumCalls: 1 })
    run(breaker, "abandon", "abandon")
    expect(breaker.snapshot()).toMatchObject([{ calls: 0, failures: 0, state: "closed" }])
  })

  it("counts a call once, however often it is settled", ({ expect }) => {
    const breaker = make()
    const permit = enter(breaker)
    permit.succeed()
    for (let each = 0; each < 10; each++) permit.fail()
    expect(breaker.snapshot()).toMatchObject([{ calls: 1, failures: 0 }])
  })

  it("keeps keys apart", ({ expect }) => {
    const breaker = make({ consecutiveFailures: 1 })
    run(breaker, "fail")
    expect(breaker.stateOf("a")).toBe("open")
    expect(breaker.stateOf("b")).toBe("closed")
    expect(breaker.stateOf("toString")).toBe("closed")
  })
})

describe("circuitBreaker: open", () => {
  it("lets nothing through, and says for how long", ({ expect }) => {
    const breaker = opened()
    nowMs += 4_000
    expect(breaker.enter("a")).toEqual({ retryAfterMs: 1_000 })
    nowMs += 999
    expect(breaker.enter("a")).toEqual({ retryAfterMs: 1 })
    expect(breaker.snapshot()).toMatchObject([{ state: "open", refused: 2, opened: 1 }])
  })

  it("learns nothing from calls that began before", ({ expect }) => {
    const breaker = make({ consecutiveFailures: 1 })
    const [slow, late] = [enter(breaker), enter(breaker)]
    run(breaker, "fail")
    nowMs += 4_000
    slow.fail()
    late.succeed()
    nowMs += 1_000
    expect(breaker.stateOf("a")).toBe("half-open")
  })
})

describe("circuitBreaker: closed again", () => {
  /** Opened and closed by a probe while two calls from before are still under way. */
  function closedAgain() {
    const breaker = make({ consecutiveFailures: 2, minimumCalls: 100 })
    const before = [enter(breaker), enter(breaker)]
    run(breaker, "fail", "fail")
    nowMs += 5_000
    enter(breaker).succeed()
    return { breaker, before }
  }

  it("learns nothing from failures of calls that began before it opened", ({ expect }) => {
    const { breaker, before } = closedAgain()
    for (const permit of before) permit.fail()
    expect(breaker.snapshot()).toMatchObject([{ state: "closed", calls: 0, failures: 0, opened: 1 }])
  })

  it("forgets no failure by a success of a call that began before it opened", ({ expect }) => {
    const { breaker, before } = closedAgain()
    run(breaker, "fail")
    for (const permit of before) permit.succeed()
    run(breaker, "fail")
    expect(breaker.snapshot()).toMatchObject([{ state: "open", opened: 2 }])
  })

  it("learns from calls that began since", ({ expect }) => {
    const { breaker } = closedAgain()
    const since = [enter(breaker), enter(breaker)]
    for (const permit of since) permit.fail()
    expect(breaker.snapshot()).toMatchObject([{ state: "open", opened: 2 }])
  })

  it("learns nothing from those of two openings ago", ({ expect }) => {
    const { breaker, before } = closedAgain()
    run(breaker, "fail", "fail")
    nowMs += 5_000
    enter(breaker).succeed()
    for (const permit of before) permit.fail()
    expect(breaker.snapshot()).toMatchObject([{ state: "closed", calls: 0, opened: 2 }])
  })
})

describe("circuitBreaker: half-open", () => {
  it("lets one probe through at a time", ({ expect }) => {
    const breaker = opened()
    nowMs += 5_000
    expect(breaker.stateOf("a")).toBe("half-open")
    expect(enter(breaker).isProbe).toBe(true)
    expect(breaker.stateOf("a")).toBe("open")
    expect(breaker.enter("a")).toEqual({ retryAfterMs: 5_000 })
  })

  it("closes by a probe that succeeds, with nothing held against it", ({ expect }) => {
    const breaker = opened()
    nowMs += 5_000
    enter(breaker).succeed()
    expect(breaker.snapshot()).toMatchObject([{ state: "closed", calls: 0, failures: 0, opened: 1 }])
    expect(enter(breaker).isProbe).toBe(false)
  })

  it("opens again for the whole time by a probe that fails", ({ expect }) => {
    const breaker = opened()
    nowMs += 5_000
    const probe = enter(breaker)
    nowMs += 100
    probe.fail()
    nowMs += 4_999
    expect(breaker.stateOf("a")).toBe("open")
    nowMs += 1
    expect(breaker.stateOf("a")).toBe("half-open")
    expect(breaker.snapshot()).toMatchObject([{ opened: 2 }])
  })

  it("lets the next probe through at once when one was abandoned", ({ expect }) => {
    const breaker = opened()
    nowMs += 5_000
    enter(breaker).abandon()
    expect(enter(breaker).isProbe).toBe(true)
  })

  it("gives up a probe that is never settled, and does not hear it when it comes back", ({ expect }) => {
    const breaker = opened()
    nowMs += 5_000
    const lost = enter(breaker)
    nowMs += 5_000
    const next = enter(breaker)
    expect(next.isProbe).toBe(true)
    lost.succeed()
    expect(breaker.stateOf("a")).toBe("open")
    next.succeed()
    expect(breaker.stateOf("a")).toBe("closed")
  })
})

describe("circuitBreaker: its bounds", () => {
  it("holds so many keys, forgetting the one not used for longest", ({ expect }) => {
    const breaker = make({ capacity: 3, consecutiveFailures: 1 })
    run(breaker, "fail")
    for (let each = 0; each < 10_000; each++) {
      enter(breaker, `key-${each}`).succeed()
      if (each % 2 === 0) breaker.enter("a")
    }
    expect(breaker.snapshot().map(({ key }) => key)).toEqual(["key-9998", "a", "key-9999"])
    expect(breaker.stateOf("a")).toBe("open")
  })

  for (const [name, value] of [
    ["windowMs", 0],
    ["minimumCalls", -1],
    ["failureRate", 0],
    ["failureRate", 1.01],
    ["openMs", Number.NaN],
    ["capacity", 0],
    ["consecutiveFailures", 0],
  ] as const)
    it(`is not made with ${name} = ${value}`, ({ expect }) => {
      expect(() => make({ [name]: value })).toThrow(RangeError)
    })
})

type Outcome = "ok" | "fail" | "abandon"

function run(breaker: CircuitBreaker, ...outcomes: Outcome[]): void {
  for (const outcome of outcomes) {
    const permit = enter(breaker)
    if (outcome === "ok") permit.succeed()
    else if (outcome === "fail") permit.fail()
    else permit.abandon()
  }
}

function enter(breaker: CircuitBreaker, key = "a"): Permit {
  const answer = breaker.enter(key)
  if ("retryAfterMs" in answer) throw new Error("open")
  return answer
}

function opened(): CircuitBreaker {
  const breaker = make({ consecutiveFailures: 1 })
  run(breaker, "fail")
  return breaker
}
