import { env } from "cloudflare:workers"
import { afterAll, afterEach, beforeEach, describe, it, vi } from "vitest"
import { type FlagContext, flagsFor, type LookOptions } from "./flags.ts"
import { launchDarklyFlags } from "./launchdarkly-flags.ts"

/** A real namespace: the one in which the runtime of these tests holds its config. */
const KV = (env as { CONFIG: KVNamespace }).CONFIG
const ALICE: FlagContext = { targetingKey: "alice", kind: "user", company: "100" }
let ids = 0

/** One flag as LaunchDarkly's integration writes it. */
function flag(key: string, variations: unknown[], changes: object = {}) {
  return {
    ...{ key, version: 1, on: true, deleted: false, salt: "salt", variations },
    ...{
      fallthrough: { variation: 0 },
      offVariation: 1,
      prerequisites: [],
      targets: [],
      contextTargets: [],
      rules: [],
    },
    ...{ clientSide: true, trackEvents: false, trackEventsFallthrough: false, debugEventsUntilDate: null },
    ...changes,
  }
}

const FOR_COMPANY = {
  id: "rule",
  variation: 1,
  clauses: [{ contextKind: "company", attribute: "key", op: "in", values: ["100"], negate: false }],
}
const FOR_SEGMENT = {
  id: "rule",
  variation: 1,
  clauses: [{ attribute: "", op: "segmentMatch", values: ["staff"], negate: false }],
}
const ENVIRONMENT = {
  flags: {
    on: flag("on", [true, false]),
    off: flag("off", [true, false], { on: false }),
    greeting: flag("greeting", ["hello", "hi"]),
    limit: flag("limit", [3, 5]),
    company: flag("company", [false, true], { rules: [FOR_COMPANY] }),
    target: flag("target", [false, true], { targets: [{ values: ["alice"], variation: 1 }] }),
    segment: flag("segment", [false, true], { rules: [FOR_SEGMENT] }),
    behind: flag("behind", [true, false], { prerequisites: [{ key: "off", variation: 0 }] }),
    malformed: flag("malformed", [true, false], { fallthrough: { variation: 7 } }),
    half: flag("half", [true, false], {
      fallthrough: {
        rollout: {
          contextKind: "company",
          variations: [
            { variation: 0, weight: 50_000 },
            { variation: 1, weight: 50_000 },
          ],
        },
      },
    }),
  },
  segments: {
    staff: { key: "staff", version: 1, included: ["alice"], excluded: [], rules: [], salt: "s", deleted: false },
  },
}

async function make(environment: unknown = ENVIRONMENT, options: LookOptions = {}) {
  const clock = { ms: 0, now: () => clock.ms }
  const clientSideId = `client-side-${ids++}`
  const write = (value: unknown) => KV.put(`LD-Env-${clientSideId}`, JSON.stringify(value))
  if (environment !== null) await write(environment)
  const reads = { count: 0, isDown: false, hangs: false }
  const kv = {
    get(key: string) {
      reads.count++
      if (reads.hangs) return new Promise<never>(() => {})
      return reads.isDown ? Promise.reject(new Error("down")) : KV.get(key)
    },
  }
  const provider = launchDarklyFlags({ clientSideId, kv, clock, lookMs: 100, ...options })
  /** As a new request. */
  const client = (context: FlagContext = ALICE) => flagsFor(provider, context)
  return { client, write, clock, reads }
}

const network = vi.spyOn(globalThis, "fetch")
afterAll(() => network.mockRestore())
beforeEach(() => void network.mockClear())
afterEach(({ expect }) => expect(network).not.toHaveBeenCalled())

describe("launchDarklyFlags", () => {
  it("evaluates flags of every type", async ({ expect }) => {
    const flags = (await make()).client()
    expect(await flags.details("on", false)).toEqual({ value: true, reason: "DEFAULT", variant: "0" })
    expect(await flags.string("greeting", "")).toBe("hello")
    expect(await flags.number("limit", 0)).toBe(3)
    expect(await flags.details("off", true)).toEqual({ value: false, reason: "DISABLED", variant: "1" })
    expect(await flags.details("behind", true)).toEqual({ value: false, reason: "DISABLED", variant: "1" })
  })

  it("goes by subject, segment and company", async ({ expect }) => {
    const { client } = await make()
    const bob: FlagContext = { targetingKey: "bob", kind: "user", company: "1000" }
    const match = { value: true, reason: "TARGETING_MATCH", variant: "1" }
    for (const key of ["company", "target", "segment"]) {
      expect(await client().details(key, false)).toEqual(match)
      expect((await client(bob).details(key, true)).value).toBe(false)
    }
    const nobody: FlagContext = { targetingKey: "anonymous", kind: "anonymous" }
    expect(await client(nobody).boolean("company", true)).toBe(false)
  })

  it("rolls out by company: all of one company get the same, and about half of them one or the other", async ({
    expect,
  }) => {
    const { client } = await make()
    const answerFor = (company: number, targetingKey: string) =>
      client({ targetingKey, kind: "user", company: String(company) }).boolean("half", false)
    let on = 0
    for (let company = 0; company < 400; company++) {
      const answer = await answerFor(company, "alice")
      expect(await answerFor(company, "bob")).toBe(answer)
      if (answer) on++
    }
    expect(on).toBeGreaterThan(150)
    expect(on).toBeLessThan(250)
  })

  it("gives the default and says why", async ({ expect }) => {
    const flags = (await make()).client()
    for (const key of ["missing", "toString", "__proto__", ""])
      expect(await flags.details(key, true)).toMatchObject({
        value: true,
        reason: "ERROR",
        errorCode: "FLAG_NOT_FOUND",
      })
    expect(await flags.details("greeting", true)).toMatchObject({ value: true, errorCode: "TYPE_MISMATCH" })
    expect(await flags.details("malformed", true)).toMatchObject({ value: true, errorCode: "PARSE_ERROR" })
    const anonymous = (await make()).client({ targetingKey: "", kind: "anonymous" })
    expect(await anonymous.details("on", false)).toMatchObject({ value: false, reason: "ERROR" })
  })

  it("reads KV once for all evaluations, and sees a switch after its time without a deploy", async ({ expect }) => {
    const { client, write, clock, reads } = await make()
    for (let count = 0; count < 5; count++) expect(await client().boolean("on", false)).toBe(true)
    await write({ ...ENVIRONMENT, flags: { on: flag("on", [true, false], { on: false, version: 2 }) } })
    clock.ms = 4_999
    expect(await client().boolean("on", false)).toBe(true)
    expect(reads.count).toBe(1)
    clock.ms = 5_000
    expect(await client().details("on", true)).toMatchObject({ value: false, reason: "DISABLED" })
    expect(await client().details("greeting", "")).toMatchObject({ errorCode: "FLAG_NOT_FOUND" })
    expect(reads.count).toBe(2)
  })

  it("keeps what it knew while KV does not answer or holds something else", async ({ expect }) => {
    const { client, write, clock, reads } = await make()
    await client().boolean("on", false)
    reads.isDown = true
    clock.ms = 5_000
    expect(await client().details("on", false)).toEqual({ value: true, reason: "STALE", variant: "0" })
    reads.isDown = false
    for (const other of [null, "text", {}, { flags: {} }, []]) {
      await write(other)
      clock.ms += 5_000
      expect(await client().details("on", false)).toMatchObject({ value: true, reason: "STALE" })
    }
    await write(ENVIRONMENT)
    clock.ms += 5_000
    expect(await client().details("on", false)).toMatchObject({ value: true, reason: "DEFAULT" })
  })

  it("keeps what it knew while KV hangs", async ({ expect }) => {
    const { client, clock, reads } = await make()
    await client().boolean("on", false)
    reads.hangs = true
    clock.ms = 5_000
    expect(await client().details("on", false)).toEqual({ value: true, reason: "STALE", variant: "0" })
  })

  it("gives defaults while KV holds nothing, and begins when it does", async ({ expect }) => {
    const { client, write, clock } = await make(null)
    expect(await client().details("on", false)).toMatchObject({ value: false, errorCode: "PROVIDER_NOT_READY" })
    await write(ENVIRONMENT)
    clock.ms = 5_000
    expect(await client().boolean("on", false)).toBe(true)
  })

  it("reads KV once in its time while there is nothing, however many flags there are", async ({ expect }) => {
    for (const failing of ["nothing", "down", "something else"]) {
      const { client, clock, reads } = await make(failing === "something else" ? { flags: 1 } : null)
      reads.isDown = failing === "down"
      for (const key of ["on", "off", "limit"])
        expect(await client().details(key, false)).toMatchObject({ errorCode: "PROVIDER_NOT_READY" })
      clock.ms = 4_999
      await client().boolean("on", false)
      expect([failing, reads.count]).toEqual([failing, 1])
      clock.ms = 5_000
      await client().boolean("on", false)
      expect([failing, reads.count]).toEqual([failing, 2])
    }
  })

  it("reads KV once for flags and requests that come before the first answer", async ({ expect }) => {
    const { client, reads } = await make()
    const flags = client()
    const asked = [flags.boolean("on", false), flags.boolean("off", true), client().boolean("on", false)]
    expect(await Promise.all(asked)).toEqual([true, false, true])
    expect(reads.count).toBe(1)
  })

  it("waits once for a KV that hangs from the beginning", async ({ expect }) => {
    const { client, reads, clock } = await make(ENVIRONMENT, { firstLookMs: 5 })
    reads.hangs = true
    for (const key of ["on", "off"])
      expect(await client().details(key, false)).toMatchObject({ errorCode: "PROVIDER_NOT_READY" })
    clock.ms = 5
    expect(await client().details("limit", 0)).toMatchObject({ errorCode: "PROVIDER_NOT_READY" })
    expect(reads.count).toBe(1)
  })

  it("throws without a client-side id", ({ expect }) => {
    expect(() => launchDarklyFlags({ clientSideId: "", kv: { get: async () => null } })).toThrow(TypeError)
  })
})
