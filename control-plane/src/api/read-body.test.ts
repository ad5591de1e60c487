import { beforeEach, describe, it } from "vitest"
import { PLAIN_TEAM, startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

const put = (raw: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  platform.send("PUT /v1/teams/web", { raw, headers })

describe("bodies: works", () => {
  for (const type of ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
    it(`takes ${type}`, async ({ expect }) => {
      expect((await put(JSON.stringify(PLAIN_TEAM), { "content-type": type })).status).toBe(201)
    })
})

describe("bodies: refuses", () => {
  const types = [
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json, text/plain",
    "application/jsonp",
    "application/problem+json",
  ]
  for (const type of types)
    it(`refuses the Content-Type ${JSON.stringify(type)}`, async ({ expect }) => {
      const sent = await put("{}", { "content-type": type })
      expect([sent.status, sent.body.code]).toEqual([415, "api.media-type"])
      expect((await platform.send("GET /v1/teams/web")).status).toBe(404)
    })

  it("refuses a body without Content-Type, and a compressed one", async ({ expect }) => {
    const request = new Request("https://control-plane.example/v1/teams/web", {
      method: "PUT",
      body: new TextEncoder().encode("{}"),
      headers: { authorization: `Bearer spt_${"o".repeat(43)}` },
    })
    expect((await platform.fetch(request)).status).toBe(415)
    expect((await put("{}", { "content-encoding": "gzip" })).status).toBe(415)
  })

  const texts: Record<string, string> = {
    "no JSON": "{",
    nothing: "",
    "JSON and more": "{} {}",
    "a comment": "{} // fine",
    "another type": "[]",
    null: "null",
    "a key given twice": '{"grants":["zones:read"],"grants":[]}',
    "a key given twice in two spellings": '{"grants":[],"gr\\u0061nts":["zones:read"]}',
    "a prototype": '{"__proto__":{"grants":["zones:read"]}}',
    "a prototype spelled otherwise": '{"__pr\\u006fto__":{}}',
    "an unknown key": '{"grant":[]}',
    "absurd nesting": `{"grants":${"[".repeat(65)}${"]".repeat(65)}}`,
    "nesting that would exhaust the stack": `{"grants":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
    "a byte order mark": "\uFEFF{}",
  }
  for (const [what, text] of Object.entries(texts))
    it(`refuses ${what}`, async ({ expect }) => {
      const sent = await put(text)
      expect([sent.status, sent.body.code]).toEqual([400, "api.body-invalid"])
    })

  it("points at the key that is given twice", async ({ expect }) => {
    const sent = await platform.send("PUT /v1/policy/issuers", {
      raw: '{"a/b":{"jwks":{"keys":[{"kty":"EC"},{"kid":"1","kid":"2"}]}}}',
    })
    expect(sent.body.errors).toEqual([{ pointer: "/a~1b/jwks/keys/1/kid", detail: "this key is given twice" }])
  })

  it("does not take an equal key of another object for a second one", async ({ expect }) => {
    const raw =
      '{"us01":{"origins":["https://a.example"]},"us02":{"origins":["https://b.example","https://origins.example"]}}'
    expect((await platform.send("PUT /v1/policy/audiences", { raw })).status).toBe(200)
  })

  it("refuses bytes that are not UTF-8", async ({ expect }) => {
    const bytes = Uint8Array.from(new TextEncoder().encode('{"message":"?"}'))
    bytes[12] = 0xff
    expect((await put(bytes)).body).toMatchObject({ code: "api.body-invalid", detail: "The body is not UTF-8." })
  })

  it("refuses more than a mebibyte, declared or not, and takes one byte less", async ({ expect }) => {
    const sized = (bytes: number) => JSON.stringify(PLAIN_TEAM).padEnd(bytes)
    expect((await put(sized(1024 * 1024))).status).toBe(201)
    expect((await put(sized(1024 * 1024 + 1))).body.code).toBe("api.too-large")
    const { readable, writable } = new TransformStream()
    const request = new Request("https://control-plane.example/v1/teams/web", {
      method: "PUT",
      body: readable,
      headers: { authorization: `Bearer spt_${"o".repeat(43)}`, "content-type": "application/json" },
    })
    const writer = writable.getWriter()
    const written = writer
      .write(new TextEncoder().encode(sized(1024 * 1024 + 1)))
      .then(() => writer.close())
      .catch(() => {})
    expect((await platform.fetch(request)).status).toBe(413)
    await written
  })
})
