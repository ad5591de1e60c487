import { env } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import { call, HELLO, newNamespace, outcome, uploadForm } from "../scenario.ts"

let scripts = ""
beforeAll(async () => {
  scripts = `${await newNamespace("uploads")}/scripts`
})

const put = async (name: string, form: FormData, query = "") => call("PUT", `${scripts}/${name}${query}`, form)
const refusal = async (name: string, form: FormData, query = "") => outcome(await put(name, form, query))

describe("an upload", () => {
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

  it("runs on a laptop in the runtime it is meant for", () => {
    expect(navigator.userAgent).toBe("Cloudflare-Workers")
    expect(env).toBeDefined()
  })

  it("refuses code that does not parse, with the runtime's words", async () => {
    const form = uploadForm({}, { "index.js": "export default {" })
    expect(await refusal("broken", form)).toMatch(/^400\/10021 Uncaught SyntaxError/)
  })

  it("refuses a main module that is not among the parts", async () => {
    const form = uploadForm({ main_module: "worker.js" }, { "other.js": HELLO })
    expect(await refusal("missing", form)).toBe("400/10021 No such module: worker.js")
  })
})
