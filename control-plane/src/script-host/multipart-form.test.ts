import { describe, expect, it } from "vitest"
import { MultipartForm } from "./multipart-form.ts"

const file = (name: string, type = "text/plain") => ({ name, type })

/** As whoever receives it reads it. The stream fails when it has more or fewer bytes than were declared. */
function received(form: MultipartForm): Promise<FormData> {
  return new Response(form.open(), { headers: { "content-type": form.contentType } }).formData()
}

describe("MultipartForm", () => {
  it("is read as fields and files, each time it is opened", async () => {
    const sent = new MultipartForm([
      { name: "metadata", file: null, content: new TextEncoder().encode('{"a":"ü"}') },
      {
        name: "./lib/a b.js",
        file: file("./lib/a b.js", "application/javascript+module"),
        content: new Uint8Array([1]),
      },
    ])
    for (const form of [await received(sent), await received(sent)]) {
      const module = form.get("./lib/a b.js")
      if (module === null || typeof module === "string") throw new Error("is no file")
      expect(form.get("metadata")).toBe('{"a":"ü"}')
      expect([module.name, module.type]).toEqual(["./lib/a b.js", "application/javascript+module"])
      expect(new Uint8Array(await module.arrayBuffer())).toEqual(new Uint8Array([1]))
    }
  })

  it("keeps a name or type from ending its line", async () => {
    const name = 'a"; filename="b\r\nX: y'
    const form = await received(new MultipartForm([{ name, file: file(name, "a\r\nX: y"), content: new Uint8Array() }]))
    const [[key, part] = []] = [...form]
    expect(key).not.toContain("\n")
    expect(typeof part === "string" ? part : part?.type).toBe("application/octet-stream")
    expect([...form]).toHaveLength(1)
  })

  const CHUNK = 192 * 1024
  it.each([0, 1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 2])(
    "carries %i bytes whole, in base64 as they are",
    async (size) => {
      const content = Uint8Array.from({ length: size }, (_, index) => (index * 31) % 256)
      const parts = [false, true].map((base64) => ({ name: String(base64), file: file("x"), content, base64 }))
      const form = await received(new MultipartForm(parts))
      const [raw, encoded] = [form.get("false"), form.get("true")]
      if (!(raw instanceof File && encoded instanceof File)) throw new Error("are no files")
      expect(new Uint8Array(await raw.arrayBuffer())).toEqual(content)
      const text = await encoded.text()
      expect(text).toHaveLength(4 * Math.ceil(size / 3))
      expect(Uint8Array.from(atob(text), (char) => char.charCodeAt(0))).toEqual(content)
    },
  )
})
