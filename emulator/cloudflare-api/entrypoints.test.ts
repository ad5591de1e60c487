import { exports } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import type { ScriptStore } from "../namespace/stored-script.ts"
import type { ResourcesApi } from "./resources.ts"
import { ACCOUNT, call, HELLO, newNamespace, outcome, uploadForm } from "./scenario.ts"

const { ScriptStore: store, Resources: resources } = exports as unknown as {
  ScriptStore: ScriptStore
  Resources: ResourcesApi
}
const text = (bytes: ArrayBuffer | undefined) => new TextDecoder().decode(bytes)

/** Message of what a call rejects with. The promise of an RPC call must be awaited once and not passed around: each look at it rejects anew. */
async function failure(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
    return "nothing"
  } catch (thrown) {
    return String(thrown)
  }
}

describe("ScriptStore", () => {
  let namespace = ""
  beforeAll(async () => {
    namespace = await newNamespace("stored")
  })

  it("gives a script as the namespace runs it, secrets included", async () => {
    const metadata = {
      bindings: [{ type: "plain_text", name: "A", text: "a" }],
      keep_bindings: ["secret_text"],
      tags: ["t"],
    }
    await call("PUT", `${namespace}/scripts/files`, uploadForm(metadata))
    await call("PUT", `${namespace}/scripts/files/secrets`, { name: "TOKEN", type: "secret_text", text: "example" })
    const script = await store.getScript("stored", "files")
    expect(script?.metadata).toEqual({
      main_module: "index.js",
      compatibility_date: "2026-10-01",
      tags: ["t"],
      bindings: [
        { type: "plain_text", name: "A", text: "a" },
        { type: "secret_text", name: "TOKEN", text: "example" },
      ],
    })
    expect(script?.modules.map(({ name, type, body }) => [name, type, text(body)])).toEqual([
      ["index.js", "application/javascript+module", HELLO],
    ])
    expect(script?.assets).toBeNull()
  })

  it("gives assets by path and by hash, with the type to serve", async () => {
    const hash = "a".repeat(32)
    const opened = await call("POST", `${namespace}/scripts/pages/assets-upload-session`, {
      manifest: { "/index.html": { hash, size: 3 }, "/raw": { hash: "b".repeat(32), size: 3 } },
    })
    const form = new FormData()
    form.set(hash, new File([btoa("one")], hash, { type: "text/html" }))
    form.set("b".repeat(32), new File([btoa("two")], "b".repeat(32), { type: "application/null" }))
    const { jwt } = outcome(opened) as { jwt: string }
    const path = `${ACCOUNT}/workers/assets/upload?base64=true`
    const done = outcome(await call("POST", path, form, { authorization: `Bearer ${jwt}` })) as { jwt: string }
    const config = { not_found_handling: "404-page" }
    await call("PUT", `${namespace}/scripts/pages`, uploadForm({ assets: { jwt: done.jwt, config } }, {}))
    const script = await store.getScript("stored", "pages")
    expect(script?.assets).toEqual({
      manifest: {
        "/index.html": { hash, size: 3, contentType: "text/html" },
        "/raw": { hash: "b".repeat(32), size: 3, contentType: null },
      },
      config,
    })
    const asset = await store.getAsset("stored", hash)
    expect([text(asset?.body), asset?.contentType]).toEqual(["one", "text/html"])
    expect(await store.getAsset("elsewhere", hash)).toBeNull()
    expect(await store.getAsset("stored", "c".repeat(32))).toBeNull()
  })

  it("gives null for what is not there", async () => {
    expect(await store.getScript("stored", "absent")).toBeNull()
    expect(await store.getScript("elsewhere", "files")).toBeNull()
  })
})

describe("Resources", () => {
  it("keeps KV namespaces apart, with metadata and lists", async () => {
    await resources.kvPut("one", "a/b", "1", { metadata: { n: 1 } })
    await resources.kvPut("one", "c", new Uint8Array([50]).buffer)
    const found = await resources.kvGet("one", "a/b")
    expect([text(found?.value), found?.metadata]).toEqual(["1", { n: 1 }])
    expect(await resources.kvGet("two", "a/b")).toBeNull()
    expect(await resources.kvList("one", { limit: 1 })).toMatchObject({ keys: [{ name: "a/b" }], list_complete: false })
    expect((await resources.kvList("one", { prefix: "c" })).keys).toEqual([{ name: "c" }])
    await resources.kvDelete("one", "c")
    expect(await resources.kvGet("one", "c")).toBeNull()
    expect(await failure(() => resources.kvPut("one", "d", "x", { expirationTtl: 30 }))).toContain("at least 60")
  })

  it("keeps buckets apart, with metadata, ranges, conditions and lists", async () => {
    const put = await resources.r2Put("bucket", "a/b", "hello", {
      httpMetadata: { contentType: "text/plain" },
      customMetadata: { n: "1" },
    })
    expect(put).toMatchObject({ key: "a/b", size: 5, customMetadata: { n: "1" } })
    const part = await resources.r2Get("bucket", "a/b", { range: { offset: 1, length: 3 } })
    expect(await new Response(part?.body).text()).toBe("ell")
    expect(await resources.r2Get("bucket", "a/b", { onlyIf: { etagMatches: "other" } })).toMatchObject({ body: null })
    expect(await resources.r2Put("bucket", "a/b", "x", { onlyIf: { etagMatches: "other" } })).toBeNull()
    expect(await resources.r2Head("other", "a/b")).toBeNull()
    expect(await resources.r2List("bucket", { delimiter: "/" })).toMatchObject({
      objects: [],
      delimitedPrefixes: ["a/"],
      truncated: false,
    })
    await resources.r2Delete("bucket", ["a/b"])
    expect(await resources.r2Head("bucket", "a/b")).toBeNull()
  })

  it("runs SQL in one transaction, per database", async () => {
    await resources.d1Exec("db", "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);\nCREATE INDEX i ON t (name);")
    const [inserted, selected] = await resources.d1Batch("db", [
      { sql: "INSERT INTO t (name) VALUES (?), (?)", params: ["a", null] },
      { sql: "SELECT * FROM t ORDER BY id" },
    ])
    expect(inserted?.meta).toMatchObject({ changes: 2, last_row_id: 2, changed_db: true })
    expect(selected).toMatchObject({
      columns: ["id", "name"],
      rows: [
        [1, "a"],
        [2, null],
      ],
    })
    const failing = () => resources.d1Batch("db", [{ sql: "DELETE FROM t" }, { sql: "SELECT * FROM absent" }])
    expect(await failure(failing)).toContain("D1_ERROR: no such table: absent")
    const [count] = await resources.d1Batch("db", [{ sql: "SELECT COUNT(*) AS n FROM t" }])
    expect(count?.rows).toEqual([[2]])
    expect(await failure(() => resources.d1Batch("other", [{ sql: "SELECT * FROM t" }]))).toContain("no such table: t")
  })

  it("sends to queues that exist, to be pulled, retried and acknowledged over REST", async () => {
    expect(await failure(() => resources.queueSend("absent", []))).toContain("Queue 'absent' not found")
    const { queue_id } = outcome(await call("POST", `${ACCOUNT}/queues`, { queue_name: "jobs" })) as {
      queue_id: string
    }
    await resources.queueSend("jobs", [
      { body: "first", contentType: "text" },
      { body: '{"n":2}', contentType: "json" },
      { body: "later", contentType: "text", delaySeconds: 60 },
    ])
    const messages = `${ACCOUNT}/queues/${queue_id}/messages`
    const pull = async () =>
      outcome(await call("POST", `${messages}/pull`, { batch_size: 10, visibility_timeout_ms: 60_000 })) as Pulled
    const first = await pull()
    expect(first).toMatchObject({
      message_backlog_count: 3,
      messages: [{ body: "first", attempts: 1 }, { body: '{"n":2}' }],
    })
    expect((await pull()).messages).toEqual([])
    const [kept, done] = first.messages.map(({ lease_id }) => ({ lease_id }))
    const answer = await call("POST", `${messages}/ack`, { acks: [done, { lease_id: "unknown" }], retries: [kept] })
    expect(outcome(answer)).toMatchObject({ ackCount: 1, retryCount: 1 })
    expect((await pull()).messages).toMatchObject([{ body: "first", attempts: 2 }])
  })
})

interface Pulled {
  readonly message_backlog_count: number
  readonly messages: readonly { readonly lease_id: string; readonly body: string; readonly attempts: number }[]
}
