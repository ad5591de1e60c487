import { describe, expect, it } from "vitest"
import { parseMultipart } from "./parse-multipart.ts"

const TYPE = "multipart/form-data; boundary=example"
const bytes = (text: string) => new TextEncoder().encode(text.replaceAll("\n", "\r\n"))
const text = (body: Uint8Array) => new TextDecoder().decode(body)
const disposition = (rest: string) => `--example\nContent-Disposition: form-data; ${rest}`

describe("parseMultipart", () => {
  it("keeps what tells a field from a file", () => {
    const form = `${disposition('name="metadata"')}\n\n{}\n${disposition('name="a"; filename="lib/a.js"')}\nContent-Type: Application/JavaScript+Module; charset=utf-8\n\nexport {}\n--example--\n`
    const [field, file] = parseMultipart(bytes(form), TYPE)
    expect(field).toMatchObject({ name: "metadata", filename: null, type: null })
    expect(file).toMatchObject({ name: "a", filename: "lib/a.js", type: "application/javascript+module" })
    expect(text(file?.body ?? new Uint8Array())).toBe("export {}")
  })

  it("keeps bytes that look almost like a boundary", () => {
    const body = `a\n--exampl\n--examplf--\n\n`
    const [part] = parseMultipart(bytes(`${disposition('name="a"')}\n\n${body}\n--example--`), TYPE)
    expect(text(part?.body ?? new Uint8Array())).toBe(body.replaceAll("\n", "\r\n"))
  })

  it("reads what the platform's own form writes, escapes included", async () => {
    const form = new FormData()
    form.set('q"uote', new File([new Uint8Array([0, 255, 13, 10])], 'f"ile', { type: "application/wasm" }))
    const request = new Request("http://form.invalid", { method: "POST", body: form })
    const body = new Uint8Array(await request.arrayBuffer())
    const [part] = parseMultipart(body, request.headers.get("content-type") ?? "")
    expect(part).toEqual({
      name: 'q"uote',
      filename: 'f"ile',
      type: "application/wasm",
      body: new Uint8Array([0, 255, 13, 10]),
    })
  })

  it("accepts a form without parts", () => {
    expect(parseMultipart(bytes("--example--\n"), TYPE)).toEqual([])
  })

  it.each([
    ["no boundary in the type", "multipart/form-data", "--example--"],
    ["another boundary", "multipart/form-data; boundary=other", "--example--"],
    ["half of the body", TYPE, `${disposition('name="a"')}\n\nhal`],
    ["a part without a name", TYPE, `${disposition('filename="a"')}\n\na\n--example--`],
    ["a part without headers", TYPE, "--example\n\na\n--example--"],
  ])("refuses %s", (_case, type, body) => {
    expect(() => parseMultipart(bytes(body), type)).toThrow(expect.objectContaining({ kind: "validation" }))
  })
})
