/**
 * Every answer of the local Cloudflare API against Cloudflare's own description of it. Each operation of the description must be
 * exercised with a success and a refusal: one without a test fails the last test of this file.
 *
 * Where the real API is known to deviate from its description, we answer as the real API does:
 * - code 971 (too many requests) is below the description's minimum of 1000;
 * - PUT of a script answers `deployment_id`, which wrangler reads and the description does not have;
 * - secrets are listed without their write-only value, though the description calls it required.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readSpecification, validatorFor } from "./specification.ts"
import { ACCOUNT_ID, type LocalApi, startApi, TOKEN } from "./start-api.ts"

const specification = readSpecification()
const HELLO = "export default { fetch() { return new Response('hello') } }"
const ASSET_HASH = "0123456789abcdef0123456789abcdef"
const A = `/accounts/${ACCOUNT_ID}`
const NS = `${A}/workers/dispatch/namespaces`
const SCRIPT = `${NS}/production/scripts/files`
const ABSENT = `${NS}/production/scripts/absent`
const NOWHERE = `${NS}/nowhere/scripts/files`

describe.skipIf(specification === null)("the local Cloudflare API", () => {
  const spec = specification ?? { operations: [], find: () => null, propertiesOf: () => [] }
  const exercised = new Set<string>()
  let api: LocalApi

  beforeAll(async () => {
    api = await startApi()
    await request("POST", NS, { name: "production" })
    await request("PUT", SCRIPT, upload({ tags: ["team-files"], bindings: bindings() }))
  })
  afterAll(() => api.stop())

  /** Sends, and holds the answer against the description. */
  async function request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const raw = body instanceof FormData || typeof body === "string"
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    })
    const operation = spec.find(method, path.split("?")[0] ?? "")
    if (operation === null) throw new Error(`${method} ${path} is not in the description`)
    exercised.add(`${operation.method} ${operation.path} ${response.ok ? "success" : "refusal"}`)
    const validate = validatorFor(operation, response.status)
    if (validate === undefined)
      return { status: response.status, headers: response.headers, body: null, text: await response.text() }
    const answer = (await response.json()) as Answer
    validate(answer)
    expect(validate.errors ?? [], `${method} ${path} ${response.status} ${JSON.stringify(answer)}`).toEqual([])
    return { status: response.status, headers: response.headers, body: answer, text: "" }
  }

  const refusal = async (method: string, path: string, body?: unknown) => {
    const { status, body: answer } = await request(method, path, body)
    return `${status}/${answer?.errors[0]?.code}`
  }

  it("manages namespaces", async () => {
    expect((await request("GET", NS)).body?.result).toMatchObject([
      { namespace_name: "production", trusted_workers: false },
    ])
    expect((await request("POST", NS, { name: "second" })).body?.result).toMatchObject({ script_count: 0 })
    expect(
      (await request("PUT", `${NS}/second`, { name: "renamed", trusted_workers: true })).body?.result,
    ).toMatchObject({
      namespace_name: "renamed",
      trusted_workers: true,
    })
    expect((await request("PATCH", `${NS}/renamed`, { trusted_workers: false })).body?.result).toMatchObject({
      namespace_name: "renamed",
      trusted_workers: false,
    })
    expect((await request("GET", `${NS}/renamed`)).status).toBe(200)
    expect((await request("DELETE", `${NS}/renamed`)).body?.result).toBeNull()
  })

  it("refuses what is wrong with namespaces", async () => {
    expect(await refusal("POST", NS, { name: "production" })).toBe("409/100120")
    for (const method of ["GET", "DELETE"]) expect(await refusal(method, `${NS}/nowhere`)).toBe("404/100119")
    for (const method of ["PUT", "PATCH"])
      expect(await refusal(method, `${NS}/nowhere`, { name: "a" })).toBe("404/100119")
    const wrongToken = await request("GET", NS, undefined, { authorization: "Bearer wrong" })
    expect(`${wrongToken.status}/${wrongToken.body?.errors[0]?.code}`).toBe("403/10000")
  })

  it("manages scripts", async () => {
    const { body } = await request("PUT", SCRIPT, upload({ tags: ["team-files"], bindings: bindings() }))
    const described = spec.propertiesOf("workers_script-response-upload")
    expect(Object.keys(body?.result as object).filter((key) => !described.includes(key))).toEqual(["deployment_id"])
    expect((await request("GET", SCRIPT)).body?.result).toMatchObject({
      dispatch_namespace: "production",
      script: { id: "files" },
    })
    expect((await request("GET", `${NS}/production/scripts?tags=team-files:yes`)).body?.result).toHaveLength(1)
    expect((await request("GET", `${SCRIPT}/bindings`)).body?.result).toContainEqual({
      type: "secret_text",
      name: "TOKEN",
    })
    expect((await request("GET", `${SCRIPT}/content`)).text).toBe(HELLO)
    const { body: replaced } = await request("PUT", `${SCRIPT}/content`, upload())
    expect(replaced?.result).toMatchObject({ id: "files", tags: ["team-files"] })
  })

  it("refuses what is wrong with scripts", async () => {
    expect(await refusal("PUT", SCRIPT, upload({ compatibility_date: "2999-01-01" }))).toBe("400/10021")
    expect(await refusal("PUT", NOWHERE, upload())).toBe("404/100119")
    expect(await refusal("GET", ABSENT)).toBe("404/10092")
    expect(await refusal("DELETE", ABSENT)).toBe("404/10007")
    expect(await refusal("GET", `${NS}/nowhere/scripts`)).toBe("404/100119")
    expect(await refusal("DELETE", `${NS}/production/scripts`)).toBe("400/10021")
    for (const path of ["content", "settings", "bindings", "secrets", "tags", "secrets/TOKEN"])
      expect(await refusal("GET", `${ABSENT}/${path}`), path).toBe("404/10092")
    expect(await refusal("PUT", `${ABSENT}/content`, upload())).toBe("404/10092")
  })

  it("deletes scripts, one and by tag", async () => {
    await request("PUT", `${NS}/production/scripts/one`, upload())
    expect((await request("DELETE", `${NS}/production/scripts/one?force=true`)).body?.result).toBeNull()
    await request("PUT", `${NS}/production/scripts/two`, upload({ tags: ["old"] }))
    await request("PUT", `${NS}/production/scripts/three`, upload({ tags: ["old"] }))
    const bulk = (await request("DELETE", `${NS}/production/scripts?tags=old:yes&limit=1`)).body as unknown
    expect(bulk).toEqual({ deleted: [{ id: expect.any(String) }], deleted_count: 1, has_more: true })
  })

  it("manages settings, secrets and tags", async () => {
    expect((await request("GET", `${SCRIPT}/settings`)).body?.result).toMatchObject({ tags: ["team-files"] })
    const form = new FormData()
    form.set("settings", JSON.stringify({ logpush: true }))
    expect((await request("PATCH", `${SCRIPT}/settings`, form)).body?.result).toMatchObject({ logpush: true })
    const secret = { name: "KEY", type: "secret_text", text: "example" }
    expect((await request("PUT", `${SCRIPT}/secrets`, secret)).body?.result).toEqual({
      name: "KEY",
      type: "secret_text",
    })
    expect((await request("GET", `${SCRIPT}/secrets`)).body?.result).toHaveLength(2)
    expect((await request("GET", `${SCRIPT}/secrets/KEY`)).body?.result).toEqual({ name: "KEY", type: "secret_text" })
    const patch = { secrets: { KEY: null, OTHER: { ...secret, name: "OTHER" } } }
    expect(Object.keys((await request("PATCH", `${SCRIPT}/secrets-bulk`, patch)).body?.result as object)).toEqual([
      "TOKEN",
      "OTHER",
    ])
    expect((await request("DELETE", `${SCRIPT}/secrets/OTHER`)).body?.result).toBeNull()
    expect((await request("GET", `${SCRIPT}/tags`)).body?.result).toEqual(["team-files"])
    expect((await request("PUT", `${SCRIPT}/tags`, ["a"])).body?.result).toEqual(["a"])
    expect((await request("PUT", `${SCRIPT}/tags/b`)).body?.result).toBeNull()
    expect((await request("DELETE", `${SCRIPT}/tags/a`)).body?.result).toBeNull()
    expect((await request("GET", `${SCRIPT}/tags`)).body?.result).toEqual(["b"])
  })

  it("refuses what is wrong with settings, secrets and tags", async () => {
    expect(await refusal("PATCH", `${SCRIPT}/settings`, new FormData())).toBe("400/10021")
    expect(await refusal("PUT", `${ABSENT}/secrets`, { name: "A", type: "secret_text", text: "b" })).toBe("404/10092")
    expect(await refusal("GET", `${SCRIPT}/secrets/ABSENT`)).toBe("404/10056")
    expect(await refusal("DELETE", `${SCRIPT}/secrets/ABSENT`)).toBe("404/10056")
    expect(await refusal("PATCH", `${ABSENT}/secrets-bulk`, { secrets: {} })).toBe("404/10092")
    expect(await refusal("PUT", `${SCRIPT}/tags`, "not a list")).toBe("400/10021")
    expect(await refusal("PUT", `${ABSENT}/tags/a`)).toBe("404/10092")
    expect(await refusal("DELETE", `${SCRIPT}/tags/absent`)).toBe("404/10021")
  })

  it("takes assets", async () => {
    const manifest = { "/index.html": { hash: ASSET_HASH, size: 5 }, "/b.html": { hash: "f".repeat(32), size: 5 } }
    const opened = (await request("POST", `${SCRIPT}/assets-upload-session`, { manifest })).body?.result as Session
    expect(opened.buckets.flat()).toEqual([ASSET_HASH, "f".repeat(32)])
    const authorization = `Bearer ${opened.jwt}`
    const path = `${A}/workers/assets/upload?base64=true`
    expect((await request("POST", path, assetForm(ASSET_HASH), { authorization })).status).toBe(202)
    const last = await request("POST", path, assetForm("f".repeat(32)), { authorization })
    expect(last).toMatchObject({ status: 201, body: { result: { jwt: expect.any(String) } } })
    expect(await refusal("POST", path, assetForm(ASSET_HASH))).toBe("401/10000")
    expect(await refusal("POST", `${NOWHERE}/assets-upload-session`, { manifest: {} })).toBe("404/100119")
  })

  it("is judged by validators that can fail", () => {
    const list = spec.find("GET", NS)
    const good = { success: true, errors: [], messages: [], result: [{ namespace_name: "production" }] }
    const verdict = (answer: unknown) => list !== null && validatorFor(list, 200)?.(answer)
    expect(verdict(good)).toBe(true)
    expect(verdict({ ...good, success: false })).toBe(false)
    expect(verdict({ ...good, messages: undefined })).toBe(false)
    expect(verdict({ ...good, result: [{ namespace_name: 1 }] })).toBe(false)
  })

  it("has a tested success and refusal for every operation of the description", () => {
    const wanted = spec.operations.flatMap(({ method, path }) => [
      `${method} ${path} success`,
      `${method} ${path} refusal`,
    ])
    expect(wanted.filter((each) => !exercised.has(each))).toEqual([])
  })
})

interface Answer {
  readonly success: boolean
  readonly errors: readonly { code: number }[]
  readonly result: unknown
}

interface Session {
  readonly jwt: string
  readonly buckets: string[][]
}

function upload(metadata: Record<string, unknown> = {}): FormData {
  const form = new FormData()
  form.set("metadata", JSON.stringify({ main_module: "index.js", compatibility_date: "2026-10-01", ...metadata }))
  form.set("index.js", new File([HELLO], "index.js", { type: "application/javascript+module" }))
  return form
}

function bindings(): Record<string, unknown>[] {
  return [
    { type: "plain_text", name: "GREETING", text: "hello" },
    { type: "json", name: "LIMITS", json: [1, 2] },
    { type: "secret_text", name: "TOKEN", text: "example" },
    { type: "service", name: "PLATFORM", service: "sallyport-dispatcher", entrypoint: "Platform" },
  ]
}

function assetForm(hash: string): FormData {
  const form = new FormData()
  form.set(hash, new File([Buffer.from("hello").toString("base64")], hash, { type: "text/html" }))
  return form
}
