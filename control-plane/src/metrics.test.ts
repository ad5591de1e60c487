import { beforeEach, describe, it } from "vitest"
import { sha256Hex } from "../../kit/sha256.ts"
import { startControlPlane, type TestControlPlane } from "../test/harness.ts"
import { makeDependencies } from "./dependencies.ts"
import { LAG_BUCKETS_S } from "./store/probes.ts"

const SCRAPE_TOKEN = `spm_${"m".repeat(43)}`

let platform: TestControlPlane
let feedFails: boolean
beforeEach(async () => {
  feedFails = false
  const metricsTokenHash = await sha256Hex(SCRAPE_TOKEN)
  platform = await startControlPlane((bindings) => ({
    settings: { ...makeDependencies(bindings).settings, metricsTokenHash, sessionKeys: "A".repeat(43) },
    revocations: {
      append: async () => ({ seq: 0, atMs: 0 }),
      list: async () => [],
      status: async () => {
        if (feedFails) throw new Error("gone")
        return { head: 12, live: 7, relays: 2, bytes: 140 }
      },
    },
  }))
})

const scrape = (token: string | null = SCRAPE_TOKEN) => platform.send("GET /metrics", { token })
const probed = (lagMs: number | null) => {
  platform.pass(60_000)
  const fault = lagMs === null ? "not-accepted" : null
  return platform.deps.store.probes.record({ atMs: platform.deps.clock.now(), lagMs, fault })
}
const looked = (fault: string | null) =>
  platform.deps.store.issuerKeys.note([{ issuer: "corp", lookedAtMs: platform.deps.clock.now(), fault }], ["corp"])

describe("metrics: what they say", () => {
  it("are in Prometheus' text format, every family told once with its type", async ({ expect }) => {
    await platform.team("web")
    await probed(900)
    await looked(null)
    const { headers, body } = await scrape()
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
    const text: string = body
    expect(text.endsWith("\n")).toBe(true)
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z_]+ \S.*|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?\d[\d.e+-]*)$/,
      )
    const types = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name)
    expect(new Set(types).size).toBe(types.length)
    expect(text).toContain("sallyport_config_revision 1\n")
    expect(text).toContain("sallyport_revocation_feed_entries 7\n")
    expect(text).toContain("sallyport_revocation_feed_head 12\n")
  })

  it("count each probe in every bucket that it did not exceed, and a failed one in none", async ({ expect }) => {
    for (const lagMs of [250, 251, 4_999, null]) await probed(lagMs)
    const { body } = await scrape()
    const bucket = (le: string) =>
      Number(new RegExp(`_bucket\\{le="${le.replace("+", "\\+")}"\\} (\\d+)`).exec(body)?.[1])
    expect([bucket("0.25"), bucket("0.5"), bucket("4"), bucket("5"), bucket("60"), bucket("+Inf")]).toEqual([
      1, 2, 2, 3, 3, 4,
    ])
    expect(body).toContain("sallyport_revocation_lag_seconds_count 4\n")
    expect(body).toContain("sallyport_revocation_lag_seconds_sum 65.5\n")
    expect(body).toContain("sallyport_revocation_probe_failures_total 1\n")
    expect(Math.max(...LAG_BUCKETS_S)).toBe(60)
  })

  it("tell how old an issuer's keys are, by the last good look, and whether the last look was one", async ({
    expect,
  }) => {
    await looked(null)
    platform.pass(90_000)
    await looked("is not JSON")
    const { body } = await scrape()
    expect(body).toContain('sallyport_jwks_age_seconds{issuer="corp"} 90\n')
    expect(body).toContain('sallyport_jwks_last_look_success{issuer="corp"} 0\n')
  })

  it("tell who spends the calls to Cloudflare, of how many, and whether it takes any", async ({ expect }) => {
    const limit = "sallyport_cloudflare_calls_limit 1200\n"
    const before = (await scrape()).body
    for (const line of ["sallyport_cloudflare_calls 0\n", limit, "sallyport_cloudflare_refused 0\n"])
      expect(before).toContain(line)
    const { calls } = platform.deps.store
    const share = { mostOfAll: 1200, mostOfTeam: null, despiteRefusal: true }
    const nowMs = platform.deps.clock.now()
    for (const [team, count] of [
      ["web", 3],
      ["web", 4],
      [null, 5],
    ] as const)
      await calls.reserve(nowMs, { ...share, team, calls: count })
    await calls.noteRefusal(nowMs, nowMs + 60_000)
    const { body } = await scrape()
    for (const line of [
      'sallyport_cloudflare_calls{team="web"} 7\n',
      "sallyport_cloudflare_calls 5\n",
      ...[limit, "sallyport_cloudflare_refused 1\n"],
    ])
      expect(body).toContain(line)
  })

  it("leave out what is not known instead of saying zero", async ({ expect }) => {
    feedFails = true
    const { status, body } = await scrape()
    expect(status).toBe(200)
    expect(body).toContain("sallyport_revocation_feed_up 0\n")
    expect(body).not.toContain("sallyport_revocation_feed_entries")
    expect(body).not.toContain("sallyport_config_revision")
    await looked("cannot be reached")
    expect((await scrape()).body).not.toContain("sallyport_jwks_age_seconds")
  })
})

describe("metrics: who may read them", () => {
  it("are for the scraper's token and for ops", async ({ expect }) => {
    expect((await scrape()).status).toBe(200)
    expect((await platform.send("GET /metrics")).status).toBe(200)
  })

  it("are for nobody else", async ({ expect }) => {
    const team = await platform.team("web")
    expect((await scrape(team)).status).toBe(403)
    for (const token of [null, "", "spm_", `spm_${"n".repeat(43)}`, `${SCRAPE_TOKEN}x`, `spt_${"m".repeat(43)}`])
      expect((await scrape(token)).status).toBe(401)
  })

  it("are all that the scraper's token opens", async ({ expect }) => {
    for (const path of ["/v1/whoami", "/v1/status", "/v1/audit", "/client/v4/accounts"])
      expect([401, 403]).toContain((await platform.send(`GET ${path}`, { token: SCRAPE_TOKEN })).status)
  })

  it("are for ops alone where no scraper's token is set", async ({ expect }) => {
    platform = await startControlPlane()
    expect((await scrape()).status).toBe(401)
    expect((await platform.send("GET /metrics")).status).toBe(200)
  })
})

describe("status", () => {
  it("shows the lag of the last day with its failures, the feed, the config and the keys' age", async ({ expect }) => {
    await platform.team("web")
    for (const lagMs of [800, 1_200, 900]) await probed(lagMs)
    await looked(null)
    platform.pass(30_000)
    const { body } = await platform.send("GET /v1/status")
    expect(body).toMatchObject({
      config: { revision: 1, live: true, ageS: 210 },
      revocations: { head: 12, live: 7, relays: 2, bytes: 140 },
      probe: {
        configured: true,
        runs: 3,
        failed: 0,
        p50Ms: 900,
        p99Ms: 1_200,
        maxMs: 1_200,
        lastLagMs: 900,
        lastFault: null,
      },
      passportKeys: { keys: [] },
      issuers: [{ id: "corp", ageS: 30, fault: null, everyS: 20 }],
    })
  })

  it("shows what was changed at Cloudflare, and no age of looks before the first", async ({ expect }) => {
    const { drift } = platform.deps.store
    const none = { looked: 0, waiting: 0, oldestAgeS: null, found: [] }
    expect((await platform.send("GET /v1/status")).body.drift).toEqual(none)
    expect((await scrape()).body).not.toContain("drift")
    const sinceMs = platform.deps.clock.now()
    const look = async (about: string, fault: string | null | undefined) => {
      const atMs = platform.deps.clock.now()
      await drift.begin(about, atMs)
      if (fault !== undefined) await drift.note(about, atMs, fault)
    }
    await look("namespace", null)
    await look("dispatcher", "it leads elsewhere")
    await look("scripts/web/versions/1", undefined)
    platform.pass(900_000)
    await look("namespace", null)
    await look("dispatcher", "it leads elsewhere")
    await look("scripts/web/versions/1", undefined)
    const since = new Date(sinceMs).toISOString()
    const found = [{ about: "dispatcher", fault: "it leads elsewhere", since }]
    expect((await platform.send("GET /v1/status")).body.drift).toEqual({
      looked: 2,
      waiting: 1,
      oldestAgeS: 900,
      found,
    })
    const { body } = await scrape()
    for (const line of ["_found 1", '{about="dispatcher"} 1', "_look_age_seconds 900"])
      expect(body).toContain(`sallyport_drift${line}\n`)
  })

  it("knows no p99 while a probe in a hundred fails, and says why the last one did", async ({ expect }) => {
    await probed(800)
    await probed(null)
    const { probe } = (await platform.send("GET /v1/status")).body
    expect(probe).toMatchObject({
      runs: 2,
      failed: 1,
      p50Ms: 800,
      p99Ms: null,
      lastLagMs: null,
      lastFault: "not-accepted",
    })
  })

  it("is shown while the revocation log does not answer, and before anything was published", async ({ expect }) => {
    feedFails = true
    expect((await platform.send("GET /v1/status")).body).toMatchObject({ config: null, revocations: null, issuers: [] })
  })
})
