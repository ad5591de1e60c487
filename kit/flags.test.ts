import { InMemoryProvider } from "@openfeature/server-sdk"
import { afterEach, beforeEach, describe, it, vi } from "vitest"
import {
  type FlagContext,
  type FlagDetails,
  type FlagProvider,
  type FlagsOptions,
  type FlagsVariables,
  flags,
  flagsFor,
  type PlatformFlagsOptions,
  platformFlags,
} from "./flags.ts"
import { requirePassport } from "./require-passport.ts"
import { makeTestPassports } from "./sign-test-passport.ts"
import { tracing } from "./tracing.ts"
import { worker } from "./worker.ts"

const ALICE: FlagContext = { targetingKey: "alice", kind: "user", company: "9007199254740993" }

/** A provider that answers every flag by one function. */
function providerOf(answer: (key: string, fallback: unknown, context: FlagContext) => unknown): FlagProvider {
  const resolve = async (key: string, fallback: unknown, context: FlagContext) => answer(key, fallback, context)
  const provider = {
    metadata: { name: "test" },
    resolveBooleanEvaluation: resolve,
    resolveStringEvaluation: resolve,
    resolveNumberEvaluation: resolve,
  }
  return provider as unknown as FlagProvider
}

describe("flagsFor", () => {
  it("gives a provider's answer with its reason and variant", async ({ expect }) => {
    const details = { value: true, reason: "TARGETING_MATCH", variant: "on" }
    const client = flagsFor(
      providerOf((_key, _fallback, context) => (context.company === ALICE.company ? details : { value: false })),
      ALICE,
    )
    expect(await client.boolean("a", false)).toBe(true)
    expect(await client.details("a", false)).toEqual(details)
  })

  const wrong: Record<string, [answer: () => unknown, code: string]> = {
    "a provider that throws": [
      () => {
        throw new Error("down")
      },
      "GENERAL",
    ],
    "a provider that throws what is no error": [
      () => {
        throw "down"
      },
      "GENERAL",
    ],
    "a provider's own code": [
      () => {
        throw Object.assign(new Error("none"), { code: "FLAG_NOT_FOUND" })
      },
      "FLAG_NOT_FOUND",
    ],
    "a value of another type": [() => ({ value: "true" }), "TYPE_MISMATCH"],
    "a value that is null": [() => ({ value: null }), "TYPE_MISMATCH"],
    "an answer that is none": [() => undefined, "GENERAL"],
    "an error without a value": [() => ({ errorCode: "PARSE_ERROR" }), "PARSE_ERROR"],
    "a provider that never answers": [() => new Promise(() => {}), "GENERAL"],
  }
  for (const [name, [answer, errorCode]] of Object.entries(wrong))
    it(`gives the default and says why for ${name}`, async ({ expect }) => {
      const client = flagsFor(providerOf(answer), ALICE, { giveUpMs: 5 })
      for (const fallback of [true, false])
        expect(await client.details("a", fallback)).toMatchObject({ value: fallback, reason: "ERROR", errorCode })
      expect(await client.boolean("a", true)).toBe(true)
    })

  it("gives the default for a provider that cannot be made, names itself badly, or reasons oddly", async ({
    expect,
  }) => {
    const app = worker<object, FlagsVariables>()
    app.use(tracing({ service: "example" }))
    app.use("/made/*", async (c, next) =>
      flags(() => {
        throw new TypeError("no binding")
      })(c, next),
    )
    const odd = providerOf(() => ({ value: true, reason: 5, variant: null }))
    app.use("/odd/*", flags(odd))
    app.use("/nameless/*", flags({ ...odd, metadata: undefined } as unknown as FlagProvider))
    app.get("*", async (c) => c.json(await c.var.flags.details("a", false)))
    const ask = async (path: string) => (await app.request(path, {}, {})).json()
    expect(await ask("/made/")).toMatchObject({ value: false, reason: "ERROR", errorCode: "PROVIDER_NOT_READY" })
    expect(await ask("/odd/")).toMatchObject({ value: true })
    expect(await ask("/nameless/")).toMatchObject({ value: true })
  })

  it("takes no number that is none", async ({ expect }) => {
    const client = flagsFor(
      providerOf(() => ({ value: Number.NaN })),
      ALICE,
    )
    expect(await client.details("a", 3)).toMatchObject({ value: 3, errorCode: "TYPE_MISMATCH" })
  })

  it("keeps a flag's answer for the request, and asks again for another", async ({ expect }) => {
    let value = false
    const provider = providerOf(() => ({ value }))
    const client = flagsFor(provider, ALICE)
    expect(await client.boolean("a", true)).toBe(false)
    value = true
    expect(await client.boolean("a", true)).toBe(false)
    expect(await client.boolean("b", false)).toBe(true)
    expect(await flagsFor(provider, ALICE).boolean("a", true)).toBe(true)
  })

  it("takes OpenFeature's own provider as it is", async ({ expect }) => {
    const provider: FlagProvider = new InMemoryProvider({
      header: {
        disabled: false,
        variants: { new: true, old: false },
        defaultVariant: "old",
        contextEvaluator: ({ company }) => (company === "9007199254740993" ? "new" : "old"),
      },
      greeting: { disabled: false, variants: { warm: "hello" }, defaultVariant: "warm" },
      limit: { disabled: false, variants: { low: 3 }, defaultVariant: "low" },
    })
    const client = flagsFor(provider, ALICE)
    expect(await client.details("header", false)).toMatchObject({ value: true, variant: "new" })
    expect(await flagsFor(provider, { targetingKey: "bob", kind: "user" }).boolean("header", true)).toBe(false)
    expect(await client.string("greeting", "")).toBe("hello")
    expect(await client.number("limit", 0)).toBe(3)
    expect(await client.details("missing", true)).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" })
    expect(await client.details("greeting", 1)).toMatchObject({ value: 1, errorCode: "TYPE_MISMATCH" })
  })
})

describe("flags", () => {
  it("evaluates for the passport's subject and company, with one provider per isolate", async ({ expect }) => {
    const passports = await makeTestPassports()
    const env = { PLATFORM: passports }
    const seen: FlagContext[] = []
    let made = 0
    const app = worker<typeof env, FlagsVariables>()
    app.use(requirePassport({ script: "example" }))
    app.use(
      flags(() => {
        made++
        return providerOf((_key, _fallback, context) => {
          seen.push(context)
          return { value: true }
        })
      }),
    )
    app.get("/", async (c) => c.text(String(await c.var.flags.boolean("a", false))))
    const claims = { company: "9007199254740993", zone: "uk01" }
    const request = await passports.request("https://app.example.com/", "example", {}, { idp: "example", ...claims })
    expect(await (await app.fetch(request, env)).text()).toBe("true")
    const anonymous = { sub: "anonymous", kind: "anonymous" } as const
    await app.fetch(await passports.request("https://app.example.com/", "example", {}, anonymous), env)
    expect(seen).toEqual([
      { targetingKey: "example|alice", kind: "user", ...claims },
      { targetingKey: "anonymous", kind: "anonymous" },
    ])
    expect(made).toBe(1)
    await app.fetch(await passports.request("https://app.example.com/", "example"), { ...env })
    expect(made).toBe(2)
  })

  it("tells subjects of the same name at two identity providers apart, unless it is told to go by the name", async ({
    expect,
  }) => {
    const passports = await makeTestPassports()
    const env = { PLATFORM: passports }
    const echo = providerOf((_key, _fallback, { targetingKey }) => ({ value: targetingKey }))
    const keysBy = async (options: FlagsOptions) => {
      const app = worker<typeof env, FlagsVariables>()
      app.use(requirePassport({ script: "example" }))
      app.use(flags(echo, options))
      app.get("/", async (c) => c.text(await c.var.flags.string("a", "")))
      const asked = [{ idp: "one" }, { idp: "two" }, { kind: "anonymous", sub: "anonymous" } as const].map(
        async (claims) =>
          (await app.fetch(await passports.request("https://app.example.com/", "example", {}, claims), env)).text(),
      )
      return Promise.all(asked)
    }
    expect(await keysBy({})).toEqual(["one|alice", "two|alice", "anonymous"])
    expect(await keysBy({ targetBy: "issuer-and-subject" })).toEqual(["one|alice", "two|alice", "anonymous"])
    expect(await keysBy({ targetBy: "subject" })).toEqual(["alice", "alice", "anonymous"])
  })

  it("keep a request alive for what others may wait for with it, until it is answered or given up", async ({
    expect,
  }) => {
    const app = worker<object, FlagsVariables>()
    app.use(flags(providerOf(() => ({ value: true }))))
    app.get("/", async (c) => c.text(String(await c.var.flags.boolean("a", false))))
    const behind: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void behind.push(work) } as unknown as ExecutionContext
    const response = await app.fetch(new Request("https://app.example.com/"), {}, context)
    expect(await response.text()).toBe("true")
    expect(await Promise.all(behind)).toHaveLength(1)
  })

  it("knows nobody where there is no passport, whatever the client says", async ({ expect }) => {
    const app = worker<object, FlagsVariables>()
    app.use(flags(providerOf((_key, _fallback, { targetingKey }) => ({ value: targetingKey }))))
    app.get("/", async (c) => c.text(await c.var.flags.string("a", "")))
    const headers = { "x-user": "alice", "procore-company-id": "1" }
    expect(await (await app.request("/?company_id=1", { headers }, {})).text()).toBe("anonymous")
  })
})

describe("platformFlags", () => {
  function make(options: PlatformFlagsOptions = {}) {
    const clock = { ms: 0, now: () => clock.ms }
    const platform = {
      asked: 0,
      answer: async (): Promise<Record<string, boolean | string | number>> => ({ on: true, name: "x", limit: 3 }),
      flags: () => {
        platform.asked++
        return platform.answer()
      },
    }
    const provider = platformFlags(platform, { clock, ...options })
    /** As a new request each. */
    const details = (key: string, fallback: boolean) => flagsFor(provider, ALICE).details(key, fallback)
    return { clock, platform, provider, details }
  }

  it("gives values of every type, and says what is not there or of another type", async ({ expect }) => {
    const { provider, platform } = make()
    const client = flagsFor(provider, ALICE)
    expect(await client.details("on", false)).toEqual({ value: true, reason: "STATIC" })
    expect(await client.string("name", "")).toBe("x")
    expect(await client.number("limit", 0)).toBe(3)
    for (const key of ["missing", "toString", "__proto__", "On", ""])
      expect(await client.details(key, true)).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" })
    expect(await client.details("name", true)).toMatchObject({ value: true, errorCode: "TYPE_MISMATCH" })
    expect(platform.asked).toBe(1)
  })

  it("sees a switch after its time, without a deploy", async ({ expect }) => {
    const { clock, platform, details } = make()
    await details("on", false)
    platform.answer = async () => ({ on: false })
    clock.ms = 4_999
    expect((await details("on", false)).value).toBe(true)
    clock.ms = 5_000
    expect((await details("on", true)).value).toBe(false)
    expect(platform.asked).toBe(2)
  })

  it("lets one request look while the others take what there is", async ({ expect }) => {
    const { clock, platform, details } = make()
    await details("on", false)
    clock.ms = 5_000
    const release = Promise.withResolvers<Record<string, boolean>>()
    platform.answer = () => release.promise
    const looking = details("on", true)
    expect((await details("on", false)).value).toBe(true)
    expect(platform.asked).toBe(2)
    release.resolve({ on: false })
    expect((await looking).value).toBe(false)
  })

  it("keeps what it knew while the platform does not answer, and says that it is stale", async ({ expect }) => {
    const { clock, platform, details } = make()
    await details("on", false)
    platform.answer = () => Promise.reject(new Error("down"))
    clock.ms = 5_000
    expect(await details("on", false)).toEqual({ value: true, reason: "STALE" })
    platform.answer = async () => ({ on: false })
    clock.ms = 10_000
    expect(await details("on", true)).toEqual({ value: false, reason: "STATIC" })
  })

  it("keeps what it knew while the platform hangs", async ({ expect }) => {
    const { clock, platform, details } = make({ lookMs: 5 })
    await details("on", false)
    platform.answer = () => new Promise(() => {})
    clock.ms = 5_000
    expect(await details("on", false)).toEqual({ value: true, reason: "STALE" })
    expect(await details("on", false)).toEqual({ value: true, reason: "STALE" })
    expect(platform.asked).toBe(2)
  })

  it("gives defaults while it knows nothing, and asks again after its time", async ({ expect }) => {
    const { clock, platform, details } = make()
    platform.answer = () => Promise.reject(new Error("platform.not-granted"))
    const failed = { reason: "ERROR", errorCode: "PROVIDER_NOT_READY", errorMessage: "platform.not-granted" }
    expect(await details("on", true)).toEqual({ value: true, ...failed })
    clock.ms = 4_999
    expect(await details("on", false)).toEqual({ value: false, ...failed })
    expect(await details("other", false)).toEqual({ value: false, ...failed })
    expect(platform.asked).toBe(1)
    clock.ms = 5_000
    expect(await details("on", true)).toEqual({ value: true, ...failed })
    expect(platform.asked).toBe(2)
    platform.answer = async () => ({ on: false })
    clock.ms = 10_000
    expect(await details("on", true)).toEqual({ value: false, reason: "STATIC" })
  })

  it("asks once for flags and requests that come before the first answer", async ({ expect }) => {
    const { platform, provider, details } = make()
    const { promise, resolve } = Promise.withResolvers<Record<string, boolean>>()
    platform.answer = () => promise
    const client = flagsFor(provider, ALICE)
    const asked = [client.details("on", false), client.details("off", true), details("on", false)]
    resolve({ on: true, off: false })
    expect((await Promise.all(asked)).map(({ value, reason }) => [value, reason])).toEqual([
      [true, "STATIC"],
      [false, "STATIC"],
      [true, "STATIC"],
    ])
    expect(platform.asked).toBe(1)
  })

  it("tells all of them of the same failure", async ({ expect }) => {
    const { platform, details } = make()
    platform.answer = () => Promise.reject(new Error("down"))
    for (const { errorMessage } of await Promise.all([details("a", true), details("b", true)]))
      expect(errorMessage).toBe("down")
    expect(platform.asked).toBe(1)
  })

  it("takes a platform that cannot even be asked for one that fails", async ({ expect }) => {
    const provider = platformFlags({
      flags: () => {
        throw new TypeError("no such method")
      },
    })
    expect(await flagsFor(provider, ALICE).details("on", true)).toMatchObject({ errorCode: "PROVIDER_NOT_READY" })
  })
})

describe("platformFlags while the platform hangs from the beginning", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }))
  afterEach(() => void vi.useRealTimers())

  function make(options: PlatformFlagsOptions = {}) {
    const clock = { ms: 0, now: () => clock.ms }
    const answers: PromiseWithResolvers<Record<string, boolean>>[] = []
    const flags = () => {
      const answer = Promise.withResolvers<Record<string, boolean>>()
      answers.push(answer)
      return answer.promise
    }
    const provider = platformFlags({ flags }, { clock, ...options })
    const pass = async (ms: number) => {
      clock.ms += ms
      await vi.advanceTimersByTimeAsync(ms)
    }
    /** What came of the flag, as soon as something did. */
    const ask = (key: string) => {
      const asked: { details: FlagDetails<boolean> | null } = { details: null }
      void flagsFor(provider, ALICE, { giveUpMs: 2_000 })
        .details(key, true)
        .then((details) => (asked.details = details))
      return asked
    }
    return { ask, pass, answers }
  }
  const notReady = {
    value: true,
    reason: "ERROR",
    errorCode: "PROVIDER_NOT_READY",
    errorMessage: "no answer within 1000 ms",
  }

  it("costs one wait and one question, however many flags and requests there are", async ({ expect }) => {
    const { ask, pass, answers } = make()
    const first = ask("a")
    await pass(600)
    const joining = ask("b")
    await pass(399)
    expect([first.details, joining.details]).toEqual([null, null])
    await pass(1)
    expect([first.details, joining.details]).toEqual([notReady, notReady])
    for (let count = 0; count < 5; count++) {
      const later = ask(`c${count}`)
      await pass(0)
      expect(later.details).toEqual(notReady)
    }
    await pass(3_999)
    expect(answers).toHaveLength(1)
    await pass(1)
    const again = ask("d")
    await pass(1_000)
    expect([again.details, answers.length]).toEqual([notReady, 2])
  })

  it("waits as long as it is told to", async ({ expect }) => {
    const { ask, pass } = make({ firstLookMs: 50 })
    const first = ask("a")
    await pass(49)
    expect(first.details).toBeNull()
    await pass(1)
    expect(first.details?.errorCode).toBe("PROVIDER_NOT_READY")
  })

  it("loses no answer that comes late, and none undoes a newer one", async ({ expect }) => {
    const { ask, pass, answers } = make()
    ask("on")
    await pass(5_000)
    const second = ask("on")
    answers[1]?.resolve({ on: false })
    await pass(0)
    expect(second.details).toEqual({ value: false, reason: "STATIC" })
    answers[0]?.resolve({ on: true })
    await pass(0)
    const third = ask("on")
    await pass(0)
    expect([third.details?.value, answers.length]).toEqual([false, 2])

    const late = make()
    late.ask("on")
    await late.pass(1_500)
    late.answers[0]?.resolve({ on: false })
    await late.pass(0)
    const then = late.ask("on")
    await late.pass(0)
    expect([then.details?.value, late.answers.length]).toEqual([false, 1])
  })
})
