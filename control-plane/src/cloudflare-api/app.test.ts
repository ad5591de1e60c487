import { beforeEach, describe, expect, it, vi } from "vitest"
import { type CloudflareFixture, cloudflareFixture } from "../../test/cloudflare-fixture.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { type Enveloped, putRequest, scriptPath, type UploadParts } from "../../test/upload-request.ts"
import { makeDependencies } from "../dependencies.ts"

const ARTIFACT_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const ACCOUNT = "/client/v4/accounts/0123456789abcdef0123456789abcdef"

let plane: TestControlPlane
let cloudflare: CloudflareFixture
let web: string
let other: string

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  plane = await startControlPlane((env) => ({
    fetch: cloudflare.fetch,
    settings: { ...makeDependencies(env).settings, artifactKey: ARTIFACT_KEY },
  }))
  web = await plane.team("web")
  other = await plane.team("other")
})

async function put(script: string, token: string, parts: UploadParts = {}) {
  const response = await plane.fetch(putRequest(script, token, parts))
  return { status: response.status, body: await response.json<Enveloped>() }
}

async function call(line: string, token: string | null = web, body?: unknown) {
  const { status, body: answer } = await plane.send(line, { token, ...(body === undefined ? {} : { body }) })
  const envelope: Enveloped = answer
  return { status, body: envelope, code: envelope.errors[0]?.code, message: envelope.errors[0]?.message ?? "" }
}

/** All that is kept anywhere, to compare. */
async function everything() {
  const tables = ["scripts", "versions", "deployments", "script_current", "audit", "config_revisions"]
  const rows = await Promise.all(tables.map((table) => plane.deps.db.prepare(`SELECT * FROM ${table}`).all()))
  const objects = await plane.deps.artifacts.list()
  const keys = await plane.deps.config.list()
  return {
    rows: rows.map((each) => each.results),
    objects: objects.objects.map((each) => [each.key, each.etag]),
    keys: keys.keys.map((each) => each.name),
    calls: [...cloudflare.calls],
  }
}

describe("what wrangler asks before an upload", () => {
  it("is told 10092 for a script that does not exist, and the script once it does", async () => {
    expect(await call(`GET ${scriptPath("pages")}`)).toMatchObject({ status: 404, code: 10092 })
    await put("pages", web)
    const { status, body } = await call(`GET ${scriptPath("pages")}`)
    expect(status).toBe(200)
    expect(body.result).toMatchObject({ dispatch_namespace: "production", script: { id: "pages", has_modules: true } })
  })

  it("is told 10092 for another team's script", async () => {
    await put("pages", web)
    expect(await call(`GET ${scriptPath("pages")}`, other)).toMatchObject({ status: 404, code: 10092 })
    for (const rest of ["settings", "bindings", "secrets", "content", "tags"])
      expect(await call(`GET ${scriptPath("pages")}/${rest}`, other)).toMatchObject({ status: 404, code: 10092 })
    expect((await call(`GET ${scriptPath("")}`.slice(0, -1), other)).body.result).toEqual([])
  })

  it("finds no account Worker of any name", async () => {
    for (const rest of ["secrets", "settings", ""])
      expect(await call(`GET ${ACCOUNT}/workers/scripts/pages/${rest}`)).toMatchObject({ status: 404, code: 10007 })
    const patch = await call(`PATCH ${ACCOUNT}/workers/scripts/pages/script-settings`, web, { tags: [] })
    expect(patch).toMatchObject({ status: 404, code: 10007 })
  })

  it("is told which namespace to use instead of creating one by a typo", async () => {
    expect((await call(`GET ${ACCOUNT}/workers/dispatch/namespaces`)).body.result).toMatchObject([
      { namespace_name: "production", trusted_workers: false },
    ])
    const wrong = await call(`GET ${ACCOUNT}/workers/dispatch/namespaces/producton/scripts/pages`)
    expect(wrong).toMatchObject({ status: 404, code: 100119 })
    expect(wrong.message).toContain("--dispatch-namespace production")
    const created = await call(`POST ${ACCOUNT}/workers/dispatch/namespaces`, web, { name: "producton" })
    expect(created.status).toBe(403)
    expect(created.message).toContain("--dispatch-namespace production")
  })

  it("finds a resource only by a grant, and creates none", async () => {
    const queue = `GET ${ACCOUNT}/queues?name=jobs&page=1`
    const refused = await call(queue)
    expect(refused.status).toBe(403)
    expect(refused.message).toContain("resource:queue:jobs")
    await plane.send("PUT /v1/teams/web", {
      body: { grants: ["resource:queue:jobs", "resource:r2_bucket:files"], egress: [] },
    })
    expect((await call(queue)).body.result).toMatchObject([{ queue_name: "jobs" }])
    expect((await call(`GET ${ACCOUNT}/r2/buckets/files`)).status).toBe(200)
    expect((await call(`GET ${ACCOUNT}/r2/buckets/file`)).status).toBe(403)
    expect((await call(queue, other)).status).toBe(403)
    for (const line of [
      `GET ${ACCOUNT}/storage/kv/namespaces?page=1`,
      `POST ${ACCOUNT}/storage/kv/namespaces`,
      `GET ${ACCOUNT}/d1/database?page=1`,
      `POST ${ACCOUNT}/d1/database`,
      `POST ${ACCOUNT}/queues`,
      `POST ${ACCOUNT}/r2/buckets`,
    ]) {
      const answer = await call(line, web, line.startsWith("POST") ? {} : undefined)
      expect(answer.status, line).toBe(403)
    }
    expect((await call(`GET ${ACCOUNT}/storage/kv/namespaces?page=1`)).message).toContain("Give the KV binding its id")
  })

  it("is told who it is", async () => {
    expect((await call("GET /client/v4/user/tokens/verify")).body.result).toMatchObject({ status: "active" })
    expect((await call("GET /client/v4/user")).body.result).toMatchObject({ email: "team web" })
    expect((await call("GET /client/v4/accounts?page=1")).body.result).toMatchObject([
      { id: "0123456789abcdef0123456789abcdef" },
    ])
    expect((await call("GET /client/v4/memberships?page=1")).body.result).toMatchObject([{ status: "accepted" }])
  })
})

describe("an upload through the door", () => {
  it("of another team's script is refused and changes nothing", async () => {
    await put("pages", web)
    const before = await everything()
    const { status, body } = await put("pages", other, { code: "export default 2" })
    expect(status).toBe(403)
    expect(body.errors[0]?.message).toContain("The script belongs to another team")
    expect(await everything()).toEqual(before)
  })

  const refused: readonly (readonly [string, UploadParts, string])[] = [
    [
      "a dispatch_namespace binding",
      { metadata: { bindings: [{ type: "dispatch_namespace", name: "D", namespace: "production" }] } },
      "/bindings/0/type",
    ],
    ["a worker_loader binding", { metadata: { bindings: [{ type: "worker_loader", name: "L" }] } }, "/bindings/0/type"],
    [
      "a foreign script_name",
      {
        metadata: {
          bindings: [{ type: "durable_object_namespace", name: "O", class_name: "C", script_name: "router" }],
        },
      },
      "/bindings/0/type",
    ],
    [
      "a service binding to the platform",
      { metadata: { bindings: [{ type: "service", name: "S", service: "sallyport-control-plane" }] } },
      "/bindings/0/type",
    ],
    [
      "a PLATFORM of its own",
      { metadata: { bindings: [{ type: "plain_text", name: "PLATFORM", text: "" }] } },
      "/bindings/0/name",
    ],
    ["tail_consumers", { metadata: { tail_consumers: [{ service: "spy" }] } }, "/tail_consumers"],
    [
      "a resource without a grant",
      { metadata: { bindings: [{ type: "kv_namespace", name: "K", namespace_id: "abc" }] } },
      "/bindings/0/namespace_id",
    ],
    ["inherit", { metadata: { bindings: [{ type: "inherit", name: "TOKEN" }] } }, "/bindings/0/type"],
    ["an unknown key", { metadata: { capnp: "x" } }, "/capnp"],
    ["a main module that is not there", { metadata: { main_module: "main.js" } }, "/main_module"],
    ["a module of no kind", { modules: { "a.html": { type: "text/html", text: "" } } }, "/parts/a.html"],
    ["an assets session that is none", { metadata: { assets: { jwt: `a.b.${"x".repeat(43)}` } } }, "/assets/jwt"],
  ]

  it.each(refused)("with %s is refused legibly and writes nothing anywhere", async (_what, parts, pointer) => {
    const before = await everything()
    const { status, body } = await put("pages", web, parts)
    expect(status).toBe(400)
    expect(body).toMatchObject({ success: false, result: null, messages: [] })
    expect(body.errors[0]?.code).toBe(10021)
    expect(body.errors[0]?.message).toContain(`\n- ${pointer}: `)
    expect(body.errors[0]?.documentation_url).toMatch(
      /^https:\/\/control-plane\.example\/\.sallyport\/problems\/upload\./,
    )
    expect(await everything()).toEqual(before)
  })

  it.each(["sallyport-dispatcher", "Pages", "a--b", "login", "x".repeat(49), "%2e%2e%2fx", "a_b"])(
    "of a script called %s is refused and writes nothing anywhere",
    async (script) => {
      const before = await everything()
      const { status, body } = await put(script, web)
      expect([status, body.errors[0]?.code]).toEqual([400, 10016])
      expect(await everything()).toEqual(before)
    },
  )

  it("keeps secrets out of what is stored, and gives them to Cloudflare alone", async () => {
    const bindings = [{ type: "secret_text", name: "TOKEN", text: "a secret of alice" }]
    expect((await put("pages", web, { metadata: { bindings } })).status).toBe(200)
    expect(JSON.stringify(cloudflare.scripts.get("pages--v1")?.metadata)).toContain("a secret of alice")
    const manifest = await plane.deps.artifacts.get("manifests/pages/1.json")
    expect(await manifest?.text()).not.toContain("alice")
    expect((await call(`GET ${scriptPath("pages")}/bindings`)).body.result).toEqual([
      { type: "secret_text", name: "TOKEN" },
    ])
    expect((await call(`GET ${scriptPath("pages")}/secrets`)).body.result).toEqual([
      { type: "secret_text", name: "TOKEN" },
    ])
    await put("pages", web, { metadata: { bindings } })
    expect(await plane.deps.store.versions.latest("pages")).toBe(1)
    await put("pages", web, { metadata: { bindings: [{ ...bindings[0], text: "another" }] } })
    expect(await plane.deps.store.versions.latest("pages")).toBe(2)
  })

  it("of a Workflow is refused for what it declares, which wrangler's question before it does not hide", async () => {
    const question = await call(`GET ${ACCOUNT}/workflows/orders`)
    expect([question.status, question.code]).toEqual([404, 10200])
    expect((await call(`GET ${ACCOUNT}/workflows`)).status).toBe(403)
    const bindings = [{ type: "workflow", name: "W", workflow_name: "orders", class_name: "W" }]
    const { body } = await put("pages", web, { metadata: { bindings } })
    expect(body.errors[0]?.message).toContain("/bindings/0/type: workflow is refused: Workflows are not available")
  })

  it("answers the modules back to their owner", async () => {
    await put("pages", web, { code: "export default 1" })
    const headers = { authorization: `Bearer ${web}` }
    const url = `https://control-plane.example${scriptPath("pages")}/content`
    const form = await (await plane.fetch(new Request(url, { headers }))).formData()
    const file = form.get("index.js")
    expect(typeof file === "string" ? file : await file?.text()).toBe("export default 1")
  })
})

describe("what an upload keeps of the version before", () => {
  const KEEP_SECRETS = ["secret_text", "secret_key"]
  const KEEP_ALL = ["plain_text", "json", ...KEEP_SECRETS]
  const secret = (text: string) => ({ type: "secret_text", name: "TOKEN", text })
  const code = (text: string) => `export default "${text}"`

  /** Uploads, and says which version that is and what was placed in it beside PLATFORM. */
  async function upload(bindings: readonly object[], options: { code?: string; keep?: unknown; token?: string } = {}) {
    const { keep = KEEP_SECRETS, token = web, code: text } = options
    const metadata = { bindings, keep_bindings: keep }
    const { status, body } = await put("pages", token, { metadata, ...(text === undefined ? {} : { code: text }) })
    const version = Number(String(body.result?.deployment_id).slice(0, 8))
    const placed = cloudflare.scripts.get(`pages--v${version}`)?.metadata.bindings as { name: string }[] | undefined
    const message = body.errors[0]?.message ?? ""
    return { status, version, message, bindings: placed?.filter((each) => each.name !== "PLATFORM") }
  }

  /** An upload that ended before its files were stored. */
  async function brokenOff(bindings: readonly object[]) {
    const store = vi.spyOn(plane.deps.artifacts, "put").mockRejectedValueOnce(new Error("R2 is down"))
    expect((await upload(bindings)).status).toBe(500)
    store.mockRestore()
  }

  it("is its secrets, sealed as they were, and the same upload again is the same version", async () => {
    await upload([secret("of alice")])
    const second = await upload([], { code: code("b") })
    expect(second).toMatchObject({ version: 2, bindings: [secret("of alice")] })
    expect(await upload([], { code: code("b") })).toMatchObject({ version: 2 })
    const [one, two] = await Promise.all([1, 2].map((each) => plane.deps.artifacts.get(`manifests/pages/${each}.json`)))
    const [first, kept] = [await one?.json<{ bindings: unknown }>(), await two?.text()]
    expect(kept).not.toContain("alice")
    expect(JSON.parse(String(kept)).bindings).toEqual(first?.bindings)
    expect((await call(`GET ${scriptPath("pages")}/secrets`)).body.result).toEqual([
      { type: "secret_text", name: "TOKEN" },
    ])
  })

  it("is what the newest version has: a secret that is sent takes the place of the one before, in a version of its own", async () => {
    await upload([secret("one"), { ...secret("x"), name: "OTHER" }])
    expect(await upload([secret("two")])).toMatchObject({
      version: 2,
      bindings: [{ name: "OTHER", text: "x" }, secret("two")],
    })
    expect((await upload([], { code: code("b") })).bindings).toMatchObject([{ name: "OTHER" }, secret("two")])
  })

  it("is nothing when the upload does not ask, and no secret whose name is given to something else, then or later", async () => {
    await upload([secret("one")])
    expect(await upload([], { keep: [] })).toMatchObject({ version: 2, bindings: [] })
    await upload([secret("one")])
    const plain = { type: "plain_text", name: "TOKEN", text: "" }
    expect((await upload([plain], { code: code("b") })).bindings).toEqual([plain])
    expect((await upload([], { code: code("b") })).bindings).toEqual([])
  })

  it("is what was uploaded last, also when that was an earlier content again", async () => {
    await upload([], { code: code("a") })
    await upload([secret("one")], { code: code("a") })
    expect(await upload([], { code: code("a"), keep: [] })).toMatchObject({ version: 1, bindings: [] })
    expect(await upload([], { code: code("b") })).toMatchObject({ version: 3, bindings: [] })
    await upload([secret("good")], { code: code("c") })
    await upload([secret("leaked")], { code: code("c") })
    expect(await upload([secret("good")], { code: code("c") })).toMatchObject({ version: 4 })
    expect((await upload([], { code: code("d") })).bindings).toEqual([secret("good")])
  })

  it("is not read past a version that is being stored, and past one that never was after a minute", async () => {
    await upload([secret("one")])
    await brokenOff([secret("two")])
    const early = await upload([], { code: code("b") })
    expect((await upload([secret("two")])).version).toBe(2)
    await brokenOff([secret("three")])
    expect([early.status, early.message.includes("still being stored")]).toEqual([503, true])
    plane.pass(60_000)
    expect((await upload([], { code: code("b") })).bindings).toEqual([secret("two")])
  })

  it("is found behind any number of versions that were never stored", async () => {
    await upload([secret("one")])
    for (let n = 0; n < 25; n++) {
      await brokenOff([secret(`broken ${n}`)])
      plane.pass(60_000)
    }
    expect((await call(`GET ${scriptPath("pages")}`)).status).toBe(200)
    expect((await upload([], { code: code("b") })).bindings).toEqual([secret("one")])
  })

  it.each([
    ["is gone", () => plane.deps.artifacts.delete("manifests/pages/2.json")],
    ["was changed", () => plane.deps.artifacts.put("manifests/pages/2.json", "{}")],
  ])("is refused, with what to do, where the manifest of the last version %s", async (_what, spoil) => {
    await upload([secret("one")])
    await upload([secret("two")])
    await spoil()
    const { status, message } = await upload([], { code: code("b") })
    expect([status, message.includes("- /keep_bindings: what version 2 has can no longer be read")]).toEqual([
      400,
      true,
    ])
    // It stays visible, by the version before.
    for (const path of [scriptPath("pages"), scriptPath("")])
      expect((await call(`GET ${path.replace(/\/$/, "")}`)).status).toBe(200)
    expect((await upload([], { code: code("c"), keep: [] })).bindings).toEqual([])
    expect((await upload([secret("three")], { code: code("b") })).bindings).toEqual([secret("three")])
  })

  it("is variables only when they are named too, and never a resource", async () => {
    await plane.send("PUT /v1/teams/web", { body: { grants: ["resource:kv_namespace:abc"], egress: [] } })
    const variables = [
      { type: "plain_text", name: "A", text: "a" },
      { type: "json", name: "B", json: { b: 1 } },
    ]
    await upload([...variables, secret("one"), { type: "kv_namespace", name: "KV", namespace_id: "abc" }])
    expect((await upload([], { code: code("b"), keep: KEEP_ALL })).bindings).toEqual([...variables, secret("one")])
    expect((await upload([], { code: code("c") })).bindings).toEqual([secret("one")])
    const refused = await upload([], { code: code("d"), keep: ["kv_namespace"] })
    expect(refused.status).toBe(400)
    expect(refused.message).toContain("- /keep_bindings/0: only secrets and variables are kept")
  })

  it("is nothing of a version that Cloudflare refused, however many there were", async () => {
    await upload([secret("one")])
    for (let each = 0; each < 25; each++) {
      const { status } = await upload([secret(`bad ${each}`)], { code: `SYNTAX ERROR ${each}` })
      expect(status).toBe(400)
    }
    expect((await upload([], { code: code("b") })).bindings).toEqual([secret("one")])
  })

  it("is nothing of another team that had the name before", async () => {
    await upload([secret("one")])
    await plane.send("DELETE /v1/scripts/pages", { token: web })
    expect((await plane.send("PUT /v1/scripts/pages", { body: { team: "other" } })).status).toBe(201)
    expect(await upload([], { token: other, keep: KEEP_ALL })).toMatchObject({ status: 200, bindings: [] })
  })

  it("is nothing of before the script was deleted, but what was uploaded anew since", async () => {
    await upload([secret("one")])
    plane.pass(1)
    await plane.send("DELETE /v1/scripts/pages", { token: web })
    plane.pass(1)
    expect(await upload([], { code: code("b") })).toMatchObject({ version: 2, bindings: [] })
    plane.pass(1)
    await plane.send("DELETE /v1/scripts/pages", { token: web })
    plane.pass(1)
    expect(await upload([secret("one")])).toMatchObject({ version: 1 })
    expect(await upload([], { code: code("c") })).toMatchObject({ version: 3, bindings: [secret("one")] })
  })

  it("is nothing in an upload of assets alone, which nobody reads a binding in", async () => {
    await upload([secret("one")])
    const session = await call(`POST ${scriptPath("pages")}/assets-upload-session`, web, { manifest: {} })
    const assets = { jwt: session.body.result.jwt, config: {} }
    const metadata = { assets, main_module: undefined, bindings: undefined }
    expect((await put("pages", web, { modules: null, metadata })).status).toBe(200)
  })

  it("is a secret that wrangler requires by inherit, and it alone", async () => {
    await upload([secret("one"), { type: "plain_text", name: "A", text: "a" }])
    const inherit = { type: "inherit", name: "TOKEN" }
    expect((await upload([inherit], { code: code("b"), keep: [] })).bindings).toEqual([secret("one")])
    for (const wrong of [
      { ...inherit, name: "A" },
      { ...inherit, name: "B" },
      { ...inherit, version_id: "1" },
    ]) {
      const { status, message } = await upload([wrong], { code: code("c") })
      expect([status, message.includes("- /bindings/0/type: inherit is refused")]).toEqual([400, true])
    }
  })
})

describe("the door", () => {
  it("refuses every path without a token, or with one of another kind", async () => {
    for (const path of [
      "/accounts",
      "/user",
      "/nothing",
      `/accounts/x/workers/dispatch/namespaces/production/scripts/a`,
    ])
      for (const token of [null, "x", `spt_${"x".repeat(43)}`, `${web} `.repeat(2)]) {
        const { status, code } = await call(`GET /client/v4${path}`, token)
        expect([status, code], `${path} ${token}`).toEqual([401, 10000])
      }
    const upload = await call(`POST ${ACCOUNT}/workers/assets/upload/${"a".repeat(32)}`, web, {})
    expect([upload.status, upload.code]).toEqual([401, 10000])
  })

  it("answers the question whether a token is valid with Cloudflare's own code for one that is not", async () => {
    const answer = await call("GET /client/v4/user/tokens/verify", `spt_${"x".repeat(43)}`)
    expect([answer.status, answer.code]).toEqual([401, 1000])
    expect(answer.message).toContain("A valid API token is required")
  })

  it("says which account it is when another is asked for", async () => {
    const { status, message } = await call("GET /client/v4/accounts/fedcba9876543210fedcba9876543210/queues")
    expect(status).toBe(403)
    expect(message).toContain("CLOUDFLARE_ACCOUNT_ID=0123456789abcdef0123456789abcdef")
  })

  it("refuses to delete or change a script, and says how it is done", async () => {
    await put("pages", web)
    const before = await everything()
    expect((await call(`DELETE ${scriptPath("pages")}?force=true`)).message).toContain("sallyport scripts delete pages")
    for (const [method, rest] of [
      ["PUT", "secrets"],
      ["PATCH", "settings"],
      ["PUT", "content"],
      ["PUT", "tags"],
      ["DELETE", "tags/a"],
      ["PATCH", "secrets-bulk"],
    ] as const) {
      const { status, message } = await call(`${method} ${scriptPath("pages")}/${rest}`, web, {})
      expect([status, message.includes("A version never changes")], `${method} ${rest}`).toEqual([403, true])
    }
    expect((await call(`PUT ${ACCOUNT}/workers/scripts/pages`, web, {})).message).toContain(
      "--dispatch-namespace production",
    )
    // `wrangler secret put` and `secret delete` know no namespace.
    for (const line of [
      `PUT ${ACCOUNT}/workers/scripts/pages/secrets`,
      `DELETE ${ACCOUNT}/workers/scripts/pages/secrets/A`,
    ])
      expect((await call(line, web, {})).message).toContain("Secrets come with --secrets-file")
    expect((await call(`DELETE ${ACCOUNT}/workers/services/pages?force=true`)).status).toBe(403)
    expect(await everything()).toEqual(before)
  })

  it("answers what nobody foresaw with a request id and nothing of its cause", async () => {
    const broken = makeDependencies(await bindings(), {
      db: undefined as unknown as D1Database,
      log: (record) => logs.push(record),
    })
    const logs: unknown[] = []
    const { controlPlane } = await import("../app.ts")
    const response = await controlPlane(() => broken).request("/client/v4/accounts", {
      headers: { authorization: `Bearer ${web}` },
    })
    const body = await response.json<Enveloped>()
    expect([response.status, body.errors[0]?.code]).toEqual([500, 10013])
    expect(body.errors[0]?.message).toMatch(/^Something went wrong in the gateway\. .* Request id: [0-9a-f-]{36}$/)
    expect(JSON.stringify(body)).not.toContain("undefined")
    expect(JSON.stringify(logs)).toContain("door.failed")
  })
})

async function bindings() {
  const { env } = await import("cloudflare:workers")
  return env as unknown as Parameters<typeof makeDependencies>[0]
}
