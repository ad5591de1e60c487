/**
 * ecrion between an old and a new document service on the running platform: what differs is found by name and nothing else is, nothing unsafe is ever sent twice,
 * and whoever has been moved to the new service is not moved back by moving more.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import http from "node:http"
import { tmpdir } from "node:os"
import path from "node:path"
import { gunzipSync } from "node:zlib"
import { afterAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { policyFor } from "../../emulator/example-layout.ts"
import { type LegacyService, startLegacyService } from "../../emulator/origins/legacy-service.ts"
import { type NewService, type NewServiceFault, startNewService } from "../../emulator/origins/new-service.ts"
import { loadSecrets } from "../../emulator/secrets.ts"
import type { Caller, TestPlatform } from "../../emulator/testing.ts"
import { counted, eventually, expectProblem, load, ROOT, usePlatform } from "../harness.ts"

/** Shadowed requests in which only noise differs; `npm run bench -- full-size` has 10 000. */
const REQUESTS = Number(process.env.SALLYPORT_SHADOW_REQUESTS ?? 1_000)
const LANES = 8
/** Milliseconds that ecrion waits for the new service, long enough for a busy machine, and for which it leaves it alone when that does not answer: short, so that no test hears of another's. */
const [WAIT_MS, OPEN_MS] = [1_000, 500]
const ISSUER = "https://passports.strangler.example"
const HOST = "https://documents.procore.com"
const UNSAFE = ["POST", "PUT", "PATCH", "DELETE"] as const
const alice = { subject: "alice", company: "100" }
const operator = { subject: "olga", company: "100", scope: "ecrion:read ecrion:write" }

/** What the scoreboard says, as far as it is looked at here. */
interface FieldScore {
  readonly field: string
  readonly kind: string
  readonly verdict: string
  readonly examples: readonly object[]
}
interface RuleScore {
  readonly path: string
  readonly round: number
  readonly compared: number
  readonly skipped: number
  readonly comparedWithoutBody: number
  readonly matchPercent: number | null
  readonly noiseAdjustedMatchPercent: number | null
  readonly fields: readonly FieldScore[]
}

let legacy: LegacyService
let fresh: NewService
let database = ""
const folders: string[] = []
const platform = usePlatform({ vars: { controlPlane: { PASSPORT_ISSUER: ISSUER } } }, prepare)
afterAll(async () => {
  await Promise.all([legacy?.close(), fresh?.close()])
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
})

async function prepare(started: TestPlatform): Promise<void> {
  const origin = { issuer: ISSUER, edgeUrl: started.edgeUrl, hostname: "documents.procore.com", port: 0 }
  legacy = await startLegacyService(origin)
  fresh = await startNewService(origin)
  const { audiences } = policyFor(started) as { audiences: Record<string, { origins: string[] }> }
  const ours = { "ecrion:legacy": { origins: [legacy.url] }, "ecrion:new": { origins: [fresh.url] } }
  await started.api.put("/v1/policy/audiences", { ...audiences, ...ours })
  database = String((await cloudflare(started, "/d1/database", { name: "ecrion" })).uuid)
  const grants = ["audience:ecrion:legacy", "audience:ecrion:new", `resource:d1:${database}`]
  await started.putTeam("documents", { grants })
  await started.uploadWorker({ directory: await folderFor(database), team: "documents", route: `${HOST}/*` })
}

/** What its team does in Cloudflare's own API, past the control plane. */
async function cloudflare(started: TestPlatform, at: string, body: object): Promise<Record<string, unknown>> {
  const { cloudflareApiToken } = await loadSecrets(started.stateDir)
  const response = await fetch(`${started.cloudflareApiUrl}/client/v4/accounts/${started.accountId}${at}`, {
    method: "POST",
    headers: { authorization: `Bearer ${cloudflareApiToken}` },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(await response.text())
  return ((await response.json()) as { result: Record<string, unknown> }).result
}

/** ecrion's own configuration, with this platform's database and less patience. */
async function folderFor(databaseId: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "sallyport-ecrion-"))
  folders.push(folder)
  const source = path.join(ROOT, "user-workers", "ecrion")
  const replaced: [string, string][] = [
    ['main = "index.ts"', `main = ${JSON.stringify(path.join(source, "index.ts"))}`],
    ['database_id = "ecrion"', `database_id = "${databaseId}"`],
    ['NEW_TIMEOUT_MS = "5000"', `NEW_TIMEOUT_MS = "${WAIT_MS}"`],
    ['NEW_OPEN_MS = "5000"', `NEW_OPEN_MS = "${OPEN_MS}"`],
    ['RULES_REFRESH_MS = "2000"', 'RULES_REFRESH_MS = "20"'],
  ]
  let config = await readFile(path.join(source, "wrangler.toml"), "utf8")
  for (const [from, to] of replaced) {
    if (!config.includes(from)) throw new Error(`The configuration has no ${from}`)
    config = config.replace(from, to)
  }
  await writeFile(path.join(folder, "wrangler.toml"), config)
  return folder
}

/** Each call begins new rounds, so that every test counts from zero. */
let round = 0
async function setRules(...rules: object[]): Promise<number> {
  round++
  const current = await platform().fetch(`${HOST}/.strangler/rules`, {}, operator)
  const response = await platform().fetch(
    `${HOST}/.strangler/rules`,
    {
      method: "PUT",
      headers: { "content-type": "application/json", "if-match": current.headers.get("etag") ?? "" },
      body: JSON.stringify({ rules: rules.map((each) => ({ round, ...each })) }),
    },
    operator,
  )
  expect(response.status).toBe(204)
  return round
}

const get = (target: string, caller: Caller = alice, headers: Record<string, string> = {}) =>
  platform().fetch(HOST + target, { headers }, caller)
const answeredBy = (response: Response) => response.headers.get("x-strangler")

async function scores(): Promise<RuleScore[]> {
  const response = await platform().fetch(`${HOST}/.strangler/scoreboard`, {}, operator)
  expect(response.status).toBe(200)
  return ((await response.json()) as { rules: RuleScore[] }).rules
}
/** Of the current round, once `count` requests were compared or skipped. */
async function scoreAfter(count: number, at = "/*"): Promise<RuleScore> {
  return eventually(30_000, async () => {
    const score = (await scores()).find((each) => each.path === at && each.round === round)
    return score !== undefined && score.compared + score.skipped >= count ? score : null
  })
}
const different = ({ fields }: RuleScore) => fields.filter(({ verdict }) => verdict === "different")
const namesOf = (fields: readonly FieldScore[]) => fields.map(({ kind, field }) => `${kind} ${field}`).sort()

describe("shadow", () => {
  it(`lets legacy answer ${REQUESTS} requests and finds no difference in what only noise changes`, {
    timeout: 600_000 + 100 * REQUESTS,
  }, async ({ task }) => {
    await setRules({ path: "/*", mode: "shadow" })
    const before = [legacy.received.length, fresh.received.length]
    const answers = await load(REQUESTS, LANES, (index) =>
      get(index % 10 === 0 ? "/documents" : `/documents/${index % 97}`),
    )
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    const score = await scoreAfter(REQUESTS)
    counted(task, "shadow", { requests: REQUESTS, compared: score.compared, different: different(score).length })
    expect(namesOf(different(score))).toEqual([])
    expect(score).toMatchObject({ noiseAdjustedMatchPercent: 100, comparedWithoutBody: 0, fallbacks: 0 })
    // It is not that nothing was looked at: without the second legacy answer hardly any request would match.
    expect(score.matchPercent).toBeLessThan(10)
    expect(namesOf(score.fields)).toEqual(
      expect.arrayContaining([
        "value /meta/servedAt",
        "value /meta/traceId",
        "order /tags",
        "order /reviewers",
        "order /items/*/tags",
      ]),
    )
    expect(score.skipped).toBe(0)
    expect(score.compared).toBe(REQUESTS)
    expect(fresh.received.length - (before[1] ?? 0)).toBe(REQUESTS)
    expect(legacy.received.length - (before[0] ?? 0)).toBe(2 * REQUESTS)
    expect(fresh.received.every(({ isCopy }) => isCopy)).toBe(true)
  })

  for (const [fault, one, many] of [
    ["changed-value", ["value /name"], ["value /items/*/name"]],
    ["missing-field", ["missing /owner/displayName"], ["missing /items/*/owner/displayName"]],
    ["type-change", ["type /sizeBytes"], ["type /items/*/sizeBytes"]],
    ["reordered-array", ["order /sections"], ["order /items/*/sections"]],
    ["changed-status", ["value status"], []],
    ["changed-header", ["value header:cache-control"], ["value header:cache-control"]],
    ["rounded-id", ["value /globalId"], ["value /items/*/globalId"]],
    ["failing", ["value status"], ["value status"]],
  ] as [NewServiceFault, string[], string[]][])
    it(`finds ${fault} by name, among the noise, and nothing else`, async () => {
      await setRules({ path: "/documents/*", mode: "shadow" }, { path: "/documents", mode: "shadow" })
      fresh.setFault(fault)
      const answers = await load(40, LANES, (index) => get(index < 20 ? "/documents" : `/documents/${index}`))
      const [list, single] = [await scoreAfter(20, "/documents"), await scoreAfter(20, "/documents/*")]
      fresh.setFault(null)
      expect(answers.filter(({ status }) => status !== 200)).toEqual([])
      expect(namesOf(different(single))).toEqual(one)
      expect(namesOf(different(list))).toEqual(many)
      expect(single.noiseAdjustedMatchPercent).toBe(0)
      expect(list.noiseAdjustedMatchPercent).toBe(many.length === 0 ? 100 : 0)
    })

  it("tells names, types and lengths of what differs, never a value", async () => {
    await setRules({ path: "/*", mode: "shadow" })
    fresh.setFault("changed-value")
    const requestId = (await get("/documents/7")).headers.get("x-request-id")
    const score = await scoreAfter(1)
    fresh.setFault(null)
    const name = score.fields.find(({ field }) => field === "/name")
    expect(name?.examples).toEqual([{ legacy: "string(10)", new: "string(10)", requestId }])
    const page = await platform().fetch(`${HOST}/.strangler/scoreboard`, { headers: { accept: "text/html" } }, operator)
    for (const text of [JSON.stringify(await scores()), await page.text()])
      expect(text).not.toMatch(/Dokument|Document \d|Person/)
  })

  it("sends no unsafe request to the new service, nor twice to legacy", async () => {
    await setRules({ path: "/*", mode: "shadow" })
    const before = [legacy.received.length, fresh.received.length] as const
    const answers = await load(200, LANES, (index) => {
      const body = index % 3 === 0 ? {} : { body: "x".repeat(index) }
      return platform().fetch(`${HOST}/documents/${index}`, { method: UNSAFE[index % 4] ?? "POST", ...body }, alice)
    })
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    // Comparisons of the safe ones that follow are in only when those before are.
    await get("/documents/1")
    await scoreAfter(1)
    const received = legacy.received.slice(before[0])
    expect(received.filter(({ method }) => method !== "GET")).toHaveLength(200)
    expect(new Set(received.filter(({ method }) => method !== "GET").map(({ target }) => target)).size).toBe(200)
    expect(fresh.received.slice(before[1])).toEqual([{ method: "GET", target: "/documents/1", isCopy: true }])
  })

  it("gives the client large, zipped and endless bodies as they are", async () => {
    await setRules({ path: "/*", mode: "shadow" })
    const large = await get("/large")
    expect(large.headers.get("content-length")).toBe(String(3 * 1024 * 1024))
    expect((await large.arrayBuffer()).byteLength).toBe(3 * 1024 * 1024)
    const zipped = await get("/reports/7", alice, { "accept-encoding": "gzip" })
    expect(zipped.headers.get("content-encoding")).toBe("gzip")
    expect(gunzipSync(Buffer.from(await zipped.arrayBuffer())).toString()).toBe("Report 7\n".repeat(100))
    const events = await get("/events")
    const reader = events.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("data: legacy\n\n")
    await reader?.cancel()
    await eventually(5_000, async () => (legacy.aborted.includes("/events") ? true : null))
    const score = await scoreAfter(2)
    expect(score.comparedWithoutBody).toBeGreaterThanOrEqual(1)
    expect(namesOf(different(score))).toEqual(expect.not.arrayContaining(["value body"]))
  })
})

describe("split", () => {
  const callers = Array.from({ length: 60 }, (_, index) => ({
    subject: `user-${index}`,
    company: String(1_000 + index),
  }))
  const moved = async () => {
    const found = new Set<string>()
    for (const caller of callers) if (answeredBy(await get("/documents/1", caller)) === "new") found.add(caller.company)
    return found
  }

  it("moves nobody back as it advances, brings back the last first as it retreats, and takes all at the end", {
    timeout: 60_000,
  }, async () => {
    const seen = new Map<number, ReadonlySet<string>>()
    for (const newBps of [0, 1_000, 3_000, 6_000, 10_000, 6_000, 1_000, 0]) {
      await setRules({ path: "/documents/*", mode: "split", newBps })
      const now = await moved()
      for (const [share, then] of seen) {
        const [fewer, more] = share <= newBps ? [then, now] : [now, then]
        expect([...fewer].filter((company) => !more.has(company))).toEqual([])
      }
      seen.set(newBps, now)
    }
    expect(seen.get(0)?.size).toBe(0)
    expect(seen.get(3_000)?.size).toBeGreaterThan(5)
    expect(seen.get(6_000)?.size).toBeLessThan(55)
    expect(seen.get(10_000)?.size).toBe(60)
  })

  it("always gives cohort companies the new service, and takes it from all by one word", async () => {
    const rule = { path: "/documents/*", mode: "split", newBps: 0, cohorts: { companies: ["1007", "1008"] } }
    await setRules(rule)
    expect([...(await moved())]).toEqual(["1007", "1008"])
    await setRules({ ...rule, mode: "legacy" })
    expect((await moved()).size).toBe(0)
  })

  it("carries a body to the new service, and dates the answers of the old one", async () => {
    const dates = { deprecation: "2026-07-01T00:00:00Z", sunset: "2027-01-01T00:00:00Z" }
    await setRules({ path: "/documents/*", mode: "new", ...dates }, { path: "/reports/*", mode: "legacy", ...dates })
    const sent = await platform().fetch(`${HOST}/documents/1`, { method: "PUT", body: "x".repeat(100_000) }, alice)
    expect(await sent.json()).toEqual({ service: "new", bodyBytes: 100_000 })
    expect(sent.headers.has("deprecation")).toBe(false)
    const old = await get("/reports/1")
    expect([old.headers.get("deprecation"), old.headers.get("sunset")]).toEqual([
      "@1782864000",
      "Fri, 01 Jan 2027 00:00:00 GMT",
    ])
    const redirect = await get("/moved")
    expect([redirect.status, redirect.headers.get("location"), answeredBy(redirect)]).toEqual([
      302,
      "/documents/1",
      "legacy",
    ])
  })

  it("takes a WebSocket to the chosen side", async () => {
    await setRules({ path: "/documents/*", mode: "new" }, { path: "/reports/*", mode: "shadow" })
    expect(await firstMessage("/documents/live")).toBe("new")
    expect(await firstMessage("/reports/live")).toBe("legacy")
  })
})

describe("fallback", () => {
  for (const fault of ["failing", "silent"] as const)
    it(`lets legacy answer what is safe while the new service is ${fault}, and sends nothing unsafe twice`, async () => {
      await setRules({ path: "/documents/*", mode: "new" })
      fresh.setFault(fault)
      const before = legacy.received.length
      const read = await get("/documents/1")
      expect([read.status, answeredBy(read)]).toEqual([200, "fallback"])
      for (const method of UNSAFE) {
        const response = await platform().fetch(`${HOST}/documents/1`, { method, body: "x" }, alice)
        expect(response.status).toBe(fault === "failing" ? 503 : 504)
      }
      fresh.setFault(null)
      expect(legacy.received.slice(before).map(({ method }) => method)).toEqual(["GET"])
      expect(answeredBy(await get("/documents/1"))).toBe("new")
      expect(
        await eventually(5_000, async () => (await scores()).find((each) => each.round === round) ?? null),
      ).toMatchObject({
        fallbacks: 1,
        compared: 0,
        noiseAdjustedMatchPercent: null,
      })
    })
})

describe("a new service that stays silent", () => {
  it("is not waited for by what is safe, sees no unsafe request twice, and is found again by itself", async () => {
    await setRules({ path: "/reports/*", mode: "new" })
    fresh.setFault("silent")
    const [asked, before] = [fresh.received.length, legacy.received.length]
    for (let each = 0; each < 3; each++) expect(answeredBy(await get("/reports/1"))).toBe("fallback")
    const began = performance.now()
    const answers = await load(40, LANES, () => get("/reports/1"))
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    // One after the other they would have waited five times WAIT_MS in each lane.
    expect(performance.now() - began).toBeLessThan(4 * WAIT_MS)
    expect(fresh.received.length - asked).toBeLessThan(10)
    const posted = await platform().fetch(`${HOST}/reports/1`, { method: "POST", body: "x" }, alice)
    expect(posted.status).toBe(504)
    expect(legacy.received.slice(before).every(({ method }) => method === "GET")).toBe(true)
    fresh.setFault(null)
    await eventually(5_000, async () => (answeredBy(await get("/reports/1")) === "new" ? true : null))
  })
})

describe("rules and scoreboard", () => {
  it("are for those alone who have their scope", async () => {
    for (const [target, scope] of [
      ["/.strangler/scoreboard", "ecrion:write ecrion:reader"],
      ["/.strangler/rules", "ecrion:read"],
      ["/documents/.strangler/scoreboard", ""],
    ] as const)
      await expectProblem(await get(target, { ...alice, ...(scope === "" ? {} : { scope }) }), 403, "auth.not-allowed")
    await expectProblem(await platform().fetch(`${HOST}/.strangler/scoreboard`), 403, "auth.not-allowed")
    const put = {
      method: "PUT",
      headers: { "content-type": "application/json", "if-match": '"0"' },
      body: '{"rules":[]}',
    }
    await expectProblem(await platform().fetch(`${HOST}/.strangler/rules`, put, alice), 403, "auth.not-allowed")
  })

  it("shows people a page under a strict policy", async () => {
    const response = await platform().fetch(
      `${HOST}/.strangler/scoreboard`,
      { headers: { accept: "text/html" } },
      operator,
    )
    expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; /)
    expect(await response.text()).toContain("<code>/documents/*</code>")
  })

  it("refuses rules that do not parse, and those that are not on top of the newest", async () => {
    const put = (body: string, etag: string) =>
      platform().fetch(
        `${HOST}/.strangler/rules`,
        { method: "PUT", headers: { "content-type": "application/json", "if-match": etag }, body },
        operator,
      )
    await setRules({ path: "/documents/*", mode: "new" })
    const etag = (await get("/.strangler/rules", operator)).headers.get("etag") ?? ""
    await expectProblem(await put('{"rules":[{"path":"/a","mode":"sideways"}]}', etag), 400, "api.body-invalid")
    await expectProblem(await put('{"rules":[]}', '"0"'), 412, "api.precondition-failed")
    await expectProblem(await put('{"rules":[]}', ""), 412, "api.precondition-failed")
    expect(answeredBy(await get("/documents/1"))).toBe("new")
  })

  it("keep the last good ones in force when somebody writes bad ones past the Worker", async () => {
    await setRules({ path: "/documents/*", mode: "new" })
    const sql =
      "INSERT INTO stored_document SELECT name, max(revision) + 1, '{\"rules\":7}', 'by hand', 0 FROM stored_document"
    await cloudflare(platform(), `/d1/database/${database}/query`, { sql })
    await eventually(5_000, async () =>
      (await get("/.strangler/rules", operator).then((r) => r.text())).includes("7") ? true : null,
    )
    for (let each = 0; each < 20; each++) expect(answeredBy(await get(`/documents/${each}`))).toBe("new")
    // And a Worker that starts anew finds them below the bad ones.
    await platform().restart({})
    await platform().waitForConfig()
    expect(answeredBy(await get("/documents/1"))).toBe("new")
  })

  it("leave every path to legacy when there are none, and while the new service is gone", async () => {
    await setRules()
    expect(answeredBy(await get("/documents/1"))).toBe("legacy")
    await setRules({ path: "/documents/*", mode: "new" })
    await fresh.close()
    expect(answeredBy(await get("/documents/1"))).toBe("fallback")
    const response = await platform().fetch(`${HOST}/documents/1`, { method: "POST", body: "x" }, alice)
    expect(response.status).toBe(502)
  })
})

function firstMessage(target: string): Promise<string> {
  const headers = { host: new URL(HOST).host, authorization: `Bearer ${platform().issueToken(alice)}` }
  const socket = new WebSocket(platform().edgeUrl.replace("http", "ws") + target, { headers, agent: new http.Agent() })
  return new Promise((resolve, reject) => {
    socket.on("error", reject)
    socket.on("message", (data) => {
      socket.close()
      resolve(String(data))
    })
  })
}
