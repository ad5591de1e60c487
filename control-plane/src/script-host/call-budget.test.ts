/** Who may make how many calls, on real D1 with a clock that the test moves: against a model, and one rule after the other. */
import { beforeEach, describe, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { COUNTED_SLOTS, LEASE_MS, SLOT_MS, WINDOW_MS } from "../call-window.ts"
import { makeDependencies } from "../dependencies.ts"
import {
  type CallBudget,
  type CallBudgetDependencies,
  callBudget,
  callLimitOf,
  type Duty,
  SHARES,
  type Spender,
  TIDYING,
  WATCH,
} from "./call-budget.ts"

/** Small, so that every bound is met often: 20 for tidying, 32 and 16 for uploads, 36 and 18 for deployments. */
const LIMIT = 40

let plane: TestControlPlane
beforeEach(async () => {
  plane = await startControlPlane((env) => {
    const { settings } = makeDependencies(env)
    return { settings: { ...settings, cloudflare: { ...settings.cloudflare, callLimit: LIMIT } } }
  })
})

const OPS: Spender = { duty: "ops", team: null }
const upload = (team: string): Spender => ({ duty: "upload", team })
const deployment = (team: string): Spender => ({ duty: "deployment", team })
const budgetOf = (spender: Spender, deps: CallBudgetDependencies = plane.deps) => callBudget(spender, deps)
const spentNow = async () =>
  (await plane.deps.store.calls.usage(plane.deps.clock.now())).spent.reduce((sum, each) => sum + each.calls, 0)

/** The refusal with which `work` ends; null when it does not. */
async function refusalOf(
  work: Promise<unknown>,
): Promise<{ code: string; retryAfterS: number; detail: string } | null> {
  const failure: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (failure === null) return null
  if (!(failure instanceof Refusal)) throw failure
  const { headers, detail = "" } = failure.options
  return { code: failure.code, retryAfterS: Number(headers?.["retry-after"]), detail }
}

describe("a share of the calls", () => {
  it("leaves a fifth for deployments and a tenth for ops alone, and gives one team half of what all teams have", ({
    expect,
  }) => {
    expect(SHARES).toMatchObject({
      upload: { ofAll: 0.8, ofTeam: 0.4 },
      deployment: { ofAll: 0.9, ofTeam: 0.45 },
      ops: { ofAll: 1, ofTeam: null },
    })
    expect(SHARES.tidying.ofAll).toBeLessThan(SHARES.upload.ofAll)
    expect(SHARES.watch).toEqual({ ofAll: 0.9, ofTeam: null, isUrgent: false })
  })

  it("is for each what it is, to the last call, whoever spent the others", async ({ expect }) => {
    await budgetOf(upload("web")).reserve(16)
    expect((await refusalOf(budgetOf(upload("web")).spend()))?.code).toBe("cloudflare.budget-spent")
    await budgetOf(deployment("web")).reserve(2)
    expect(await refusalOf(budgetOf(deployment("web")).spend())).not.toBeNull()
    await budgetOf(upload("shop")).reserve(14)
    expect(await refusalOf(budgetOf(upload("shop")).spend())).not.toBeNull()
    expect(await refusalOf(budgetOf(TIDYING).spend())).not.toBeNull()
    // No uploads blind the look for what was changed.
    await budgetOf(WATCH).reserve(1)
    await budgetOf(deployment("shop")).reserve(3)
    expect(await refusalOf(budgetOf(WATCH).spend())).not.toBeNull()
    expect(await refusalOf(budgetOf(deployment("docs")).spend())).not.toBeNull()
    await budgetOf(OPS).reserve(4)
    expect(await refusalOf(budgetOf(OPS).spend())).not.toBeNull()
    expect(await spentNow()).toBe(LIMIT)
  })

  it("is refused with what was spent, by whom, and when there is room", async ({ expect }) => {
    await budgetOf(upload("web")).reserve(16)
    await budgetOf(upload("shop")).reserve(14)
    const own = await refusalOf(budgetOf(upload("web")).reserve(4))
    expect(own?.detail).toMatch(/^Team web has spent 16 of the 16 calls that one team may make/)
    expect(own?.detail).toContain(`Send it again in ${own?.retryAfterS} s.`)
    const all = await refusalOf(budgetOf(upload("docs")).reserve(4))
    expect(all?.detail).toContain(
      "32 calls that may be made in five minutes before this has to wait, 30 are spent, 0 of",
    )
    expect(all?.detail).not.toMatch(/web|shop/)
    await budgetOf(OPS).reserve(8)
    expect((await refusalOf(budgetOf(OPS).reserve(4)))?.detail).toContain("38 are spent, most by web 16, shop 14.")
    expect(plane.logs.at(-1)).toMatchObject({ event: "cloudflare.calls-refused", duty: "ops", spent: 38, calls: 4 })
  })

  it("is there again after Retry-After, and not a second before", async ({ expect }) => {
    await budgetOf(upload("web")).reserve(10)
    plane.pass(45_000)
    await budgetOf(upload("web")).reserve(6)
    const { retryAfterS = 0 } = (await refusalOf(budgetOf(upload("web")).reserve(4))) ?? {}
    expect(retryAfterS).toBeGreaterThan(WINDOW_MS / 1000 - 60)
    plane.pass((retryAfterS - 1) * 1000)
    expect((await refusalOf(budgetOf(upload("web")).reserve(4)))?.retryAfterS).toBe(1)
    plane.pass(1000)
    expect(await refusalOf(budgetOf(upload("web")).reserve(10))).toBeNull()
  })

  it("is as large as the variable says, and as Cloudflare's documentation where it says nothing", ({ expect }) => {
    expect(["1200", "5000", "20", "19", "", "off", "-5", "1e3", undefined].map(callLimitOf)).toEqual([
      ...[1200, 5000, 20, 20, 1200, 1200, 1200, 1200, 1200],
    ])
  })
})

describe("calls that are set aside", () => {
  /** The same, counting what it asks of D1. */
  function counting(): { deps: CallBudgetDependencies; asked: string[] } {
    const asked: string[] = []
    const { calls } = plane.deps.store
    const counted: typeof calls = {
      ...calls,
      reserve: (...given) => {
        asked.push("reserve")
        return calls.reserve(...given)
      },
      giveBack: (...given) => {
        asked.push("giveBack")
        return calls.giveBack(...given)
      },
    }
    return { deps: { ...plane.deps, store: { calls: counted } }, asked }
  }

  it("cost one question for all of them, and a call beyond them one more", async ({ expect }) => {
    const { deps, asked } = counting()
    const budget = budgetOf(upload("web"), deps)
    await budget.reserve(4)
    await budget.reserve(4)
    for (let call = 0; call < 4; call++) await budget.spend()
    await budget.giveBack()
    expect(asked).toEqual(["reserve"])
    await budget.spend()
    expect(asked).toEqual(["reserve", "reserve"])
    expect(await spentNow()).toBe(5)
  })

  it("and not made are given back, once", async ({ expect }) => {
    const { deps, asked } = counting()
    const budget = budgetOf(upload("web"), deps)
    await budget.reserve(4)
    await budget.spend()
    await budget.giveBack()
    await budget.giveBack()
    expect(asked).toEqual(["reserve", "giveBack"])
    expect(await spentNow()).toBe(1)
  })

  it("and not made are given back when others are set aside in their place, with no question more", async ({
    expect,
  }) => {
    const { deps, asked } = counting()
    const budget = budgetOf(upload("web"), deps)
    await budget.reserve(4)
    for (let call = 0; call < 3; call++) await budget.spend()
    await budget.reserve(2)
    expect(await spentNow()).toBe(5)
    // After half a minute as well.
    plane.pass(LEASE_MS)
    await budget.spend()
    expect(await spentNow()).toBe(4)
    await budget.giveBack()
    expect(await spentNow()).toBe(4)
    expect(asked).toEqual(["reserve", "reserve", "reserve"])
  })

  it("and not made are given back, once, when there is no room for more", async ({ expect }) => {
    await budgetOf(upload("web")).reserve(10)
    const budget = budgetOf(upload("web"))
    await budget.reserve(4)
    await budget.spend()
    expect(await refusalOf(budget.reserve(6))).not.toBeNull()
    expect(await spentNow()).toBe(11)
    await budget.giveBack()
    expect(await spentNow()).toBe(11)
    expect(await refusalOf(budget.reserve(5))).toBeNull()
  })

  it("are no longer set aside after half a minute", async ({ expect }) => {
    const { deps, asked } = counting()
    const budget = budgetOf(upload("web"), deps)
    await budget.reserve(4)
    plane.pass(LEASE_MS - 1)
    await budget.spend()
    expect(asked).toHaveLength(1)
    plane.pass(1)
    await budget.spend()
    expect(asked).toHaveLength(2)
  })

  it("and made as late as they may still count for as long as Cloudflare counts them, and not for much longer", async ({
    expect,
  }) => {
    // The end of a slot, from which the way to the end of the window leads through the most slots.
    const toEndMs = SLOT_MS - (plane.deps.clock.now() % SLOT_MS) - 1
    plane.pass(toEndMs)
    const budget = budgetOf(upload("web"))
    await budget.reserve(16)
    plane.pass(LEASE_MS - 1)
    for (let call = 0; call < 16; call++) await budget.spend()
    plane.pass(WINDOW_MS)
    expect((await refusalOf(budgetOf(upload("web")).spend()))?.retryAfterS).toBe(1)
    plane.pass(2)
    expect(await refusalOf(budgetOf(upload("web")).spend())).toBeNull()
  })

  it("go to one of two that ask for the last at the same time", async ({ expect }) => {
    await budgetOf(upload("web")).reserve(10)
    const outcomes = await Promise.all([1, 2, 3].map(() => refusalOf(budgetOf(upload("web")).reserve(4))))
    expect(outcomes.filter((each) => each === null)).toHaveLength(1)
  })
})

describe("when the count fails", () => {
  const broken = (): CallBudgetDependencies & { asked: string[] } => {
    const asked: string[] = []
    const calls = {
      ...plane.deps.store.calls,
      reserve: () => Promise.reject(new Error("D1_ERROR: overloaded")),
      giveBack: async () => void asked.push("giveBack"),
    }
    return { ...plane.deps, store: { calls }, asked }
  }

  it.for([OPS, deployment("web")])(
    "a call of $duty is made, and the log says that it was not counted",
    async (spender, { expect }) => {
      const deps = broken()
      const budget = budgetOf(spender, deps)
      await budget.reserve(4)
      await budget.spend()
      await budget.giveBack()
      expect(plane.logs).toMatchObject([{ event: "cloudflare.calls-uncounted", duty: spender.duty, calls: 4 }])
      // What nobody counted is not taken from what others spent.
      expect(deps.asked).toEqual([])
    },
  )

  it.for([upload("web"), OPS])(
    "and counted all the same, what $duty had before is given back no second time",
    async (spender, { expect }) => {
      const { calls } = plane.deps.store
      const lost: typeof calls.reserve = async (...given) => {
        await calls.reserve(...given)
        throw new Error("D1_ERROR: the answer was lost")
      }
      const deps = { ...plane.deps, store: { calls: { ...calls } } }
      await budgetOf(spender).reserve(5)
      const budget = budgetOf(spender, deps)
      await budget.reserve(4)
      Object.assign(deps.store.calls, { reserve: lost })
      await budget.reserve(6).catch(() => null)
      await budget.giveBack()
      // Five of another's, and six of which nobody knows.
      expect(await spentNow()).toBe(11)
    },
  )

  it("what could not be counted is not given back for what is counted after it", async ({ expect }) => {
    const { calls } = plane.deps.store
    await budgetOf(OPS).reserve(5)
    const deps = { ...plane.deps, store: { calls: { ...calls, reserve: () => Promise.reject(new Error("D1_ERROR")) } } }
    const budget = budgetOf(OPS, deps)
    await budget.reserve(4)
    Object.assign(deps.store.calls, { reserve: calls.reserve })
    await budget.reserve(5)
    expect(await spentNow()).toBe(10)
  })

  it.for([upload("web"), TIDYING])("a call of $duty is not made", async (spender, { expect }) => {
    await expect(budgetOf(spender, broken()).spend()).rejects.toThrow("overloaded")
  })
})

describe("after Cloudflare answered 429", () => {
  it("uploads and tidying wait as long as it said, deployments and ops try", async ({ expect }) => {
    await budgetOf(upload("web")).noteRefusal(120_000)
    for (const spender of [upload("shop"), TIDYING]) {
      const refused = await refusalOf(budgetOf(spender).spend())
      expect(refused).toMatchObject({ code: "cloudflare.budget-spent", retryAfterS: 120 })
      expect(refused?.detail).toContain("Cloudflare takes no calls of this platform at the moment")
    }
    for (const spender of [deployment("shop"), OPS]) expect(await refusalOf(budgetOf(spender).spend())).toBeNull()
    plane.pass(119_999)
    expect((await refusalOf(budgetOf(upload("shop")).spend()))?.retryAfterS).toBe(1)
    plane.pass(1)
    expect(await refusalOf(budgetOf(upload("shop")).spend())).toBeNull()
  })

  it("they wait for half a minute when it did not say, and five minutes at most", async ({ expect }) => {
    await budgetOf(OPS).noteRefusal(null)
    expect((await refusalOf(budgetOf(upload("shop")).spend()))?.retryAfterS).toBe(30)
    await budgetOf(OPS).noteRefusal(86_400_000)
    expect((await refusalOf(budgetOf(upload("shop")).spend()))?.retryAfterS).toBe(WINDOW_MS / 1000)
  })

  it("they wait as long as the longest said that is not over: a call that was tried all the same shortens nothing", async ({
    expect,
  }) => {
    await budgetOf(upload("web")).noteRefusal(300_000)
    await budgetOf(OPS).noteRefusal(null)
    expect((await refusalOf(budgetOf(upload("shop")).spend()))?.retryAfterS).toBe(300)
    plane.pass(290_000)
    await budgetOf(OPS).noteRefusal(null)
    expect((await refusalOf(budgetOf(upload("shop")).spend()))?.retryAfterS).toBe(30)
  })

  it("that it cannot be remembered fails nothing", async ({ expect }) => {
    const calls = { ...plane.deps.store.calls, noteRefusal: () => Promise.reject(new Error("D1_ERROR")) }
    await budgetOf(OPS, { ...plane.deps, store: { calls } }).noteRefusal(1000)
    expect(await refusalOf(budgetOf(upload("web")).spend())).toBeNull()
  })
})

describe("calls at random, of several teams, of ops and of the schedule", () => {
  const STEPS = 1500
  const SPENDERS: readonly Spender[] = [
    ...["web", "shop", "docs"].flatMap((team) => [upload(team), upload(team), deployment(team)]),
    ...[OPS, TIDYING, WATCH],
  ]

  interface SetAside {
    readonly slot: number
    readonly team: string | null
    calls: number
  }
  /** What should be let through: a list of all that was ever set aside, and a look through it. */
  class Model {
    readonly all: SetAside[] = []
    hasRoom({ duty, team }: Spender, calls: number, nowMs: number): boolean {
      const first = Math.floor(nowMs / SLOT_MS) - COUNTED_SLOTS + 1
      const counted = this.all.filter(({ slot }) => slot >= first)
      const sum = (list: readonly SetAside[]) => list.reduce((total, each) => total + each.calls, calls)
      const { ofAll, ofTeam } = SHARES[duty]
      const own = counted.filter((each) => each.team === team)
      return sum(counted) <= LIMIT * ofAll && (ofTeam === null || sum(own) <= LIMIT * ofTeam)
    }
    /** Seconds from now, by trying each. */
    roomInS(spender: Spender, calls: number, nowMs: number): number {
      for (let s = 1; ; s++) if (this.hasRoom(spender, calls, nowMs + s * 1000)) return s
    }
  }
  interface Work {
    readonly spender: Spender
    readonly budget: CallBudget
    left: number
    atMs: number
    record: SetAside | null
  }

  it("are let through exactly when there is room, and no five minutes hold more than their share", {
    timeout: 120_000,
  }, async ({ expect }) => {
    const random = randomFrom(20_261_126)
    const upTo = (most: number) => Math.floor(random() * (most + 1))
    const model = new Model()
    const made: { readonly atMs: number; readonly duty: Duty; readonly team: string | null }[] = []
    const works: Work[] = []
    const now = () => plane.deps.clock.now()
    let refused = 0

    /** Sets aside as the model says, and holds the answer against it. */
    async function reserve(work: Work, calls: number, ask: () => Promise<void>): Promise<boolean> {
      const isFresh = work.left >= calls && now() - work.atMs < LEASE_MS
      if (!isFresh && work.record !== null) {
        work.record.calls -= work.left
        work.left = 0
      }
      const room = isFresh || model.hasRoom(work.spender, calls, now())
      const refusal = await refusalOf(ask())
      expect(refusal === null, `${work.spender.duty} of ${work.spender.team}: ${calls}`).toBe(room)
      if (refusal !== null) {
        refused++
        expect(refusal.retryAfterS).toBe(model.roomInS(work.spender, calls, now()))
        return false
      }
      if (isFresh) return true
      work.record = { slot: Math.floor(now() / SLOT_MS), team: work.spender.team, calls }
      model.all.push(work.record)
      Object.assign(work, { left: calls, atMs: now() })
      return true
    }

    for (let step = 0; step < STEPS; step++) {
      plane.pass(random() < 0.02 ? upTo(200_000) : upTo(4_000))
      const what = random()
      const work = works[upTo(works.length - 1)]
      if (work === undefined || what < 0.25) {
        const spender = SPENDERS[upTo(SPENDERS.length - 1)] ?? OPS
        const begun: Work = { spender, budget: budgetOf(spender), left: 0, atMs: 0, record: null }
        const calls = 1 + upTo(5)
        if (await reserve(begun, calls, () => begun.budget.reserve(calls))) works.push(begun)
      } else if (what < 0.9) {
        if (random() < 0.1) plane.pass(LEASE_MS - 1 - upTo(5_000))
        if (!(await reserve(work, 1, () => work.budget.spend()))) continue
        work.left--
        made.push({ atMs: now(), ...work.spender })
      } else {
        await work.budget.giveBack()
        if (work.record !== null) work.record.calls -= work.left
        works.splice(works.indexOf(work), 1)
      }
    }

    const most = (calls: typeof made) =>
      Math.max(
        0,
        ...calls.map(({ atMs }) => calls.filter((each) => each.atMs <= atMs && each.atMs >= atMs - WINDOW_MS).length),
      )
    const of = (...duties: Duty[]) => made.filter(({ duty }) => duties.includes(duty))
    expect(most(made)).toBeLessThanOrEqual(LIMIT)
    expect(most(of("upload", "deployment", "tidying", "watch"))).toBeLessThanOrEqual(LIMIT * 0.9)
    expect(most(of("upload", "tidying"))).toBeLessThanOrEqual(LIMIT * 0.8)
    expect(most(of("tidying"))).toBeLessThanOrEqual(LIMIT * 0.5)
    for (const team of ["web", "shop", "docs"]) {
      expect(most(of("upload").filter((each) => each.team === team))).toBeLessThanOrEqual(LIMIT * 0.4)
      expect(most(made.filter((each) => each.team === team))).toBeLessThanOrEqual(LIMIT * 0.45)
    }
    // The bounds were met, and not missed by far.
    expect(refused).toBeGreaterThan(STEPS / 20)
    expect(most(made)).toBeGreaterThan(LIMIT * 0.8)
  })
})

/** Numbers that look random and are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
