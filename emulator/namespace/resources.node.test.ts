/** The namespace's bindings on the real local API: what bindings.test.ts holds with doubles, here with the stores behind it, over a restart too. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { loadSecrets } from "../secrets.ts"
import { ECHO_WORKER, startTestPlatform, type TestPlatform } from "../testing.ts"
import { NAMESPACE } from "../workers.ts"

const URL_OF_PROBE = "https://probe.example.com/"

/** Answers with what the expression in the request's body evaluates to; the expressions are this file's own. */
const CODE = `import { DurableObject } from "cloudflare:workers"
export class Counter extends DurableObject {
  async add() { const n = (await this.ctx.storage.get("n") ?? 0) + 1; await this.ctx.storage.put("n", n); return n }
}
const OPERATIONS = {
  kv: async (env) => { await env.KV.put("a", "1", { metadata: { by: "alice" } }); await env.KV.put("ab", new Uint8Array([1, 2]))
    return [await env.KV.getWithMetadata("a"), (await env.KV.get("ab", "arrayBuffer")).byteLength, (await env.KV.list({ prefix: "a" })).keys.map((k) => k.name), await env.KV.get("none")] },
  r2: async (env) => { await env.BUCKET.put("plan.txt", "0123456789", { httpMetadata: { contentType: "text/plain" } })
    const part = await env.BUCKET.get("plan.txt", { range: { offset: 2, length: 3 } }), unmet = await env.BUCKET.get("plan.txt", { onlyIf: { etagDoesNotMatch: (await env.BUCKET.head("plan.txt")).etag } })
    const headers = new Headers(); part.writeHttpMetadata(headers)
    return [await part.text(), headers.get("content-type"), unmet.size, "body" in unmet, (await env.BUCKET.list({ prefix: "plan" })).objects.map((o) => o.key)] },
  d1: async (env) => { await env.DB.exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT, bytes BLOB)")
    const insert = env.DB.prepare("INSERT INTO t (name, bytes) VALUES (?, ?)")
    const [{ meta }] = await env.DB.batch([insert.bind("alice", new Uint8Array([1, 2])), insert.bind("bob", null)])
    let failure = ""; try { await env.DB.prepare("SELECT * FROM nowhere").all() } catch (e) { failure = e.message }
    return [meta.changes, await env.DB.prepare("SELECT name, bytes FROM t WHERE name = ?").bind("alice").first(), await env.DB.prepare("SELECT count(*) AS n FROM t").first("n"), failure] },
  queue: async (env) => { await env.QUEUE.send({ a: 1 }); await env.QUEUE.sendBatch([{ body: "t", contentType: "text" }]); return "sent" },
  object: (env) => env.COUNTER.getByName("one").add(),
}
export default { async fetch(request, env) { return Response.json(await OPERATIONS[new URL(request.url).searchParams.get("do")](env)) } }`

let platform: TestPlatform
let account: (method: string, path: string, body?: unknown) => Promise<{ result: Record<string, unknown> }>

beforeAll(async () => {
  platform = await startTestPlatform()
  const { cloudflareApiToken } = await loadSecrets(platform.stateDir)
  account = async (method, path, body) => {
    const response = await fetch(`${platform.cloudflareApiUrl}/client/v4/accounts/${platform.accountId}${path}`, {
      method,
      headers: { authorization: `Bearer ${cloudflareApiToken}` },
      ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return (await response.json()) as { result: Record<string, unknown> }
  }
  await platform.uploadWorker({ source: ECHO_WORKER, script: "probe", route: `${URL_OF_PROBE}*` })
  await upload("probe--v1", CODE, {
    bindings: [
      {
        type: "kv_namespace",
        name: "KV",
        namespace_id: (await account("POST", "/storage/kv/namespaces", { title: "kv" })).result.id,
      },
      {
        type: "r2_bucket",
        name: "BUCKET",
        bucket_name: (await account("POST", "/r2/buckets", { name: "plans" })).result.name,
      },
      { type: "d1", name: "DB", id: (await account("POST", "/d1/database", { name: "db" })).result.uuid },
      {
        type: "queue",
        name: "QUEUE",
        queue_name: (await account("POST", "/queues", { queue_name: "jobs" })).result.queue_name,
      },
      { type: "durable_object_namespace", name: "COUNTER", class_name: "Counter" },
    ],
    migrations: { new_tag: "v1", new_sqlite_classes: ["Counter"] },
  })
})
afterAll(() => platform?.dispose())

/** Past the control plane, which lets teams have only some of these bindings. */
async function upload(name: string, code: string, metadata: object = {}): Promise<void> {
  const form = new FormData()
  form.set("metadata", JSON.stringify({ main_module: "index.js", compatibility_date: "2026-10-01", ...metadata }))
  form.set("index.js", new File([code], "index.js", { type: "application/javascript+module" }))
  await account("PUT", `/workers/dispatch/namespaces/${NAMESPACE}/scripts/${name}`, form)
}

const ask = async (operation: string) => {
  const response = await platform.fetch(`${URL_OF_PROBE}?do=${operation}`)
  if (response.status !== 200) throw new Error(await response.text())
  return response.json()
}

describe("a user Worker on the local account", () => {
  it("uses KV", async () => {
    expect(await ask("kv")).toEqual([
      { value: "1", metadata: { by: "alice" }, cacheStatus: null },
      2,
      ["a", "ab"],
      null,
    ])
  })

  it("uses R2, with ranges and conditions", async () => {
    expect(await ask("r2")).toEqual(["234", "text/plain", 10, false, ["plan.txt"]])
  })

  it("uses D1", async () => {
    const [changes, row, count, failure] = (await ask("d1")) as unknown[]
    expect([changes, row, count]).toEqual([1, { name: "alice", bytes: [1, 2] }, 2])
    expect(failure).toMatch(/^D1_ERROR: no such table: nowhere/)
  })

  it("sends to queues", async () => {
    expect(await ask("queue")).toBe("sent")
  })

  it("keeps its objects' data over a restart of the platform", async () => {
    expect([await ask("object"), await ask("object")]).toEqual([1, 2])
    await platform.restart({})
    await platform.waitForConfig()
    expect(await ask("object")).toBe(3)
  })
})

describe("an upload", () => {
  it("is seen by the first request after it, with many first requests at once, one of them given up", async () => {
    await platform.uploadWorker({ source: ECHO_WORKER, script: "fresh", route: "https://fresh.example.com/*" })
    for (const round of ["one", "two", "three"]) {
      await upload("fresh--v1", `export default { fetch: () => new Response("${round}") }`)
      const gaveUp = AbortSignal.timeout(1)
      const impatient = platform.fetch("https://fresh.example.com/", { signal: gaveUp }).catch(() => null)
      const answers = await Promise.all(
        Array.from({ length: 40 }, async () => (await platform.fetch("https://fresh.example.com/")).text()),
      )
      expect(new Set(answers)).toEqual(new Set([round]))
      await impatient
    }
  })
})
