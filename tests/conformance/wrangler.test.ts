/** Real wrangler, as a process, against the local Cloudflare API. */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { QUIET_WRANGLER } from "../../emulator/build.ts"
import { ACCOUNT_ID, type LocalApi, startApi, TOKEN } from "./start-api.ts"

const WRANGLER = path.resolve(import.meta.dirname, "../../node_modules/wrangler/bin/wrangler.js")
const NS = `/accounts/${ACCOUNT_ID}/workers/dispatch/namespaces`

let api: LocalApi
let folder: string

beforeAll(async () => {
  api = await startApi()
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-wrangler-"))
  await request("POST", NS, { name: "production" })
})
afterAll(async () => {
  await api.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Run {
  readonly code: number | null
  readonly output: string
}

async function wrangler(cwd: string, args: readonly string[], target = api): Promise<Run> {
  const child = spawn(process.execPath, [WRANGLER, ...args], {
    cwd,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      ...QUIET_WRANGLER,
      CLOUDFLARE_API_BASE_URL: target.url,
      CLOUDFLARE_API_TOKEN: TOKEN,
      CLOUDFLARE_ACCOUNT_ID: ACCOUNT_ID,
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  child.stdout.on("data", (chunk) => (output += String(chunk)))
  child.stderr.on("data", (chunk) => (output += String(chunk)))
  const code = await new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject))
  return { code, output }
}

async function request(
  method: string,
  route: string,
  body?: unknown,
  target = api,
): Promise<{ result: never; text: string; status: number }> {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" }
  const response = await fetch(`${target.url}${route}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    text,
    result: (text.startsWith("{") ? JSON.parse(text).result : undefined) as never,
  }
}

/** A project folder with these files and this wrangler.toml. */
async function project(name: string, config: string, files: Record<string, string>): Promise<string> {
  const root = path.join(folder, name)
  const head = `name = "${name}"\ncompatibility_date = "2026-10-01"\n`
  for (const [file, content] of Object.entries({ ...files, "wrangler.toml": head + config })) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true })
    await writeFile(path.join(root, file), content)
  }
  return root
}

const deploy = (cwd: string, namespace = "production") => wrangler(cwd, ["deploy", "--dispatch-namespace", namespace])
const HELLO = "export default { fetch() { return new Response('hello') } }"

describe("wrangler deploy --dispatch-namespace", () => {
  it("deploys code, variables and text modules, and updates them", async () => {
    const config = 'main = "index.js"\n[vars]\nGREETING = "hello"\nLIMITS = [1, 2]\n'
    const source = 'import text from "./text.txt"\nexport default { fetch() { return new Response(text) } }'
    const root = await project("with-vars", config, { "index.js": source, "text.txt": "a text" })
    const first = await deploy(root)
    expect(first.output).toContain("Uploaded with-vars")
    expect(first.code).toBe(0)
    const settings = (await request("GET", `${NS}/production/scripts/with-vars/bindings`)).result
    expect(settings).toEqual([
      { type: "plain_text", name: "GREETING", text: "hello" },
      { type: "json", name: "LIMITS", json: [1, 2] },
    ])
    expect((await request("GET", `${NS}/production/scripts/with-vars/content`)).text).toContain("a text")
    await request("PUT", `${NS}/production/scripts/with-vars/secrets`, { name: "KEY", type: "secret_text", text: "x" })
    expect((await deploy(root)).code).toBe(0)
    expect((await request("GET", `${NS}/production/scripts/with-vars/secrets`)).result).toEqual([
      { type: "secret_text", name: "KEY" },
    ])
  })

  it("deploys static assets, and sends a second time only what changed", async () => {
    const config = '[assets]\ndirectory = "public"\nnot_found_handling = "single-page-application"\n'
    const root = await project("with-assets", config, { "public/index.html": "<h1>one</h1>", "public/app.js": "one()" })
    const first = await deploy(root)
    expect(first.output).toContain("Found 2 new or modified static assets")
    expect(first.code).toBe(0)
    await writeFile(path.join(root, "public/index.html"), "<h1>two</h1>")
    const second = await deploy(root)
    expect(second.output).toContain("Found 1 new or modified static asset ")
    expect(second.code).toBe(0)
    expect((await deploy(root)).output).toContain("No updated asset files to upload")
    expect((await request("GET", `${NS}/production/scripts/with-assets`)).result).toMatchObject({
      script: { has_assets: true },
    })
  })

  it("sends assets one by one when the upload token says so", async () => {
    const single = await startApi({ vars: { ASSET_UPLOADS: "single" } })
    try {
      await request("POST", NS, { name: "production" }, single)
      const config = '[assets]\ndirectory = "public"\n'
      const root = await project("one-by-one", config, { "public/a.html": "a", "public/b.bin": "b" })
      const run = await wrangler(root, ["deploy", "--dispatch-namespace", "production"], single)
      expect(run.output).toContain("Uploaded one-by-one")
      expect(run.code).toBe(0)
    } finally {
      await single.stop()
    }
  })

  it("deploys a Durable Object with its migration, once", async () => {
    const config = `main = "index.js"
[[durable_objects.bindings]]
name = "COUNTER"
class_name = "Counter"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Counter"]
`
    const source = `import { DurableObject } from "cloudflare:workers"\nexport class Counter extends DurableObject {}\n${HELLO}`
    const root = await project("with-object", config, { "index.js": source })
    for (const _time of [1, 2]) {
      const run = await deploy(root)
      expect(run.output).toContain("Uploaded with-object")
      expect(run.code).toBe(0)
    }
    expect((await request("GET", `${NS}/production/scripts/with-object`)).result).toMatchObject({
      script: { migration_tag: "v1" },
    })
  })

  it("prints the refusal of a binding whose target does not exist", async () => {
    const config = 'main = "index.js"\n[[kv_namespaces]]\nbinding = "STORE"\nid = "00000000000000000000000000000000"\n'
    const root = await project("with-typo", config, { "index.js": HELLO })
    const run = await deploy(root)
    expect(run.output).toContain("KV namespace '00000000000000000000000000000000' not found.")
    expect(run.output).toContain("[code: 10041]")
    expect(run.code).toBe(1)
    expect((await request("GET", `${NS}/production/scripts/with-typo`)).status).toBe(404)
  })

  it("prints the refusal of code that does not start", async () => {
    const root = await project("does-not-start", 'main = "index.js"\n', {
      "index.js": `throw new Error("at the top")\n${HELLO}`,
    })
    const run = await deploy(root)
    expect(run.output).toContain("at the top")
    expect(run.output).toContain("[code: 10021]")
    expect(run.code).toBe(1)
  })

  it("fails for a namespace that does not exist", async () => {
    const root = await project("nowhere", 'main = "index.js"\n', { "index.js": HELLO })
    const run = await deploy(root, "nowhere")
    expect(run.output).toContain("[code: 100119]")
    expect(run.code).toBe(1)
  })
})

describe("wrangler dispatch-namespace", () => {
  it("creates, lists, gets, renames and deletes", async () => {
    const root = await project("namespaces", "", {})
    const run = async (...args: string[]) => wrangler(root, ["dispatch-namespace", ...args])
    expect((await run("create", "second")).output).toContain('Created dispatch namespace "second"')
    expect((await run("list")).output).toContain("namespace_name: 'second'")
    expect((await run("get", "second")).output).toContain("script_count: 0")
    expect((await run("rename", "second", "third")).code).toBe(0)
    expect((await run("get", "second")).output).toContain("[code: 100119]")
    expect((await run("delete", "third")).output).toContain('Deleted dispatch namespace "third"')
  })
})

describe("wrangler whoami", () => {
  it("knows the account", async () => {
    expect((await wrangler(folder, ["whoami"])).output).toContain(ACCOUNT_ID)
  })
})
