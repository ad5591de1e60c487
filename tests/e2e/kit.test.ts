/**
 * The kit where it is used: in a Worker that real wrangler uploaded, on the bindings that the platform gives it. What needs no platform is tested beside each helper;
 * here is what only the runtime can show: requests that are cancelled, stores behind doors, flags switched while the Worker runs.
 */
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import http from "node:http"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { loadSecrets } from "../../emulator/secrets.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { ROOT } from "../harness.ts"

const HOSTNAME = "kit.example.com"
const alice = { subject: "alice", company: "100" }
let platform: TestPlatform
let folder: string
let originServer: RunningServer

/** The origin's requests, held until a test answers them. */
const origin = {
  held: new Map<string, http.ServerResponse[]>(),
  arrived: new EventTarget(),
  /** The nth request for `key`, counted from 1, as soon as it is there. */
  async request(key: string, nth = 1): Promise<http.ServerResponse> {
    for (;;) {
      const response = this.held.get(key)?.[nth - 1]
      if (response !== undefined) return response
      await once(this.arrived, "request")
    }
  },
  count: (key: string) => origin.held.get(key)?.length ?? 0,
}

beforeAll(async () => {
  const server = http.createServer((request, response) => {
    const key = (request.url ?? "").slice(1)
    origin.held.set(key, [...(origin.held.get(key) ?? []), response])
    origin.arrived.dispatchEvent(new Event("request"))
  })
  originServer = await listen(server, 0)
  const ORIGIN = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  platform = await startTestPlatform()
  const [flagsKv, answersKv] = [await makeKv("flags"), await makeKv("answers")]
  const grants = ["flags:read", `resource:kv_namespace:${flagsKv}`, `resource:kv_namespace:${answersKv}`]
  await platform.putTeam("kit", { grants, egress: [ORIGIN] })

  mkdirSync(path.join(ROOT, ".sallyport"), { recursive: true })
  folder = mkdtempSync(path.join(ROOT, ".sallyport", "kit-"))
  const toml = `name = "kit-probe"
main = ${JSON.stringify(path.relative(folder, path.join(ROOT, "kit/testing/index.ts")))}
compatibility_date = "2026-10-01"
compatibility_flags = ["nodejs_compat", "enable_request_signal"]
vars = { ORIGIN = ${JSON.stringify(ORIGIN)} }
kv_namespaces = [{ binding = "LAUNCHDARKLY", id = "${flagsKv}" }, { binding = "ANSWERS", id = "${answersKv}" }]
`
  writeFileSync(path.join(folder, "wrangler.toml"), toml)
  const route = { hostname: HOSTNAME, path: "/*", auth: "optional" } as const
  await platform.uploadWorker({ directory: folder, team: "kit", route })
})
afterAll(async () => {
  await platform?.dispose()
  await originServer?.stop()
  if (folder !== undefined) rmSync(folder, { recursive: true })
})

async function makeKv(title: string): Promise<string> {
  const { cloudflareApiToken } = await loadSecrets(platform.stateDir)
  const url = `${platform.cloudflareApiUrl}/client/v4/accounts/${platform.accountId}/storage/kv/namespaces`
  const headers = { authorization: `Bearer ${cloudflareApiToken}`, "content-type": "application/json" }
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ title }) })
  return ((await response.json()) as { result: { id: string } }).result.id
}

const ask = (at: string, caller: { subject?: string; company?: string } = alice) =>
  platform.fetch(`https://${HOSTNAME}${at}`, {}, caller)
const textOf = async (at: string) => (await ask(at)).text()

/** Looks until it holds; the platform has no event for what happens inside a Worker. */
async function until<T>(look: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const found = await look()
    if (holds(found)) return found
    if (performance.now() > deadline) throw new Error(`it never came to that: ${JSON.stringify(found)}`)
  }
}

/** A request of its own connection, which `cancel` resets: that is how the runtime notices that a client has gone. */
function cancellable(at: string): { cancel(): Promise<void> } {
  const { hostname, port } = new URL(platform.edgeUrl)
  const headers = { host: HOSTNAME, authorization: `Bearer ${platform.issueToken(alice)}` }
  const sent = http.get({ hostname, port, path: at, headers, agent: false })
  const ended = new Promise<void>((resolve) => sent.once("close", resolve))
  // That it ends so is what is wanted.
  sent.on("error", () => {})
  return {
    async cancel() {
      sent.socket?.resetAndDestroy()
      await ended
    },
  }
}

interface Stats {
  readonly joined: number
  readonly loads: number
  readonly givenUp: number
  readonly hits: number
}
const statsOf = async () => (await (await ask("/cache-stats")).json()) as Stats

describe("a promise of another request", () => {
  it("settles for those who wait for it while its own request lives", async () => {
    const making = textOf("/promise/make/alive")
    const held = await origin.request("alive")
    const joining = textOf("/promise/join")
    held.end("value")
    expect(await making).toBe("value")
    expect(await joining).toBe("value")
  })

  it("never settles once its own request is cancelled", async () => {
    const making = cancellable("/promise/make/cancelled")
    const held = await origin.request("cancelled")
    const closed = once(held, "close")
    await making.cancel()
    await closed
    expect(await textOf("/promise/join")).toBe("never settled")
  })

  it("never settles once its own request has answered", async () => {
    expect(await textOf("/promise/leave/left")).toBe("left")
    expect(await textOf("/promise/join")).toBe("never settled")
  })
})

describe("VolatileCache in a user Worker", () => {
  it("loads once for requests that come at the same time", async () => {
    const before = await statsOf()
    const asked = [textOf("/cache/one"), textOf("/cache/one"), textOf("/cache/one")]
    const held = await origin.request("one")
    await until(statsOf, ({ joined }) => joined === before.joined + 2)
    held.end("value")
    expect(await Promise.all(asked)).toEqual(["value", "value", "value"])
    expect(await textOf("/cache/one")).toBe("value")
    expect(origin.count("one")).toBe(1)
  })

  it("goes on with a load whose request is cancelled", async () => {
    const before = await statsOf()
    const first = cancellable("/cache/cancelled-load")
    const held = await origin.request("cancelled-load")
    const joined = textOf("/cache/cancelled-load")
    await until(statsOf, (stats) => stats.joined === before.joined + 1)
    await first.cancel()
    held.end("value")
    expect(await joined).toBe("value")
    expect(origin.count("cancelled-load")).toBe(1)
  })

  it("takes over from a load that never ends, and tells the request that began it", async () => {
    const before = await statsOf()
    const first = ask("/cache/lost")
    await origin.request("lost")
    const joined = [textOf("/cache/lost"), textOf("/cache/lost")]
    await until(statsOf, (stats) => stats.joined === before.joined + 2)
    const second = await origin.request("lost", 2)
    second.end("value")
    expect(await Promise.all(joined)).toEqual(["value", "value"])
    expect(await (await first).text()).toMatch(/^value$|dependency\.timeout/)
    expect(origin.count("lost")).toBe(2)
    expect((await statsOf()).givenUp).toBe(before.givenUp + 1)
  })

  it("takes over when the request that loaded was cancelled and its load never ends", async () => {
    const before = await statsOf()
    const first = cancellable("/cache/gone")
    await origin.request("gone")
    const joined = textOf("/cache/gone")
    await until(statsOf, (stats) => stats.joined === before.joined + 1)
    await first.cancel()
    ;(await origin.request("gone", 2)).end("value")
    expect(await joined).toBe("value")
    expect(origin.count("gone")).toBe(2)
  })
})

describe("staleWhileRevalidate in a user Worker", () => {
  for (const store of ["cache", "kv"])
    it(`keeps, gives out stale and renews behind the request, in ${store}`, async () => {
      const at = `/answers/${store}/report-${store}`
      const answered = async (nth: number, text: string) => {
        const held = await origin.request(`report-${store}`, nth)
        held.setHeader("cache-control", "public")
        held.setHeader("x-origin", text)
        held.end(text)
      }
      const first = ask(at)
      await answered(1, "one")
      expect(await (await first).text()).toBe("one")
      const look = async () => {
        const response = await ask(at)
        return { text: await response.text(), status: response.headers.get("cache-status") ?? "", response }
      }
      const stale = await until(look, ({ status }) => status.startsWith("kit; hit; ttl=-"))
      expect(stale.text).toBe("one")
      expect(Number(stale.response.headers.get("age"))).toBeGreaterThanOrEqual(1)
      await answered(2, "two")
      const fresh = await until(look, ({ text }) => text === "two")
      expect(fresh.response.headers.get("x-origin")).toBe("two")
    })
})

describe("cors in a user Worker", () => {
  const origin = "https://app.example.com"
  const from = (origin: string, method: string, headers: Record<string, string> = {}) =>
    platform.fetch(`https://${HOSTNAME}/cache-stats`, { method, headers: { origin, ...headers } })

  it("answers a preflight without a credential, and names the origin in answers and in problems", async () => {
    const preflight = await from(origin, "OPTIONS", { "access-control-request-method": "GET" })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin)
    const answer = await from(origin, "GET")
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, origin])
    expect(answer.headers.get("vary")).toMatch(/\bOrigin\b/)
    const problem = await from(origin, "POST")
    expect([problem.status, problem.headers.get("access-control-allow-origin")]).toEqual([404, origin])
  })

  it("names no other origin", async () => {
    for (const other of ["https://app.example.com.evil", "null"]) {
      const answer = await from(other, "GET")
      expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, null])
    }
  })
})

describe("flags in a user Worker", () => {
  const flag = (changes: object) => ({
    ...{ key: "header", version: 1, on: true, salt: "s", variations: [true, false], fallthrough: { variation: 1 } },
    ...{ offVariation: 1, prerequisites: [], targets: [], rules: [], trackEvents: false, deleted: false },
    ...changes,
  })
  const write = (changes: object) => {
    const body = JSON.stringify({ flags: { header: flag(changes) }, segments: {} })
    return platform.fetch(`https://${HOSTNAME}/launchdarkly`, { method: "PUT", body }, alice)
  }
  const detailsOf = async (provider: string, caller = alice) =>
    (await (await ask(`/${provider}/header`, caller)).json()) as { value: boolean; errorCode?: string }
  const forCompany100 = {
    rules: [
      { id: "r", variation: 0, clauses: [{ contextKind: "company", attribute: "key", op: "in", values: ["100"] }] },
    ],
  }

  it("are LaunchDarkly's from KV, by company, switched without a deploy and without a call outside", async () => {
    expect(await detailsOf("launchdarkly")).toMatchObject({ value: false, errorCode: "PROVIDER_NOT_READY" })
    await write({})
    const found = await until(
      () => detailsOf("launchdarkly"),
      ({ errorCode }) => errorCode === undefined,
    )
    expect(found).toMatchObject({ value: false, reason: "DEFAULT" })
    await write(forCompany100)
    await until(
      () => detailsOf("launchdarkly"),
      ({ value }) => value,
    )
    expect(await detailsOf("launchdarkly", { subject: "bob", company: "1000" })).toMatchObject({ value: false })
    await write({ ...forCompany100, on: false })
    await until(
      () => detailsOf("launchdarkly"),
      ({ value }) => !value,
    )
    const calls = await platform.egress()
    expect(new Set(calls.map((each) => each.origin))).toEqual(new Set([originServer.url]))
  })

  it("are the platform's own, switched by ops", async () => {
    expect(await detailsOf("platform")).toMatchObject({ value: false, errorCode: "FLAG_NOT_FOUND" })
    await platform.api.put("/v1/policy/flags", { header: true })
    await platform.waitForConfig()
    await until(
      () => detailsOf("platform"),
      ({ value }) => value,
    )
    await platform.api.put("/v1/policy/flags", { header: false })
    await platform.waitForConfig()
    await until(
      () => detailsOf("platform"),
      ({ value }) => !value,
    )
  })

  it("are their defaults where the grant is taken away, and the request goes on", async () => {
    const { grants, egress } = await platform.api.get<{ grants: string[]; egress: string[] }>("/v1/teams/kit")
    await platform.putTeam("kit", { grants: grants.filter((each) => each !== "flags:read"), egress })
    await platform.waitForConfig()
    const refused = await until(
      async () => (await ask("/platform/header")).json() as Promise<{ reason: string }>,
      ({ reason }) => reason === "STALE",
    )
    expect(refused).toMatchObject({ value: false })
  })
})
