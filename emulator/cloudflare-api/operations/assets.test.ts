import { decodeJwt } from "jose"
import { beforeAll, describe, expect, it } from "vitest"
import { ACCOUNT, call, newNamespace, outcome, uploadForm } from "../scenario.ts"

interface Session {
  readonly jwt: string
  readonly buckets: readonly string[][]
}

const ONE = "1".repeat(32)
const TWO = "2".repeat(32)
let namespace = ""
beforeAll(async () => {
  namespace = await newNamespace("assets")
})

const open = async (files: Record<string, { hash: string; size: number }>, script = "pages") =>
  outcome(await call("POST", `${namespace}/scripts/${script}/assets-upload-session`, { manifest: files })) as Session

async function send(jwt: string, files: Record<string, string>, type = "text/html") {
  const form = new FormData()
  for (const [hash, content] of Object.entries(files)) form.set(hash, new File([btoa(content)], hash, { type }))
  return await call("POST", `${ACCOUNT}/workers/assets/upload?base64=true`, form, { authorization: `Bearer ${jwt}` })
}

const deploy = async (jwt: string, script = "pages") =>
  outcome(
    await call("PUT", `${namespace}/scripts/${script}`, uploadForm({ assets: { jwt, config: {} }, bindings: [] }, {})),
  )

describe("an asset upload session", () => {
  it("asks for what is missing, and completes with the last file", async () => {
    const session = await open({ "/a.html": { hash: ONE, size: 3 }, "/b.html": { hash: TWO, size: 3 } })
    expect(session.buckets.flat()).toEqual([ONE, TWO])
    expect(await deploy(session.jwt)).toMatch(/^400\/10021 the assets completion token is not valid/)
    expect(await send(session.jwt, { [ONE]: "one" })).toMatchObject({ status: 202, body: { result: {} } })
    const last = await send(session.jwt, { [TWO]: "two" })
    expect(last.status).toBe(201)
    expect(await deploy((last.body.result as Session).jwt)).toMatchObject({ has_assets: true, has_modules: false })
  })

  it("asks for nothing that another script of the namespace brought, and is complete at once", async () => {
    const session = await open({ "/c.html": { hash: ONE, size: 3 } }, "other")
    expect(session.buckets).toEqual([])
    expect(await deploy(session.jwt, "other")).toMatchObject({ has_assets: true })
    expect(await deploy(session.jwt, "pages")).toMatch(/^400\/10021 the assets completion token is not valid/)
  })

  it("gives tokens that live an hour", async () => {
    const { iat = 0, exp = 0 } = decodeJwt((await open({ "/a.html": { hash: ONE, size: 3 } })).jwt)
    expect(exp - iat).toBe(3600)
  })

  it("refuses files outside its manifest, of another size, or not in base64", async () => {
    const { jwt } = await open({ "/d.html": { hash: "3".repeat(32), size: 3 } })
    expect(outcome(await send(jwt, { [TWO]: "two" }))).toMatch(/is not in the manifest/)
    expect(outcome(await send(jwt, { ["3".repeat(32)]: "four" }))).toMatch(/does not have the size/)
    const form = new FormData()
    form.set("3".repeat(32), new File(["%%%"], "3".repeat(32)))
    const path = `${ACCOUNT}/workers/assets/upload?base64=true`
    expect(outcome(await call("POST", path, form, { authorization: `Bearer ${jwt}` }))).toMatch(/is not base64/)
  })

  it("refuses any other token, the account's included", async () => {
    const { jwt } = await open({ "/a.html": { hash: ONE, size: 3 } })
    const forged = `${jwt.split(".").slice(0, 2).join(".")}.${btoa("x".repeat(32))}`
    for (const token of ["", "example-local-token", forged, `${btoa('{"alg":"none"}')}.${jwt.split(".")[1]}.`])
      expect((await send(token, { [ONE]: "one" })).status, token).toBe(401)
  })

  it.each([
    ["no manifest", undefined],
    ["a path without a slash", { "a.html": { hash: ONE, size: 1 } }],
    ["a hash that is none", { "/a.html": { hash: "x", size: 1 } }],
    ["a file over 25 MiB", { "/a.html": { hash: ONE, size: 25 * 1024 * 1024 + 1 } }],
  ])("refuses %s", async (_case, manifest) => {
    const answer = await call("POST", `${namespace}/scripts/pages/assets-upload-session`, { manifest })
    expect(answer.status).toBe(400)
  })
})

describe("assets of a script", () => {
  it("stay when an upload keeps them, and go when it does not", async () => {
    const keeping = uploadForm({ keep_assets: true })
    expect(outcome(await call("PUT", `${namespace}/scripts/pages`, keeping))).toMatchObject({ has_assets: true })
    expect(outcome(await call("PUT", `${namespace}/scripts/pages`, uploadForm()))).toMatchObject({ has_assets: false })
  })
})
