import { describe, it } from "vitest"
import { circuitBreaker } from "./circuit-breaker.ts"
import { refuse } from "./problem.ts"
import { Shadows, type StrangleDependencies, type StrangleOrder, strangle } from "./strangle.ts"

const URL_OF_TEST = "https://app.example.com/documents/1"
const SIDES = { legacy: "legacy", new: "new" } as const
type Side = keyof typeof SIDES
const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] as const

interface Circumstances {
  readonly side?: Side
  readonly isShadowed?: boolean
  readonly init?: RequestInit
  readonly answers?: Partial<Record<Side, () => Response | Promise<Response>>>
  readonly access?: (side: Side) => Promise<Side>
  readonly timeoutMs?: number
  readonly compare?: StrangleDependencies<Side>["compare"]
  readonly shadows?: Shadows
  readonly enterNew?: StrangleDependencies<Side>["enterNew"]
  readonly dates?: Partial<Pick<StrangleOrder, "deprecationMs" | "sunsetMs">>
}

/** Everything that one request did, background included. */
async function run(circumstances: Circumstances) {
  const { side = "legacy", isShadowed = false, init = {}, answers = {}, timeoutMs = 60_000, dates } = circumstances
  const sent: string[] = []
  const noted: string[] = []
  const background: Promise<unknown>[] = []
  const order = {
    request: new Request(URL_OF_TEST, init),
    side,
    isShadowed,
    comparedBytesMost: 100,
    deprecationMs: null,
    sunsetMs: null,
    ...dates,
  }
  const deps: StrangleDependencies<Side> = {
    access: circumstances.access ?? (async (each) => each),
    send: async (access, { signal, isCopy }) => {
      sent.push(isCopy ? `copy to ${access}` : access)
      const answer = answers[access]?.() ?? new Response(`from ${access}`)
      const ended = new Promise<never>((_, reject) => {
        if (signal.aborted) reject(signal.reason)
        signal.addEventListener("abort", () => reject(signal.reason))
      })
      return Promise.race([answer, ended])
    },
    timeoutMs: { legacy: timeoutMs, new: timeoutMs },
    enterNew: circumstances.enterNew ?? (() => circuitBreaker().enter("")),
    waitUntil: (work) => background.push(work),
    shadows: circumstances.shadows ?? new Shadows({ most: 10, bytesMost: 3_000, deadlineMs: 60_000 }),
    compare: circumstances.compare ?? readBoth,
    note: (event) => noted.push(event),
  }
  const answered = strangle(order, deps)
  return { answered, sent, noted, background }
}

const readBoth: StrangleDependencies<Side>["compare"] = async (first, ask) => {
  await first.text()
  await (await ask("new")).text()
  await (await ask("legacy")).text()
}
const by = (response: Response) => response.headers.get("x-strangler")

describe("strangle: the chosen side", () => {
  for (const side of ["legacy", "new"] as const)
    for (const method of METHODS)
      it(`sends ${method} to ${side} once, and to nobody else`, async ({ expect }) => {
        const { answered, sent, background } = await run({ side, init: { method } })
        expect(by(await answered)).toBe(side)
        expect(sent).toEqual([side])
        expect(background).toEqual([])
      })

  it("hands out status, cookies, redirect and stream as they are", async ({ expect }) => {
    const headers = new Headers({ location: "/elsewhere" })
    headers.append("set-cookie", "a=1")
    headers.append("set-cookie", "b=2")
    const { readable, writable } = new TransformStream()
    const { answered } = await run({ answers: { legacy: () => new Response(readable, { status: 302, headers }) } })
    const response = await answered
    expect([response.status, response.headers.get("location")]).toEqual([302, "/elsewhere"])
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"])
    const writer = writable.getWriter()
    void writer.write(new TextEncoder().encode("first"))
    const first = await response.body?.getReader().read()
    expect(new TextDecoder().decode(first?.value)).toBe("first")
  })

  it("leaves a WebSocket's response itself", async ({ expect }) => {
    const { 0: client, 1: server } = new WebSocketPair()
    server.accept()
    const upgraded = new Response(null, { status: 101, webSocket: client })
    const { answered } = await run({ side: "new", answers: { new: () => upgraded } })
    expect(await answered).toBe(upgraded)
  })

  it("overrules what a service says of who answered", async ({ expect }) => {
    const { answered } = await run({
      answers: { legacy: () => new Response("", { headers: { "x-strangler": "new" } }) },
    })
    expect(by(await answered)).toBe("legacy")
  })

  it("dates the answers of the legacy service alone", async ({ expect }) => {
    const dates = { deprecationMs: Date.UTC(2026, 6, 1), sunsetMs: Date.UTC(2027, 0, 1, 12) }
    const legacy = await (await run({ dates })).answered
    expect(legacy.headers.get("deprecation")).toBe("@1782864000")
    expect(legacy.headers.get("sunset")).toBe("Fri, 01 Jan 2027 12:00:00 GMT")
    const failing = { new: () => new Response("", { status: 503 }) }
    expect((await (await run({ dates, side: "new", answers: failing })).answered).headers.has("sunset")).toBe(true)
    const fresh = await (await run({ dates, side: "new" })).answered
    expect([fresh.headers.has("deprecation"), fresh.headers.has("sunset")]).toEqual([false, false])
  })
})

describe("strangle: fallback", () => {
  const failures = {
    "a refused connection": () => {
      throw new Error("connect ECONNREFUSED 10.9.8.7")
    },
    "status 500": () => new Response("", { status: 500 }),
    "status 503": () => new Response("", { status: 503 }),
    silence: () => new Promise<Response>(() => {}),
  }
  for (const [name, fails] of Object.entries(failures)) {
    for (const method of ["GET", "HEAD", "OPTIONS"])
      it(`lets legacy answer ${method} after ${name}, and says and counts it`, async ({ expect }) => {
        const { answered, sent, noted } = await run({
          side: "new",
          init: { method },
          answers: { new: fails },
          timeoutMs: 5,
        })
        expect(by(await answered)).toBe("fallback")
        expect(sent).toEqual(["new", "legacy"])
        expect(noted).toEqual(["fallback"])
      })
    for (const method of ["POST", "PATCH", "PUT", "DELETE"])
      it(`never sends ${method} twice, after ${name}`, async ({ expect }) => {
        const init = { method, body: "body" }
        const { answered, sent, noted } = await run({ side: "new", init, answers: { new: fails }, timeoutMs: 5 })
        await answered.catch(() => {})
        expect(sent).toEqual(["new"])
        expect(noted).toEqual([])
      })
  }

  it("sends no body twice: OPTIONS with one that was read gets the new service's own answer", async ({ expect }) => {
    const request = new Request(URL_OF_TEST, { method: "OPTIONS", body: "body" })
    const sent: string[] = []
    const order = { side: "new", isShadowed: false, comparedBytesMost: 1, deprecationMs: null, sunsetMs: null } as const
    const response = await strangle<Side>(
      { ...order, request },
      {
        access: async (side) => side,
        send: async (side) => {
          sent.push(side)
          await new Request("https://a.example/", { method: "OPTIONS", body: request.body }).text()
          return new Response("busy", { status: 503 })
        },
        timeoutMs: { legacy: 1_000, new: 1_000 },
        enterNew: () => circuitBreaker().enter(""),
        waitUntil: () => {},
        shadows: new Shadows({ most: 1, bytesMost: 1, deadlineMs: 1_000 }),
        compare: readBoth,
        note: () => {},
      },
    )
    expect([response.status, by(response), sent]).toEqual([503, "new", ["new"]])
  })

  it("gives a failing unsafe request the new service's own answer, or a problem without the reason", async ({
    expect,
  }) => {
    const init = { method: "POST", body: "body" }
    const own = await run({ side: "new", init, answers: { new: failures["status 503"] } })
    expect([(await own.answered).status, by(await own.answered)]).toEqual([503, "new"])
    const refused = await run({ side: "new", init, answers: { new: failures["a refused connection"] } })
    await expect(refused.answered).rejects.toMatchObject({ code: "service.failed" })
    const late = await run({ side: "new", init, answers: { new: failures.silence }, timeoutMs: 5 })
    await expect(late.answered).rejects.toMatchObject({ code: "service.timeout" })
  })

  for (const status of [200, 304, 400, 404, 499])
    it(`takes ${status} for the new service's answer`, async ({ expect }) => {
      const body = status === 304 ? null : ""
      const { answered, sent } = await run({ side: "new", answers: { new: () => new Response(body, { status }) } })
      expect([(await answered).status, sent]).toEqual([status, ["new"]])
    })

  const unreachable = async (side: Side) => {
    if (side === "new") throw refuse("platform.not-granted")
    return side
  }
  for (const method of ["GET", "PUT", "DELETE"])
    it(`lets legacy answer ${method} when nothing could be sent to the new one`, async ({ expect }) => {
      const init = method === "PUT" ? { method, body: "body" } : { method }
      const { answered, sent } = await run({ side: "new", init, access: unreachable })
      expect(by(await answered)).toBe("fallback")
      expect(sent).toEqual(["legacy"])
    })
  for (const method of ["POST", "PATCH"])
    it(`refuses ${method} when nothing could be sent to the new one`, async ({ expect }) => {
      const { answered, sent } = await run({ side: "new", init: { method }, access: unreachable })
      await expect(answered).rejects.toMatchObject({ code: "platform.not-granted" })
      expect(sent).toEqual([])
    })

  const instead = (problem: string) => () =>
    new Response("", { status: 403, headers: { "x-sallyport-egress-problem": problem } })
  it("lets legacy answer what the platform would not let out to the new one, and never what is not safe", async ({
    expect,
  }) => {
    const answers = { new: instead("egress.destination-refused") }
    expect(by(await (await run({ side: "new", answers })).answered)).toBe("fallback")
    const posted = await run({ side: "new", answers, init: { method: "POST", body: "x" } })
    expect([(await posted.answered).status, posted.sent]).toEqual([403, ["new"]])
  })

  it("tells the caller what the platform holds against it, whatever legacy might say", async ({ expect }) => {
    const { answered, sent } = await run({ side: "new", answers: { new: instead("auth.revoked") } })
    expect([(await answered).status, sent]).toEqual([403, ["new"]])
  })

  it("asks nobody else when the client has gone", async ({ expect }) => {
    const abort = new AbortController()
    const { answered, sent, noted } = await run({
      side: "new",
      init: { signal: abort.signal },
      answers: { new: failures.silence },
    })
    abort.abort()
    await expect(answered).rejects.toThrow()
    expect([sent, noted]).toEqual([["new"], []])
  })

  it("never lets the new service answer for legacy", async ({ expect }) => {
    const { answered, sent } = await run({ answers: { legacy: failures["a refused connection"] } })
    await expect(answered).rejects.toMatchObject({ code: "service.failed" })
    expect(sent).toEqual(["legacy"])
    const bad = await run({ answers: { legacy: failures["status 500"] } })
    expect([(await bad.answered).status, bad.sent]).toEqual([500, ["legacy"]])
  })
})

describe("strangle: while the new service fails", () => {
  /** Several requests in a row under one breaker that opens after two failures, for a second, and a clock of its own. */
  function underOneBreaker() {
    const clock = { nowMs: 1_000_000, now: () => clock.nowMs }
    const breaker = circuitBreaker({ consecutiveFailures: 2, openMs: 1_000, clock })
    const enterNew = () => breaker.enter("new")
    const ask = async (
      answer: () => Response | Promise<Response>,
      init: RequestInit = {},
      more: Circumstances = {},
    ) => {
      const did = await run({ side: "new", init, answers: { new: answer }, timeoutMs: 5, enterNew, ...more })
      const response = await did.answered.catch(() => null)
      return { ...did, by: response === null ? null : by(response) }
    }
    return { clock, ask, state: () => breaker.stateOf("new") }
  }
  const silent = () => new Promise<Response>(() => {})
  const broken = () => new Response("", { status: 503 })
  const fine = () => new Response("")

  for (const [name, fails] of Object.entries({ silent, "answering 503": broken, "not there": () => Promise.reject() }))
    it(`asks it no more after as many failures as the breaker takes, of one that is ${name}, and not after fewer`, async ({
      expect,
    }) => {
      const { ask } = underOneBreaker()
      for (const method of ["GET", "HEAD"]) expect((await ask(fails, { method })).sent).toEqual(["new", "legacy"])
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        const { sent, noted, by } = await ask(fails, { method })
        expect([sent, noted, by]).toEqual([["legacy"], ["fallback"], "fallback"])
      }
    })

  it("sends what is not safe to it all the same, once, and learns nothing from that", async ({ expect }) => {
    const { ask, state } = underOneBreaker()
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      for (const answer of [broken, silent]) expect((await ask(answer, { method, body: "x" })).sent).toEqual(["new"])
    expect(state()).toBe("closed")
    for (let count = 0; count < 2; count++) await ask(broken)
    expect(state()).toBe("open")
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      expect((await ask(fine, { method, body: "x" })).sent).toEqual(["new"])
    expect(state()).toBe("open")
  })

  it("lets one request at a time try it again when the time is over, and all once that one was answered", async ({
    expect,
  }) => {
    const { clock, ask, state } = underOneBreaker()
    for (let count = 0; count < 2; count++) await ask(broken)
    clock.nowMs += 999
    expect((await ask(fine)).sent).toEqual(["legacy"])
    clock.nowMs += 1
    const { promise, resolve } = Promise.withResolvers<Response>()
    const probe = ask(() => promise, {}, { timeoutMs: 60_000 })
    await scheduler.wait(0)
    expect((await ask(fine)).sent).toEqual(["legacy"])
    resolve(new Response(""))
    expect((await probe).by).toBe("new")
    expect([(await ask(fine)).by, state()]).toEqual(["new", "closed"])
  })

  it("waits another while after a try that failed", async ({ expect }) => {
    const { clock, ask } = underOneBreaker()
    for (let count = 0; count < 2; count++) await ask(broken)
    clock.nowMs += 1_000
    expect((await ask(silent)).sent).toEqual(["new", "legacy"])
    clock.nowMs += 999
    expect((await ask(fine)).sent).toEqual(["legacy"])
    clock.nowMs += 1
    expect((await ask(fine)).by).toBe("new")
  })

  it("learns nothing from clients that break off, however many and whenever", async ({ expect }) => {
    const { clock, ask, state } = underOneBreaker()
    const breakOff = async () => {
      const abort = new AbortController()
      const asked = ask(silent, { signal: abort.signal }, { timeoutMs: 60_000 })
      await scheduler.wait(0)
      abort.abort()
      return (await asked).sent
    }
    for (let count = 0; count < 5; count++) expect(await breakOff()).toEqual(["new"])
    expect(state()).toBe("closed")
    for (let count = 0; count < 2; count++) await ask(broken)
    clock.nowMs += 1_000
    expect(await breakOff()).toEqual(["new"])
    // The try told nothing: the next one is the try.
    expect(state()).toBe("half-open")
    expect((await ask(fine)).by).toBe("new")
  })

  it("learns nothing from what the platform answered instead, but that nobody was there", async ({ expect }) => {
    const { clock, ask, state } = underOneBreaker()
    const instead = (problem: string, status: number) => () =>
      new Response("", { status, headers: { "x-sallyport-egress-problem": problem } })
    for (let count = 0; count < 3; count++) await ask(instead("egress.passport-exchange-failed", 502))
    expect(state()).toBe("closed")
    for (let count = 0; count < 2; count++) {
      await ask(instead("egress.destination-failed", 502))
      await ask(instead("auth.revoked", 401))
    }
    expect(state()).toBe("open")
    clock.nowMs += 1_000
    await ask(instead("auth.revoked", 401))
    expect(state()).toBe("half-open")
  })

  it("learns nothing from requests that the platform did not let through", async ({ expect }) => {
    const { ask, state } = underOneBreaker()
    const access = (side: Side) =>
      side === "new" ? Promise.reject(refuse("platform.unavailable")) : Promise.resolve(side)
    for (let count = 0; count < 5; count++) expect((await ask(fine, {}, { access })).by).toBe("fallback")
    expect(state()).toBe("closed")
  })

  for (const status of [200, 304, 400, 404, 499])
    it(`takes ${status} for a sign of life`, async ({ expect }) => {
      const { ask, state } = underOneBreaker()
      for (let count = 0; count < 3; count++) {
        await ask(broken)
        await ask(() => new Response(status === 304 ? null : "", { status }))
      }
      expect(state()).toBe("closed")
    })

  it("goes on comparing with it in shadow", async ({ expect }) => {
    const { ask } = underOneBreaker()
    for (let count = 0; count < 2; count++) await ask(broken)
    const { sent, background } = await ask(fine, {}, { side: "legacy", isShadowed: true })
    await Promise.all(background)
    expect(sent).toEqual(["legacy", "copy to new", "copy to legacy"])
  })
})

describe("strangle: shadow", () => {
  for (const method of ["GET", "HEAD"])
    it(`answers ${method} by legacy, and asks new, then legacy again, in the background`, async ({ expect }) => {
      const { answered, sent, background } = await run({ isShadowed: true, init: { method } })
      const response = await answered
      expect(by(response)).toBe("legacy")
      expect(await response.text()).toBe("from legacy")
      await Promise.all(background)
      expect(sent).toEqual(["legacy", "copy to new", "copy to legacy"])
    })

  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT", "PURGE"])
    it(`sends ${method} once and to nobody else`, async ({ expect }) => {
      const { answered, sent, background } = await run({ isShadowed: true, init: { method } })
      await (await answered).text()
      await Promise.all(background)
      expect([sent, background]).toEqual([["legacy"], []])
    })

  for (const name of ["upgrade", "if-none-match", "if-modified-since", "range"])
    it(`does not compare a request with ${name}`, async ({ expect }) => {
      const { sent, answered, background } = await run({ isShadowed: true, init: { headers: { [name]: "x" } } })
      await answered
      expect([sent, background]).toEqual([["legacy"], []])
    })

  it("does not compare an event stream, which has no end", async ({ expect }) => {
    const headers = { "content-type": "text/event-stream; charset=utf-8" }
    const { answered, sent, background } = await run({
      isShadowed: true,
      answers: { legacy: () => new Response("data: 1\n\n", { headers }) },
    })
    expect(await (await answered).text()).toBe("data: 1\n\n")
    expect([sent, background]).toEqual([["legacy"], []])
  })

  it("mirrors nothing when the new side answers, a fallback included", async ({ expect }) => {
    for (const status of [200, 500]) {
      const answers = { new: () => new Response("", { status }) }
      const { answered, background } = await run({ side: "new", isShadowed: true, answers })
      await answered
      expect(background).toEqual([])
    }
  })

  it("answers before the copies are even asked for, and whatever becomes of them", async ({ expect }) => {
    let ask: () => void = () => {}
    const asked = new Promise<void>((resolve) => {
      ask = resolve
    })
    const { answered, sent, noted, background } = await run({
      isShadowed: true,
      answers: { new: () => Promise.reject(new Error("down")) },
      compare: async (first, askFor) => {
        await first.text()
        await asked
        await askFor("new")
      },
    })
    expect(await (await answered).text()).toBe("from legacy")
    expect(sent).toEqual(["legacy"])
    ask()
    await Promise.all(background)
    expect([sent, noted]).toEqual([["legacy", "copy to new"], ["skipped"]])
  })

  it("gives the client the whole body when the comparison stops reading, or never began", async ({ expect }) => {
    const body = "x".repeat(300_000)
    for (const compare of [
      async (first: Response) => void (await first.body?.cancel()),
      async () => Promise.reject(new Error("bug")),
    ]) {
      const { answered, background } = await run({
        isShadowed: true,
        compare,
        answers: { legacy: () => new Response(body) },
      })
      const response = await answered
      await Promise.all(background)
      expect(await response.text()).toBe(body)
    }
  })

  it("keeps a comparison going when the client does not read", async ({ expect }) => {
    const { answered, sent, background } = await run({ isShadowed: true })
    await (await answered).body?.cancel()
    await Promise.all(background)
    expect(sent).toHaveLength(3)
  })

  it("skips, and counts, what is more than its slots; a slot is free when left, or at its deadline", async ({
    expect,
  }) => {
    const clock = { nowMs: 0, now: () => clock.nowMs }
    const shadows = new Shadows({ most: 1, bytesMost: 1_000, deadlineMs: 1_000, clock })
    const stuck = await run({ isShadowed: true, shadows, compare: () => new Promise(() => {}) })
    await stuck.answered
    const skipped = await run({ isShadowed: true, shadows })
    expect(await (await skipped.answered).text()).toBe("from legacy")
    expect([skipped.sent, skipped.noted]).toEqual([["legacy"], ["skipped"]])
    clock.nowMs = 999
    expect(shadows.enter(1)).toBeNull()
    clock.nowMs = 1_000
    const slot = shadows.enter(1)
    expect(slot).not.toBeNull()
    expect(shadows.enter(1)).toBeNull()
    slot?.leave()
    expect(shadows.enter(1)).not.toBeNull()
  })

  it("skips what would hold more bytes than all comparisons may", async ({ expect }) => {
    const shadows = new Shadows({ most: 10, bytesMost: 1_000, deadlineMs: 60_000 })
    const slots = [shadows.enter(600), shadows.enter(400), shadows.enter(1)]
    expect(slots.map((slot) => slot !== null)).toEqual([true, true, false])
    slots[0]?.leave()
    slots[0]?.leave()
    expect(shadows.enter(601)).toBeNull()
    expect(shadows.enter(600)).not.toBeNull()
    const shadowed = await run({ isShadowed: true, shadows: new Shadows({ most: 1, bytesMost: 299, deadlineMs: 9 }) })
    await shadowed.answered
    expect([shadowed.sent, shadowed.noted]).toEqual([["legacy"], ["skipped"]])
  })

  it("waits no longer for a copy than for a request", async ({ expect }) => {
    const outcomes: string[] = []
    const { answered, background } = await run({
      isShadowed: true,
      timeoutMs: 5,
      answers: { new: () => new Promise(() => {}) },
      compare: async (first, ask) => {
        await first.text()
        outcomes.push(await ask("new").then(String, ({ code }) => code))
        outcomes.push(await (await ask("legacy")).text())
      },
    })
    await (await answered).text()
    await Promise.all(background)
    expect(outcomes).toEqual(["service.timeout", "from legacy"])
  })
})
