/** Workers that throw, hang, talk rubbish or call where they may not: a plain problem for the client, nothing for the neighbours. */
import { createServer } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
import { expectProblem, usePlatform } from "../harness.ts"

const SECRET = "tenant-text-that-must-not-leave"
const platform = usePlatform()
let elsewhere: RunningServer
let calls = 0

beforeAll(async () => {
  const server = createServer((_, response) => {
    calls += 1
    response.end("reached")
  })
  elsewhere = await listen(server, 0)
  await platform().uploadWorker({
    source: ECHO_WORKER,
    script: "neighbour",
    team: "neighbours",
    route: "https://good.example.com/*",
  })
})
afterAll(() => elsewhere.stop())

async function upload(script: string, body: string, timeoutMs?: number) {
  await platform().uploadWorker({
    source: `export default { async fetch(request, env, ctx) { ${body} } }`,
    script,
    route: {
      hostname: "bad.example.com",
      path: `/${script}`,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    },
  })
  return `https://bad.example.com/${script}`
}

async function expectUnharmedNeighbour() {
  const startedAt = performance.now()
  const response = await platform().fetch("https://good.example.com/", {}, { subject: "alice" })
  expect((await platform().received(response)).passport.sub).toBe("alice")
  expect(performance.now() - startedAt).toBeLessThan(5_000)
}

describe("a Worker that fails", () => {
  it.each([
    ["throws", `throw new Error("${SECRET}")`],
    ["throws what is no error", `throw "${SECRET}"`],
    ["begins with the platform's own words", `throw new Error("Worker not found. ${SECRET}")`],
    ["ends with the platform's own words", `throw new TypeError("${SECRET}: Worker not found.")`],
    ["says that it had no time", `throw new Error("Worker exceeded CPU time limit. ${SECRET}")`],
    ["says that it called too often", `throw new Error("Too many subrequests ${SECRET}")`],
    ["says that it hung", `throw new Error("your Worker's code had hung ${SECRET}")`],
    ["rejects later", `await scheduler.wait(5); return Promise.reject(new Error("${SECRET}"))`],
  ])("that %s gives 502 without a byte of its text", async (name, body) => {
    const url = await upload(`w-${name.replaceAll(/[^a-z]/g, "-")}`, body)
    await expectProblem(await platform().fetch(url), 502, "dispatch.worker-failed", SECRET)
    await expectUnharmedNeighbour()
  })

  it.each([
    ["Worker not found.", "dispatch.script-missing"],
    ["Worker exceeded CPU time limit.", "dispatch.limit-exceeded"],
    ["Too many subrequests.", "dispatch.limit-exceeded"],
  ])("is not told from the platform when its whole text is %j, on its own route alone", async (text, code) => {
    const url = await upload(code.replaceAll(/[^a-z]/g, "-"), `throw new Error("${text}")`)
    await expectProblem(await platform().fetch(url), 503, code, text)
    await expectUnharmedNeighbour()
  })

  it.each([
    ["nothing", "return undefined"],
    ["a string", `return "${SECRET}"`],
    ["an object", `return { status: 200, body: "${SECRET}" }`],
    ["a response whose body was read", `const r = new Response("${SECRET}"); await r.text(); return r`],
  ])("that returns %s instead of a response gives 502", async (name, body) => {
    const url = await upload(`r-${name.replaceAll(/[^a-z]/g, "-")}`, body)
    const response = await platform().fetch(url)
    expect(response.status).toBe(502)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await response.text()).not.toContain(SECRET)
    await expectUnharmedNeighbour()
  })

  it("that hangs gives 504 when its time is over, while others are served", async () => {
    const url = await upload(
      "hangs",
      "await new Promise((resolve) => setTimeout(resolve, 60_000)); return new Response()",
      300,
    )
    const startedAt = performance.now()
    const hanging = platform().fetch(url)
    await expectUnharmedNeighbour()
    await expectProblem(await hanging, 504, "dispatch.worker-timeout")
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    await expectUnharmedNeighbour()
  })

  it("that waits for what can never come gives 504", async () => {
    const url = await upload("stuck", "await new Promise(() => {}); return new Response()", 300)
    await expectProblem(await platform().fetch(url), 504, "dispatch.worker-timeout")
    await expectUnharmedNeighbour()
  })

  it("that cannot set a gateway header on its response", async () => {
    const headers = {
      "x-sallyport-release": "forged--v9",
      "strict-transport-security": "max-age=0",
      "x-passport": "forged",
    }
    const url = await upload("forges", `return new Response("ok", { headers: ${JSON.stringify(headers)} })`)
    const response = await platform().fetch(url)
    expect(response.status).toBe(200)
    expect(JSON.stringify([...response.headers])).not.toContain("forged")
    expect(response.headers.get("strict-transport-security")).not.toBe("max-age=0")
  })
})

describe("a Worker that calls out", () => {
  it("gets a refusal where its team may not call, and nothing arrives there", async () => {
    const url = await upload(
      "forbidden",
      `const r = await fetch("${elsewhere.url}/"); return new Response(await r.text(), { status: r.status, headers: r.headers })`,
    )
    const before = calls
    const response = await platform().fetch(url)
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ code: "egress.destination-refused" })
    expect(calls).toBe(before)
    const [record] = await platform().egress({ limit: 1 })
    expect(record).toMatchObject({ script: "forbidden", team: "test-team", problem: "egress.destination-refused" })
    await expectUnharmedNeighbour()
  })

  it("reaches what its team may call", async () => {
    await platform().putTeam("callers", { egress: [elsewhere.url] })
    await platform().uploadWorker({
      source: `export default { fetch: () => fetch("${elsewhere.url}/") }`,
      script: "allowed",
      team: "callers",
      route: "https://callers.example.com/*",
    })
    expect(await (await platform().fetch("https://callers.example.com/")).text()).toBe("reached")
  })

  it("cannot send its passport to a destination of its own choice", async () => {
    await platform().uploadWorker({
      source: `export default { fetch: (request) => fetch("${elsewhere.url}/", { headers: { "x-passport": request.headers.get("x-passport") } }) }`,
      script: "leaks",
      team: "callers",
      route: "https://leaks.example.com/*",
    })
    const before = calls
    const response = await platform().fetch("https://leaks.example.com/", {}, { subject: "alice" })
    expect(response.status).toBe(403)
    expect(await response.text()).toContain("egress.passport-misdirected")
    expect(calls).toBe(before)
  })
})

describe("a passport", () => {
  it("is made for one script, and a sibling of another team cannot be called with it", async () => {
    await platform().uploadWorker({
      source: `export default { fetch: (request, env) => env.PLATFORM.dispatch("neighbour", request) }`,
      script: "ungranted",
      route: "https://ungranted.example.com/*",
    })
    const response = await platform().fetch("https://ungranted.example.com/", {}, { subject: "alice" })
    await expectProblem(response, 403, "platform.not-granted")
  })
})
