import { describe, expect, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { readUpload, UPLOAD_LIMITS } from "./read-upload.ts"

const METADATA = '{"main_module":"index.js"}'

interface Part {
  readonly name: string
  readonly filename?: string
  readonly type?: string
  readonly content: string
}

const main: Part = {
  name: "index.js",
  filename: "index.js",
  type: "application/javascript+module",
  content: "export default {}",
}
const metadata: Part = { name: "metadata", content: METADATA }

/** The exact bytes, because FormData would not make the forms that are tested here. */
function request(parts: readonly Part[], boundary = "b0undary"): Request {
  const text = parts.map(({ name, filename, type, content }) => {
    const file = filename === undefined ? "" : `; filename="${filename}"`
    const contentType = type === undefined ? "" : `Content-Type: ${type}\r\n`
    return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n${contentType}\r\n${content}\r\n`
  })
  return new Request("https://control.example.com/", {
    method: "PUT",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: `${text.join("")}--${boundary}--\r\n`,
  })
}

async function refusal(given: Request): Promise<{ code: string; pointers: string[] }> {
  const thrown = await readUpload(given).catch((failure: unknown) => failure)
  if (!(thrown instanceof Refusal)) throw new Error("was not refused")
  return { code: thrown.code, pointers: (thrown.options.errors ?? []).map((each) => each.pointer) }
}

describe("readUpload", () => {
  it("names each module by its part's filename", async () => {
    const upload = await readUpload(
      request([
        metadata,
        main,
        { name: "x", filename: "./aa785-t.txt", type: "text/plain", content: "text" },
        { name: "y", filename: "lib/b.wasm", type: "application/wasm", content: "\0asm" },
        { name: "z", filename: "index.js.map", type: "application/source-map", content: "{}" },
      ]),
    )
    expect(upload.metadata).toEqual({ main_module: "index.js" })
    expect(upload.modules.map(({ name, kind }) => [name, kind])).toEqual([
      ["index.js", "esm"],
      ["./aa785-t.txt", "text"],
      ["lib/b.wasm", "wasm"],
      ["index.js.map", "sourcemap"],
    ])
  })

  it("takes the metadata as a field or as a file", async () => {
    const file = { ...metadata, filename: "blob", type: "application/json" }
    expect((await readUpload(request([file, main]))).metadata).toEqual({ main_module: "index.js" })
  })

  it("refuses two metadata parts, whichever form they have", async () => {
    expect(await refusal(request([metadata, main, metadata]))).toEqual({
      code: "upload.malformed",
      pointers: ["/parts/metadata"],
    })
    const file = { ...metadata, filename: "metadata", type: "application/json" }
    expect((await refusal(request([metadata, file, main]))).pointers).toEqual(["/parts/metadata"])
    expect((await refusal(request([main]))).pointers).toEqual(["/parts/metadata"])
  })

  it.each([
    ['{"bindings":[],"bindings":[]}', "/bindings"],
    ['{"bindings":[{"name":"A"},{"name":"A","na\\u006de":"B"}]}', "/bindings/1/name"],
    ['{"vars":{"__proto__":{}}}', "/vars/__proto__"],
  ])("refuses a key that parsers may read differently: %s", async (content, pointer) => {
    expect(await refusal(request([{ name: "metadata", content }, main]))).toEqual({
      code: "upload.malformed",
      pointers: [pointer],
    })
  })

  it.each(["", "[]", "null", '"x"', "{", "{}x"])("refuses metadata that is no JSON object: %s", async (content) => {
    expect((await refusal(request([{ name: "metadata", content }, main]))).code).toBe("upload.malformed")
  })

  it("refuses two modules of one name, also when one is spelled with ./", async () => {
    expect((await refusal(request([metadata, main, main]))).pointers).toEqual(["/parts/index.js"])
    const dotted = { ...main, filename: "./index.js" }
    expect((await refusal(request([metadata, main, dotted]))).pointers).toEqual(["/parts/.~1index.js"])
  })

  it.each(["../x.js", "a/../x.js", "/etc/x.js", "a//b.js", "a/./b.js", "__proto__", "a\\\\b.js", "a\u0001b.js"])(
    "refuses a filename that leads elsewhere: %j",
    async (filename) => {
      expect((await refusal(request([metadata, { ...main, filename }]))).code).toBe("upload.malformed")
    },
  )

  it.each([["text/x-python"], ["text/html"], ["application/json"], [undefined]])(
    "refuses a module of Content-Type %s",
    async (type) => {
      const { type: _, ...rest } = main
      const part = type === undefined ? rest : { ...rest, type }
      expect((await refusal(request([metadata, part]))).code).toBe("upload.malformed")
    },
  )

  it("refuses a part without filename, and more parts than any Worker has", async () => {
    expect((await refusal(request([metadata, main, { name: "x", content: "y" }]))).pointers).toEqual(["/parts/x"])
    const many = Array.from({ length: UPLOAD_LIMITS.parts + 1 }, (_, index) => ({ ...main, filename: `${index}.js` }))
    expect((await refusal(request([metadata, ...many]))).code).toBe("upload.malformed")
  })

  it("refuses what is not declared as multipart with a boundary", async () => {
    for (const type of [null, "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]) {
      const headers = type === null ? {} : { "content-type": type }
      const given = new Request("https://control.example.com/", { method: "PUT", headers, body: "{}" })
      if (type === null) given.headers.delete("content-type")
      expect((await refusal(given)).code, String(type)).toBe("api.media-type")
    }
  })

  it("refuses a body that is no multipart, or is cut off", async () => {
    const whole = new TextDecoder().decode(await request([metadata, main]).arrayBuffer())
    for (const body of ["", "{}", whole.slice(0, -20), whole.slice(40)]) {
      const headers = { "content-type": "multipart/form-data; boundary=b0undary" }
      const given = new Request("https://control.example.com/", { method: "PUT", headers, body })
      expect((await refusal(given)).code, body.slice(0, 30)).toMatch(/^(upload\.malformed|api\.media-type)$/)
    }
  })

  it("counts a body that declares no length, and stops reading when it is too large", async () => {
    let sent = 0
    const chunk = new Uint8Array(1024 * 1024)
    const body = new ReadableStream({
      pull(controller) {
        sent += chunk.byteLength
        controller.enqueue(chunk)
      },
    })
    const headers = { "content-type": "multipart/form-data; boundary=b0undary" }
    const given = new Request("https://control.example.com/", { method: "PUT", headers, body })
    expect((await refusal(given)).code).toBe("upload.too-large")
    expect(sent).toBeLessThan(UPLOAD_LIMITS.bytes + 4 * chunk.byteLength)
  })
})
