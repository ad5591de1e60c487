import { describe, expect, it } from "vitest"
import type { Manifest } from "../../../contracts/manifest.ts"
import { Refusal } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { cloudflareFixture, type Fault, FIXTURE_SETTINGS, UNCOUNTED } from "../../test/cloudflare-fixture.ts"
import { callBudget, TIDYING } from "./call-budget.ts"
import { RETRY } from "./retry.ts"
import { type Placement, scriptHost } from "./script-host.ts"

const DIGEST = "d".repeat(64)
const NAME = "files--v12"

async function setUp(change: Partial<Manifest> = {}) {
  const cloudflare = cloudflareFixture()
  const files = new Map<string, string>()
  const keep = async (text: string) => {
    const sha256 = await sha256Hex(text)
    files.set(sha256, text)
    return { sha256, sizeBytes: text.length }
  }
  const manifest: Manifest = {
    format: 1,
    script: "files",
    mainModule: "index.js",
    modules: [
      { name: "./ab-t.txt", kind: "text", ...(await keep("text")) },
      { name: "index.js", kind: "esm", ...(await keep("export default {}")) },
    ],
    bindings: [{ type: "secret_text", name: "TOKEN", sealed: "xyz" }],
    compatibilityDate: "2026-10-01",
    compatibilityFlags: [],
    assets: null,
    settings: { observability: { enabled: true } },
    ...change,
  }
  const placement: Placement = {
    team: "alice",
    version: 12,
    digest: DIGEST,
    manifest,
    readRetained: async () => [],
    readBlob: async (sha256) => new TextEncoder().encode(files.get(sha256)).buffer as ArrayBuffer,
    openSecret: async ({ type, name }) => ({ type, name, text: "opened" }),
  }
  let now = 0
  const waits: number[] = []
  const deps = {
    fetch: cloudflare.fetch,
    clock: { now: () => now },
    wait: async (ms: number) => {
      waits.push(ms)
      now += ms
    },
    random: () => 0.5,
    log: () => {},
    store: { calls: UNCOUNTED },
    settings: { cloudflare: FIXTURE_SETTINGS },
  }
  const host = scriptHost(deps, callBudget(TIDYING, deps))
  return { cloudflare, placement, host, waits, keep }
}

async function codeOf(promise: Promise<unknown>): Promise<{ code: string; detail: string | undefined }> {
  const thrown = await promise.then(
    () => new Error("was not refused"),
    (failure: unknown) => failure,
  )
  if (!(thrown instanceof Refusal)) throw thrown
  return { code: thrown.code, detail: thrown.options.detail }
}

describe("scriptHost.place", () => {
  it("uploads modules by their names, with the platform binding and the tags", async () => {
    const { cloudflare, placement, host } = await setUp()
    expect(await host.place(placement)).toMatchObject({ startupTimeMs: 4 })
    const placed = cloudflare.scripts.get(NAME)
    expect(Object.keys(placed?.modules ?? {})).toEqual(["./ab-t.txt", "index.js"])
    expect(placed?.modules["index.js"]).toEqual({ type: "application/javascript+module", text: "export default {}" })
    expect(placed?.metadata).toMatchObject({
      main_module: "index.js",
      compatibility_date: "2026-10-01",
      keep_bindings: [],
      observability: { enabled: true },
      tags: ["team-alice", "script-files", "version-12", `digest-${DIGEST}`],
    })
    expect(placed?.metadata.bindings).toEqual([
      { type: "secret_text", name: "TOKEN", text: "opened" },
      {
        type: "service",
        name: "PLATFORM",
        service: "sallyport-dispatcher",
        entrypoint: "Platform",
        props: { script: "files", version: 12, team: "alice" },
      },
    ])
    await host.verify(placement)
  })

  it("leaves what is there already as it is", async () => {
    const { cloudflare, placement, host } = await setUp()
    await host.place(placement)
    expect(await host.place(placement)).toMatchObject({ startupTimeMs: null })
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("never overwrites a placed name of other content", async () => {
    const { cloudflare, placement, host } = await setUp()
    await host.place(placement)
    const other = { ...placement, digest: "e".repeat(64) }
    expect((await codeOf(host.place(other))).code).toBe("cloudflare.refused")
    expect((await codeOf(host.verify(other))).code).toBe("cloudflare.refused")
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("uploads assets under salted hashes, with their types, and only those that are missing", async () => {
    const { cloudflare, placement, host, keep } = await setUp()
    const page = {
      path: "/index.html",
      hash: "1".repeat(32),
      contentType: "text/html; charset=utf-8",
      ...(await keep("<p>ÿ")),
    }
    const bare = { path: "/LICENSE", hash: "2".repeat(32), contentType: null, ...(await keep("free")) }
    const assets = { files: [page, bare], config: { html_handling: "none" } }
    const withAssets = { ...placement, manifest: { ...placement.manifest, assets } }
    await host.place(withAssets)
    expect([...cloudflare.assets.values()].map(({ bytes, type }) => [new TextDecoder().decode(bytes), type])).toEqual([
      ["<p>ÿ", "text/html; charset=utf-8"],
      ["free", "application/null"],
    ])
    expect([...cloudflare.assets.keys()]).not.toContain(page.hash)
    expect(cloudflare.scripts.get(NAME)?.metadata.assets).toEqual({
      jwt: "completion-of-session-0",
      config: { html_handling: "none" },
    })
    await host.place({ ...withAssets, version: 13 })
    expect(cloudflare.calls.filter((call) => call.startsWith("POST /workers/assets"))).toHaveLength(1)
    await host.place({ ...withAssets, version: 14, team: "bob" })
    expect(cloudflare.assets.size).toBe(4)
  })

  it("places assets alone without modules and bindings", async () => {
    const { cloudflare, host, placement, keep } = await setUp()
    const page = { path: "/index.html", hash: "1".repeat(32), contentType: "text/html", ...(await keep("hi")) }
    const only = {
      ...placement.manifest,
      mainModule: null,
      modules: [],
      bindings: [],
      assets: { files: [page], config: {} },
    }
    await host.place({ ...placement, manifest: only })
    await host.verify({ ...placement, manifest: only })
    expect(cloudflare.scripts.get(NAME)?.metadata).not.toHaveProperty("bindings")
  })
})

describe("scriptHost, when Cloudflare fails", () => {
  const busy: Fault = { kind: "status", status: 500 }

  it("repeats what may pass, with jitter and for as long as Retry-After says", async () => {
    const { cloudflare, placement, host, waits } = await setUp()
    cloudflare.failNext("PUT", busy, { kind: "status", status: 429, headers: { "retry-after": "7" } })
    await host.place(placement)
    expect(waits).toEqual([250, 7000])
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("gives up after its attempts, or when Retry-After goes beyond the budget", async () => {
    const first = await setUp()
    first.cloudflare.failNext("PUT", busy, busy, busy, busy, busy)
    expect((await codeOf(first.host.place(first.placement))).code).toBe("cloudflare.unavailable")
    expect(first.cloudflare.calls.filter((call) => call.startsWith("PUT"))).toHaveLength(RETRY.attempts)

    const second = await setUp()
    second.cloudflare.failNext("PUT", { kind: "status", status: 429, headers: { "retry-after": "300" } })
    expect((await codeOf(second.host.place(second.placement))).code).toBe("cloudflare.unavailable")
    expect(second.waits).toEqual([])
  })

  it.each<Fault["kind"]>(["lost-answer", "garbled-answer"])(
    "reads back instead of writing twice after a %s",
    async (kind) => {
      const { cloudflare, placement, host } = await setUp()
      cloudflare.failNext("PUT", { kind } as Fault)
      expect((await host.place(placement)).etag).toBe(cloudflare.scripts.get(NAME)?.etag)
      expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
    },
  )

  it("writes again after a request that was lost", async () => {
    const { cloudflare, placement, host } = await setUp()
    cloudflare.failNext("PUT", { kind: "lost-request" }, { kind: "lost-request" })
    await host.place(placement)
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("passes on what Cloudflare says about the team's code, and does not repeat it", async () => {
    const { cloudflare, placement, host, keep } = await setUp()
    const broken = { name: "index.js", kind: "esm" as const, ...(await keep("SYNTAX ERROR")) }
    const manifest = { ...placement.manifest, modules: [broken] }
    expect(await codeOf(host.place({ ...placement, manifest }))).toEqual({
      code: "cloudflare.refused",
      detail: "Uncaught SyntaxError: Unexpected identifier\n  at index.js:1:8",
    })
    expect(cloudflare.calls.filter((call) => call.startsWith("PUT"))).toHaveLength(1)
  })

  it("keeps to itself what Cloudflare says about our own credential or namespace, and does not repeat it", async () => {
    for (const [status, code] of [
      [403, 10000],
      [404, 100119],
    ] as const) {
      const { cloudflare, placement, host, waits } = await setUp()
      cloudflare.failNext("GET", { kind: "status", status, error: { code, message: "about our account" } })
      expect(await codeOf(host.place(placement))).toEqual({ code: "cloudflare.unavailable", detail: undefined })
      expect(waits).toEqual([])
      expect(cloudflare.scripts.size).toBe(0)
    }
  })

  it("finds a script that lost its platform binding, or gained one, not whole", async () => {
    const { cloudflare, placement, host } = await setUp()
    await host.place(placement)
    const placed = cloudflare.scripts.get(NAME)
    const bindings = placed?.metadata.bindings as { name: string }[]
    for (const changed of [
      bindings.filter((each) => each.name !== "PLATFORM"),
      bindings.filter((each) => each.name !== "TOKEN"),
      bindings.map((each) => (each.name === "PLATFORM" ? { ...each, service: "spy" } : each)),
      [...bindings, { type: "plain_text", name: "X", text: "" }],
    ]) {
      if (placed) cloudflare.scripts.set(NAME, { ...placed, metadata: { ...placed.metadata, bindings: changed } })
      expect((await codeOf(host.verify(placement))).code).toBe("cloudflare.unavailable")
    }
    cloudflare.scripts.clear()
    expect((await codeOf(host.verify(placement))).code).toBe("cloudflare.unavailable")
  })

  it("removes a script, and one that is not there too", async () => {
    const { cloudflare, placement, host } = await setUp()
    await host.place(placement)
    expect(await host.remove("files", 12)).toBe(true)
    expect(await host.remove("files", 12)).toBe(true)
    expect(cloudflare.scripts.size).toBe(0)
  })

  it.each<Fault>([{ kind: "lost-answer" }, { kind: "lost-request" }, { kind: "garbled-answer" }, busy])(
    "is not sure of a removal whose first call was not answered: %j",
    async (fault) => {
      const { cloudflare, placement, host } = await setUp()
      await host.place(placement)
      cloudflare.failNext("DELETE", fault)
      expect(await host.remove("files", 12)).toBe(false)
      expect(cloudflare.scripts.size).toBe(0)
      expect(await host.remove("files", 12)).toBe(true)
    },
  )

  it("writes again what was taken out before, whatever Cloudflare still shows there", async () => {
    const { cloudflare, placement, host } = await setUp()
    const shown: Fault = { kind: "result", result: { script: { etag: "old", tags: [`digest-${DIGEST}`] } } }
    cloudflare.failNext("GET", shown)
    expect(await host.place({ ...placement, isBack: true })).toMatchObject({ wasThere: false })
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
    cloudflare.scripts.clear()
    cloudflare.failNext("GET", shown)
    expect(await host.place(placement)).toMatchObject({ wasThere: true })
    expect(cloudflare.scripts.size).toBe(0)
  })

  it("does not take for written again, after an answer that was lost, what it shows of before", async () => {
    const { cloudflare, placement, host } = await setUp()
    const shown: Fault = { kind: "result", result: { script: { etag: "old", tags: [`digest-${DIGEST}`] } } }
    cloudflare.failNext("GET", shown, shown)
    cloudflare.failNext("PUT", { kind: "lost-request" })
    await host.place({ ...placement, isBack: true })
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("leaves other content alone also where it was taken out before", async () => {
    const { cloudflare, placement, host } = await setUp()
    await host.place(placement)
    const other = { ...placement, digest: "e".repeat(64), isBack: true }
    expect((await codeOf(host.place(other))).code).toBe("cloudflare.refused")
    expect(cloudflare.scripts.get(NAME)?.puts).toBe(1)
  })

  it("looks whether Cloudflare answers, whatever it says", async () => {
    const { cloudflare, host } = await setUp()
    await host.look("files", 12)
    cloudflare.failNext("GET", busy, busy, busy, busy)
    expect((await codeOf(host.look("files", 12))).code).toBe("cloudflare.unavailable")
    cloudflare.failNext("GET", { kind: "status", status: 404, error: { code: 100119, message: "no namespace" } })
    expect((await codeOf(host.look("files", 12))).code).toBe("cloudflare.unavailable")
  })
})

describe("scriptHost, under failures at random", () => {
  const FAULTS: readonly Fault[] = [
    { kind: "status", status: 429, headers: { "retry-after": "1" } },
    { kind: "status", status: 500 },
    { kind: "status", status: 502, headers: { "retry-after": "Thu, 01 Jan 1970 00:00:09 GMT" } },
    { kind: "lost-request" },
    { kind: "lost-answer" },
    { kind: "garbled-answer" },
  ]

  it("writes a version once or not at all, and once in the end, in 1 000 runs", async () => {
    const random = randomFrom(20_261_121)
    const outcomes = new Set<string>()
    for (let run = 0; run < 1000; run++) {
      const { cloudflare, placement, host, waits } = await setUp()
      for (const method of ["GET", "PUT"])
        for (let each = 0; each < 8; each++)
          if (random() < 0.5)
            cloudflare.failNext(method, FAULTS[Math.floor(random() * FAULTS.length)] ?? { kind: "lost-request" })
      const outcome = await host.place(placement).then(
        () => "placed",
        (failure: unknown) => (failure instanceof Refusal ? failure.code : String(failure)),
      )
      outcomes.add(outcome)
      const puts = cloudflare.scripts.get(NAME)?.puts ?? 0
      expect(puts, `run ${run}: ${outcome}`).toBeLessThanOrEqual(1)
      if (outcome === "placed") expect(puts, `run ${run}`).toBe(1)
      expect(waits.reduce((sum, each) => sum + each, 0)).toBeLessThan(4 * RETRY.budgetMs)
      cloudflare.recover()
      await host.place(placement)
      await host.verify(placement)
      expect(cloudflare.scripts.get(NAME)?.puts, `run ${run}`).toBe(1)
    }
    expect([...outcomes].sort()).toEqual(["cloudflare.unavailable", "placed"])
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
