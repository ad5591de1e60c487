/** What no description of the API says and clients rely on all the same: order, durability, credentials, limits, and faults on demand. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ACCOUNT_ID, type LocalApi, startApi, TOKEN } from "./start-api.ts"

const A = `/accounts/${ACCOUNT_ID}`
const NS = `${A}/workers/dispatch/namespaces`
const FILES = `${NS}/production/scripts/files`

let api: LocalApi
beforeAll(async () => {
  api = await startApi()
  await send("POST", NS, { name: "production" })
})
afterAll(() => api.stop())

async function send(method: string, route: string, body?: unknown, token: string | null = TOKEN, base = api.url) {
  const response = await fetch(base + route, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
  })
  const answer = (await response.json()) as { errors?: { code: number; message: string }[]; result: unknown }
  const [error] = answer.errors ?? []
  return {
    status: response.status,
    headers: response.headers,
    result: answer.result,
    verdict: error === undefined ? `${response.status}` : `${response.status}/${error.code}`,
  }
}

function upload(greeting = "hello"): FormData {
  const form = new FormData()
  form.set("metadata", JSON.stringify({ main_module: "index.js", compatibility_date: "2026-10-01" }))
  const source = `export default { fetch() { return new Response("${greeting}") } }`
  form.set("index.js", new File([source], "index.js", { type: "application/javascript+module" }))
  return form
}

describe("a write", () => {
  const settings = new FormData()
  settings.set("settings", JSON.stringify({ logpush: true }))

  it.each([
    ["an upload", "PUT", FILES, upload()],
    ["new content", "PUT", `${FILES}/content`, upload("other")],
    ["settings", "PATCH", `${FILES}/settings`, settings],
    ["a secret", "PUT", `${FILES}/secrets`, { name: "A", type: "secret_text", text: "a" }],
    ["many secrets", "PATCH", `${FILES}/secrets-bulk`, { secrets: { A: null } }],
    ["tags", "PUT", `${FILES}/tags`, ["a"]],
    ["one tag more", "PUT", `${FILES}/tags/b`, undefined],
    ["one tag less", "DELETE", `${FILES}/tags/a`, undefined],
    ["deletion", "DELETE", FILES, undefined],
  ])("is known to the namespace before it is answered: %s", async (_case, method, route, body) => {
    await api.told()
    expect((await send(method, route, body)).verdict).toBe("200")
    expect(await api.told()).toEqual(["production/files"])
  })

  it("tells of every script when a namespace is renamed or deleted, or scripts are deleted by tag", async () => {
    await send("POST", NS, { name: "many" })
    for (const name of ["a", "b"]) await send("PUT", `${NS}/many/scripts/${name}`, upload())
    await api.told()
    await send("PUT", `${NS}/many`, { name: "renamed" })
    expect((await api.told()).toSorted()).toEqual(["many/a", "many/b", "renamed/a", "renamed/b"])
    await send("PUT", `${NS}/renamed/scripts/a/tags`, ["old"])
    await api.told()
    await send("DELETE", `${NS}/renamed/scripts?tags=old:yes`)
    expect(await api.told()).toEqual(["renamed/a"])
    await send("DELETE", `${NS}/renamed`)
    expect(await api.told()).toEqual(["renamed/b"])
  })

  it("that is refused tells nobody", async () => {
    await api.told()
    const form = upload()
    form.set("metadata", JSON.stringify({ main_module: "absent.js" }))
    expect((await send("PUT", FILES, form)).verdict).toBe("400/10021")
    expect(await api.told()).toEqual([])
  })
})

describe("a credential", () => {
  it.each([
    ["none", null, "/accounts", "401/10000"],
    ["a wrong one", "wrong", "/accounts", "403/10000"],
    ["a prefix of the right one", TOKEN.slice(0, -1), "/accounts", "403/10000"],
    ["the right one with more behind it", `${TOKEN}x`, "/accounts", "403/10000"],
    ["a wrong one, to be verified", "wrong", "/user/tokens/verify", "401/1000"],
    ["the right one", TOKEN, "/user/tokens/verify", "200"],
    ["the right one for another account", TOKEN, "/accounts/ffffffffffffffffffffffffffffffff/queues", "403/10000"],
    ["none for a path that does not exist", null, "/nowhere", "401/10000"],
  ])("%s is answered as production answers it", async (_case, token, route, verdict) => {
    expect((await send("GET", route, undefined, token)).verdict).toBe(verdict)
  })
})

describe("paths around the namespace", () => {
  it.each([
    ["GET", "/nowhere", "404/7003"],
    ["POST", "/accounts", "404/7003"],
    ["GET", `${A}/workers/scripts/files/secrets`, "404/10007"],
    ["GET", `${A}/workers/scripts/files/settings`, "404/10007"],
    ["PATCH", `${A}/workers/scripts/files/script-settings`, "404/10007"],
    ["GET", `${A}/workers/services/files`, "404/10090"],
    ["DELETE", `${A}/workers/services/files?force=true`, "404/10090"],
    ["GET", `${A}/workers/services/sallyport-dispatcher`, "200"],
    ["GET", `${A}/workflows/absent`, "404/10200"],
    ["GET", `${A}/r2/buckets/absent`, "404/10006"],
    ["GET", `${A}/d1/database/absent`, "404/7404"],
    ["GET", `${A}/queues/absent`, "404/11000"],
    ["GET", `${A}/storage/kv/namespaces/absent`, "404/10013"],
  ])("%s %s is %s", async (method, route, verdict) => {
    expect((await send(method, route)).verdict).toBe(verdict)
  })

  it.each(["/accounts", "/memberships", `${A}/queues`, `${A}/storage/kv/namespaces`, `${A}/d1/database`])(
    "%s answers a page of an array",
    async (route) => {
      expect(await send("GET", `${route}?page=1&per_page=100`)).toMatchObject({
        status: 200,
        result: expect.any(Array),
      })
    },
  )
})

describe("what was written", () => {
  it("is there after a restart", async () => {
    const stateDir = await mkdtemp(path.join(tmpdir(), "sallyport-api-state-"))
    try {
      const first = await startApi({ stateDir })
      await send("POST", NS, { name: "production" }, TOKEN, first.url)
      const { result } = await send("PUT", FILES, upload("durable"), TOKEN, first.url)
      await first.stop()
      const second = await startApi({ stateDir })
      const { etag } = result as { etag: string }
      expect((await send("GET", FILES, undefined, TOKEN, second.url)).result).toMatchObject({ script: { etag } })
      const content = await fetch(`${second.url}${FILES}/content`, { headers: { authorization: `Bearer ${TOKEN}` } })
      expect(await content.text()).toContain("durable")
      await second.stop()
    } finally {
      await rm(stateDir, { recursive: true, force: true })
    }
  })
})

describe("the rate limit", () => {
  it("counts down in headers and then refuses everything for a while", async () => {
    const limited = await startApi({ vars: { RATE_LIMIT: "2" } })
    try {
      const ask = () => send("GET", "/accounts", undefined, TOKEN, limited.url)
      expect((await ask()).headers.get("ratelimit")).toMatch(/^"default";r=1;t=\d+$/)
      expect((await ask()).headers.get("ratelimit-policy")).toBe('"default";q=2;w=300')
      const refused = await ask()
      expect(refused.verdict).toBe("429/971")
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(290)
    } finally {
      await limited.stop()
    }
  })
})

describe("faults on demand", () => {
  const inject = async (rule: unknown) => {
    const headers = { authorization: `Bearer ${TOKEN}` }
    const response = await fetch(`${api.origin}/emulator/faults`, {
      method: "POST",
      headers,
      body: JSON.stringify(rule),
    })
    expect(response.status).toBe(200)
  }
  const put = () => send("PUT", `${NS}/production/scripts/faulty`, upload())
  const exists = async () => (await send("GET", `${NS}/production/scripts/faulty`)).status === 200

  it("refuse before anything happens, as often as asked", async () => {
    await inject({ method: "PUT", path: "/scripts/faulty$", times: 2, answer: { status: 429, retryAfterS: 3 } })
    const first = await put()
    expect([first.verdict, first.headers.get("retry-after")]).toEqual(["429/971", "3"])
    expect((await put()).verdict).toBe("429/971")
    expect(await exists()).toBe(false)
    expect((await put()).verdict).toBe("200")
    await send("DELETE", `${NS}/production/scripts/faulty`)
  })

  it("lose the answer of what was applied", async () => {
    await inject({ method: "PUT", path: "/scripts/faulty$", applied: true, answer: { kind: "cut" } })
    await expect(put()).rejects.toThrow()
    expect(await exists()).toBe(true)
    await send("DELETE", `${NS}/production/scripts/faulty`)
  })

  it("answer with broken JSON or a proxy's page", async () => {
    await inject({ path: "/accounts$", answer: { kind: "malformed" } })
    await expect(send("GET", "/accounts")).rejects.toThrow("JSON")
    await inject({ path: "/accounts$", answer: { kind: "html", status: 502 } })
    await expect(send("GET", "/accounts")).rejects.toThrow("JSON")
  })

  it("delay, and then answer truly", async () => {
    await inject({ path: "/accounts$", delayMs: 200 })
    const startedAt = performance.now()
    expect((await send("GET", "/accounts")).verdict).toBe("200")
    expect(performance.now() - startedAt).toBeGreaterThan(190)
  })

  it("can be read and cleared, with the account's token alone", async () => {
    await inject({ path: "/never" })
    const faults = `${api.origin}/emulator/faults`
    const headers = { authorization: `Bearer ${TOKEN}` }
    expect(await (await fetch(faults, { headers })).json()).toMatchObject({ faults: [{ path: "/never", times: 1 }] })
    expect(await (await fetch(faults, { method: "DELETE", headers })).json()).toEqual({ faults: [] })
    expect((await fetch(faults)).status).toBe(401)
    expect((await fetch(faults, { method: "POST", headers, body: "{}" })).status).toBe(400)
  })
})
