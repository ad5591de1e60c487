import { beforeAll, describe, expect, it } from "vitest"
import { ACCOUNT, call, HELLO, newNamespace, outcome, uploadForm } from "../scenario.ts"

let scripts = ""
beforeAll(async () => {
  scripts = `${await newNamespace("uploads")}/scripts`
})

const put = async (name: string, form: FormData, query = "") => call("PUT", `${scripts}/${name}${query}`, form)
const refusal = async (name: string, form: FormData, query = "") => outcome(await put(name, form, query))
const bindingsOf = async (name: string) => outcome(await call("GET", `${scripts}/${name}/bindings`))
const module = (source: string, type = "application/javascript+module") => new File([source], "index.js", { type })

describe("an upload that is accepted", () => {
  it("runs in the runtime it is meant for", () => {
    expect(navigator.userAgent).toBe("Cloudflare-Workers")
  })

  it("answers what wrangler reads from it", async () => {
    const { status, body } = await put("files", uploadForm())
    expect(status).toBe(200)
    expect(body.result).toMatchObject({
      id: "files",
      etag: expect.stringMatching(/^[0-9a-f]{64}$/),
      deployment_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      startup_time_ms: expect.any(Number),
      handlers: ["fetch"],
      has_modules: true,
    })
  })

  it("takes metadata as a file as well as a field", async () => {
    const form = new FormData()
    form.set(
      "metadata",
      new File([JSON.stringify({ main_module: "index.js" })], "metadata.json", { type: "application/json" }),
    )
    form.set("anything", module(HELLO))
    expect((await put("metadata-file", form)).status).toBe(200)
  })

  it("keeps keys that it does not know", async () => {
    const update = { mode: "deferred", max_delay: 300 }
    expect((await put("unknown-keys", uploadForm({ code_update_strategy: update, key_of_tomorrow: 1 }))).status).toBe(
      200,
    )
  })

  it("names modules by filename, and lets them import each other by it", async () => {
    const source = 'import text from "./0123-x.txt"\nexport default { fetch() { return new Response(text) } }'
    expect((await put("text-module", uploadForm({}, { "index.js": source, "./0123-x.txt": "a text" }))).status).toBe(
      200,
    )
  })

  it("lists handlers and classes that the code exports", async () => {
    const source = `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers"
export class Counter extends DurableObject {}
export class Door extends WorkerEntrypoint { fetch() {} }
export default { async fetch() {}, scheduled() {} }`
    expect((await put("handlers", uploadForm({}, { "index.js": source }))).body.result).toMatchObject({
      handlers: ["fetch", "scheduled"],
      named_handlers: [
        { name: "Counter", handlers: ["class"] },
        { name: "Door", handlers: ["fetch"] },
      ],
    })
  })

  it("takes a service-worker script as the body itself", async () => {
    const source = 'addEventListener("fetch", (event) => event.respondWith(new Response("hello")))'
    const { status, body } = await call("PUT", `${scripts}/classic`, source, {
      "content-type": "application/javascript",
    })
    expect(status).toBe(200)
    expect(body.result).toMatchObject({ handlers: ["fetch"], has_modules: false })
  })

  it("takes a date that this machine's runtime is too old for", async () => {
    const today = new Date().toISOString().slice(0, 10)
    expect((await put("today", uploadForm({ compatibility_date: today }))).status).toBe(200)
  })

  it("takes a flag that the date implies anyway, which production no longer refuses (workerd#6980)", async () => {
    const compatibility_flags = ["url_standard", "global_navigator"]
    const form = uploadForm({ compatibility_date: "2026-10-01", compatibility_flags })
    expect((await put("implied-flag", form)).status).toBe(200)
  })

  it("lets code read variables at global scope", async () => {
    const source = `import { env } from "cloudflare:workers"\nif (env.GREETING !== "hello") throw new Error("no greeting")\n${HELLO}`
    const bindings = [{ type: "plain_text", name: "GREETING", text: "hello" }]
    expect((await put("global-env", uploadForm({ bindings }, { "index.js": source }))).status).toBe(200)
  })
})

describe("an upload that is refused", () => {
  it.each([
    ["does not parse", "export default {", /^400\/10021 Uncaught SyntaxError/],
    ["throws at its top", `throw new Error("at the top")\n${HELLO}`, /^400\/10021 Uncaught Error: at the top/],
    ["imports what is not there", `import "./absent.js"\n${HELLO}`, /^400\/10021 .*No such module "absent.js"/],
    [
      "exports nothing to call",
      "export const a = 1",
      /^400\/10068 The uploaded script has no registered event handlers/,
    ],
  ])("has code that %s", async (_case, source, expected) => {
    expect(await refusal("broken", uploadForm({}, { "index.js": source }))).toMatch(expected)
  })

  it.each([
    ["a main module that is not among the parts", { main_module: "worker.js" }, "400/10021 No such module: worker.js"],
    [
      "a date in the future",
      { compatibility_date: "2999-01-01" },
      "400/10021 Can't set compatibility date in the future: 2999-01-01",
    ],
    [
      "a flag twice",
      { compatibility_flags: ["nodejs_als", "nodejs_als"] },
      "400/10021 Compatibility flag specified multiple times: nodejs_als",
    ],
    [
      "flags that contradict each other",
      { compatibility_flags: ["url_standard", "url_original"] },
      "400/10021 Compatibility flags are mutually contradictory: url_standard vs url_original",
    ],
    ["a date that is none", { compatibility_date: "soon" }, "400/10021 Invalid compatibility date: soon"],
    ["nine tags", { tags: [..."abcdefghi"] }, "400/10021 a Worker may have at most 8 tags"],
    ["bindings that are no list", { bindings: {} }, "400/10021 bindings must be a list"],
  ])("has %s", async (_case, metadata, expected) => {
    expect(await refusal("broken", uploadForm(metadata))).toBe(expected)
  })

  it("has a compatibility flag that the runtime does not know", async () => {
    expect(await refusal("broken", uploadForm({ compatibility_flags: ["no_such_flag"] }))).toMatch(
      /^400\/10021 .*no_such_flag/,
    )
  })

  it("has the same binding name twice", async () => {
    const twice = { type: "plain_text", name: "A", text: "a" }
    expect(await refusal("broken", uploadForm({ bindings: [twice, twice] }))).toMatch(/^400\/10053 /)
  })

  it("has no metadata part", async () => {
    const form = new FormData()
    form.set("index.js", module(HELLO))
    expect(await refusal("broken", form)).toBe("400/10021 could not read content for part metadata")
  })

  it("has a module without a name, which its sender called blob", async () => {
    const form = uploadForm({ main_module: "worker.js" }, {})
    form.append("worker.js", new File([HELLO], "blob", { type: "application/javascript+module" }))
    expect(await refusal("broken", form)).toBe("400/10021 No such module: worker.js")
  })

  it("has a module of a type that does not exist", async () => {
    const form = uploadForm()
    form.set("index.js", module(HELLO, "text/html"))
    expect(await refusal("broken", form)).toMatch(/^400\/10021 .*text\/html/)
  })

  it("is the flattened form of the SDK's version 7, sent under a script's type", async () => {
    const body =
      '------example\r\nContent-Disposition: form-data; name="metadata[main_module]"\r\n\r\nindex.js\r\n------example--\r\n'
    const answer = await call("PUT", `${scripts}/flattened`, body, { "content-type": "application/javascript" })
    expect(outcome(answer)).toMatch(/^400\/10021 .*SyntaxError[\s\S]*worker\.js:1:4/)
  })

  it("is too large", async () => {
    const noise = new Uint8Array(11 * 1024 * 1024)
    for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536))
    const form = uploadForm()
    form.set("noise", new File([noise], "noise.bin", { type: "application/octet-stream" }))
    expect(await refusal("broken", form)).toMatch(/^400\/10027 Your Worker exceeded the size limit/)
    form.set("noise", new File([new Uint8Array(noise.length)], "zeros.bin", { type: "application/octet-stream" }))
    expect((await put("compressible", form)).status).toBe(200)
  })

  it("leaves nothing behind, and an earlier version as it was", async () => {
    expect((await call("GET", `${scripts}/broken`)).status).toBe(404)
    const before = await put("kept", uploadForm({ tags: ["first"] }))
    await put("kept", uploadForm({ tags: ["second"] }, { "index.js": "export default {" }))
    expect(outcome(await call("GET", `${scripts}/kept`))).toMatchObject({
      script: before.body.result && { tags: ["first"] },
    })
  })
})

describe("an upload over an existing script", () => {
  const variable = { type: "plain_text", name: "GREETING", text: "hello" }
  const secret = { name: "TOKEN", type: "secret_text", text: "example" }

  it("keeps secrets when it says so, and drops them when it does not", async () => {
    await put("secretive", uploadForm())
    await call("PUT", `${scripts}/secretive/secrets`, secret)
    await put("secretive", uploadForm({ bindings: [variable], keep_bindings: ["secret_text", "secret_key"] }))
    expect(await bindingsOf("secretive")).toEqual([variable, { name: "TOKEN", type: "secret_text" }])
    await put("secretive", uploadForm({ bindings: [variable] }))
    expect(await bindingsOf("secretive")).toEqual([variable])
  })

  it("fails on an inherited binding that is not there only when strict", async () => {
    const form = () => uploadForm({ bindings: [{ type: "inherit", name: "ABSENT" }] })
    expect(await refusal("inheriting", form(), "?bindings_inherit=strict")).toMatch(/^400\/10057 /)
    expect((await put("inheriting", form())).status).toBe(200)
  })

  it("has the same etag for the same content, whatever is said about it", async () => {
    const etag = async (metadata: Record<string, unknown>) =>
      ((await put("same", uploadForm(metadata))).body.result as { etag: string }).etag
    const first = await etag({})
    expect(await etag({ annotations: { "workers/message": "again" } })).toBe(first)
    expect(await etag({ keep_bindings: ["secret_text"] })).toBe(first)
    expect(await etag({ bindings: [variable] })).not.toBe(first)
  })

  it("loses no secret that is set while it is under way", async () => {
    await put("racing", uploadForm())
    const keep = { keep_bindings: ["secret_text"] }
    await Promise.all([
      put("racing", uploadForm(keep)),
      call("PUT", `${scripts}/racing/secrets`, secret),
      put("racing", uploadForm({ ...keep, bindings: [variable] })),
    ])
    expect(await bindingsOf("racing")).toContainEqual({ name: "TOKEN", type: "secret_text" })
  })

  it("takes its turn among many, none of which is lost", async () => {
    await put("crowded", uploadForm())
    const names = Array.from({ length: 20 }, (_, index) => `SECRET_${index}`)
    const uploads = names.map(() => put("crowded", uploadForm({ keep_bindings: ["secret_text"] })))
    const secrets = names.map((name) => call("PUT", `${scripts}/crowded/secrets`, { ...secret, name }))
    const answers = await Promise.all([...uploads, ...secrets])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(await bindingsOf("crowded")).toHaveLength(20)
  })
})

describe("an upload that names resources", () => {
  it("is accepted once they exist", async () => {
    const kv = outcome(await call("POST", `${ACCOUNT}/storage/kv/namespaces`, { title: "values" })) as { id: string }
    const bindings = [{ type: "kv_namespace", name: "STORE", namespace_id: kv.id }]
    expect((await put("bound", uploadForm({ bindings }))).status).toBe(200)
    await call("DELETE", `${ACCOUNT}/storage/kv/namespaces/${kv.id}`)
    expect(await refusal("bound", uploadForm({ bindings }))).toMatch(/^400\/10041 /)
  })
})
