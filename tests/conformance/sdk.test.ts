/** Cloudflare's own SDK against the local Cloudflare API: what works, and what the SDK's version 7 breaks in production too. */
import Cloudflare, { toFile } from "cloudflare"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ACCOUNT_ID, type LocalApi, startApi, TOKEN } from "./start-api.ts"

const NS = `/accounts/${ACCOUNT_ID}/workers/dispatch/namespaces`
const inNamespace = { account_id: ACCOUNT_ID, dispatch_namespace: "production" }

let api: LocalApi
let client: Cloudflare

beforeAll(async () => {
  api = await startApi()
  client = new Cloudflare({ apiToken: TOKEN, baseURL: api.url, maxRetries: 0 })
  await namespaces().create({ account_id: ACCOUNT_ID, name: "production" })
  await upload("files")
})
afterAll(() => api.stop())

const namespaces = () => client.workersForPlatforms.dispatch.namespaces
const scripts = () => namespaces().scripts

async function upload(name: string, metadata: Record<string, unknown> = {}): Promise<{ result: { etag: string } }> {
  const form = new FormData()
  form.set("metadata", JSON.stringify({ main_module: "lib/index.js", compatibility_date: "2026-10-01", ...metadata }))
  const source = 'import text from "./greeting.txt"; export default { fetch() { return new Response(text) } }'
  form.set("lib/index.js", new File([source], "lib/index.js", { type: "application/javascript+module" }))
  form.set("lib/greeting.txt", new File(["hello"], "lib/greeting.txt", { type: "text/plain" }))
  return await client.put(`${NS}/production/scripts/${name}?bindings_inherit=strict`, { body: form })
}

/** `status/code` of what a call rejects with. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const thrown: unknown = await call.then(
    () => null,
    (error: unknown) => error,
  )
  if (!(thrown instanceof Cloudflare.APIError)) return String(thrown)
  return `${thrown.status}/${thrown.errors[0]?.code}`
}

describe("the SDK against the local Cloudflare API", () => {
  it("manages namespaces", async () => {
    await namespaces().create({ account_id: ACCOUNT_ID, name: "second" })
    const names: (string | undefined)[] = []
    for await (const { namespace_name } of namespaces().list({ account_id: ACCOUNT_ID })) names.push(namespace_name)
    expect(names).toEqual(["production", "second"])
    expect(await namespaces().get("second", { account_id: ACCOUNT_ID })).toMatchObject({ script_count: 0 })
    await namespaces().delete("second", { account_id: ACCOUNT_ID })
    expect(await refusal(namespaces().get("second", { account_id: ACCOUNT_ID }))).toBe("404/100119")
    expect(await refusal(namespaces().create({ account_id: ACCOUNT_ID, name: "production" }))).toBe("409/100120")
  })

  it("uploads by a raw form, and the same content gives the same etag", async () => {
    const first = await upload("again")
    const second = await upload("again")
    const other = await upload("again", { tags: ["changed"] })
    expect(second.result.etag).toBe(first.result.etag)
    expect(other.result.etag).not.toBe(first.result.etag)
  })

  it("reads and deletes scripts", async () => {
    await upload("short-lived")
    expect(await scripts().get("short-lived", inNamespace)).toMatchObject({ script: { id: "short-lived" } })
    const listed = await client.get<{ result: unknown[] }>(`${NS}/production/scripts`)
    expect(listed.result.length).toBeGreaterThan(0)
    await scripts().delete("short-lived", inNamespace)
    expect(await refusal(scripts().get("short-lived", inNamespace))).toBe("404/10092")
    expect(await refusal(scripts().delete("short-lived", inNamespace))).toBe("404/10007")
  })

  it("refuses the form that the SDK's version 7 makes of an upload, as production does", async () => {
    const files = [
      await toFile(Buffer.from("export default {}"), "index.js", { type: "application/javascript+module" }),
    ]
    const metadata = { main_module: "index.js" }
    const update = scripts().update("broken", { ...inNamespace, metadata, files })
    // Its Content-Type says that the form is a script; read as one, it fails at the boundary's dashes.
    await expect(update).rejects.toThrow(/SyntaxError[\s\S]*worker\.js:1:4/)
    await expect(update).rejects.toMatchObject({ status: 400, errors: [{ code: 10021 }] })
    expect(await refusal(scripts().content.update("files", { ...inNamespace, metadata, files }))).toBe("400/10021")
    expect(await refusal(scripts().settings.edit("files", { ...inNamespace, settings: { logpush: true } }))).toBe(
      "400/10021",
    )
    expect(await refusal(scripts().get("broken", inNamespace))).toBe("404/10092")
  })

  it("manages secrets and tags, and reads bindings, settings and content", async () => {
    await scripts().secrets.update("files", { ...inNamespace, name: "KEY", type: "secret_text", text: "example" })
    const names: (string | undefined)[] = []
    for await (const { name } of scripts().secrets.list("files", inNamespace)) names.push(name)
    expect(names).toEqual(["KEY"])
    expect(await scripts().secrets.get("KEY", { ...inNamespace, script_name: "files" })).toEqual({
      name: "KEY",
      type: "secret_text",
    })
    await scripts().secrets.bulkUpdate("files", {
      ...inNamespace,
      secrets: { KEY: null, B: { name: "B", type: "secret_text", text: "b" } },
    })
    await scripts().tags.update("files", { ...inNamespace, body: ["a", "b"] })
    const tags: string[] = []
    for await (const tag of scripts().tags.list("files", inNamespace)) tags.push(tag)
    expect(tags).toEqual(["a", "b"])
    await scripts().tags.delete("a", { ...inNamespace, script_name: "files" })
    expect(await scripts().settings.get("files", inNamespace)).toMatchObject({ tags: ["b"] })
    const bindings: unknown[] = []
    for await (const binding of scripts().bindings.get("files", inNamespace)) bindings.push(binding)
    expect(bindings).toEqual([{ name: "B", type: "secret_text" }])
    const content = await (await scripts().content.get("files", inNamespace)).formData()
    expect([...content.keys()]).toEqual(["lib/index.js", "lib/greeting.txt"])
  })

  it("opens an asset upload session", async () => {
    const manifest = { "/index.html": { hash: "0123456789abcdef0123456789abcdef", size: 5 } }
    const session = await scripts().assetUpload.create("files", { ...inNamespace, manifest })
    expect(session).toMatchObject({ buckets: [["0123456789abcdef0123456789abcdef"]], jwt: expect.any(String) })
  })

  it("manages the resources that bindings name", async () => {
    const account = { account_id: ACCOUNT_ID }
    const kv = await client.kv.namespaces.create({ ...account, title: "example" })
    await client.kv.namespaces.values.update("a/b", {
      ...account,
      namespace_id: kv.id,
      value: "one",
      metadata: { n: 1 },
    })
    expect(await (await client.kv.namespaces.values.get("a/b", { ...account, namespace_id: kv.id })).text()).toBe("one")
    expect(await refusal(client.kv.namespaces.create({ ...account, title: "example" }))).toBe("400/10014")
    const database = await client.d1.database.create({ ...account, name: "example" })
    const results: unknown[] = []
    const sql = "SELECT 1 + ? AS sum"
    for await (const page of client.d1.database.query(String(database.uuid), { ...account, sql, params: ["1"] }))
      results.push(page.results)
    expect(results).toEqual([[{ sum: 2 }]])
    await client.r2.buckets.create({ ...account, name: "example" })
    expect((await client.r2.buckets.list(account)).buckets).toMatchObject([{ name: "example" }])
    const queue = await client.queues.create({ ...account, queue_name: "example" })
    await client.queues.messages.push(String(queue.queue_id), { ...account, body: { n: 1 }, content_type: "json" })
    const pulled = await client.queues.messages.pull(String(queue.queue_id), { ...account, batch_size: 10 })
    expect(pulled.messages).toMatchObject([{ body: '{"n":1}', attempts: 1 }])
  })
})
