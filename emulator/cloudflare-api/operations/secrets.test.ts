import { beforeAll, describe, expect, it } from "vitest"
import { call, newNamespace, outcome, send, uploadForm } from "../scenario.ts"

let script = ""
beforeAll(async () => {
  script = `${await newNamespace("secrets")}/scripts/files`
  await call("PUT", script, uploadForm({ bindings: [{ type: "plain_text", name: "PLAIN", text: "a" }] }))
})

const VALUE = "a-value-that-nobody-may-see"
const put = async (body: unknown) => outcome(await call("PUT", `${script}/secrets`, body))

describe("secrets", () => {
  it("are never shown, wherever one looks", async () => {
    await put({ name: "TOKEN", type: "secret_text", text: VALUE })
    for (const path of ["", "/secrets", "/secrets/TOKEN", "/bindings", "/settings", "/content"])
      expect(await (await send("GET", script + path)).text(), path).not.toContain(VALUE)
  })

  it("can be keys", async () => {
    const key = {
      name: "KEY",
      type: "secret_key",
      format: "raw",
      algorithm: { name: "HMAC" },
      usages: ["sign"],
      key_base64: btoa(VALUE),
    }
    expect(await put(key)).toEqual({
      name: "KEY",
      type: "secret_key",
      format: "raw",
      algorithm: { name: "HMAC" },
      usages: ["sign"],
    })
    expect(await put({ ...key, key_base64: undefined })).toMatch(/^400\/10021 /)
  })

  it("are patched all or nothing", async () => {
    const secret = (text: unknown) => ({ type: "secret_text", text })
    const refused = await call("PATCH", `${script}/secrets-bulk`, { secrets: { NEW: secret("n"), WRONG: secret(1) } })
    expect(refused.status).toBe(400)
    expect(outcome(await call("GET", `${script}/secrets/NEW`))).toBe("404/10056 Binding 'NEW' not found")
    const patched = await call("PATCH", `${script}/secrets-bulk`, {
      secrets: { KEY: null, ABSENT: null, NEW: secret("n") },
    })
    expect(Object.keys(outcome(patched) as object)).toEqual(["TOKEN", "NEW"])
  })

  it("may have names that need encoding in a path", async () => {
    await put({ name: "A/B", type: "secret_text", text: "x" })
    expect(outcome(await call("GET", `${script}/secrets/A%252FB?url_encoded=true`))).toEqual({
      name: "A/B",
      type: "secret_text",
    })
    expect(outcome(await call("DELETE", `${script}/secrets/A%2FB`))).toBeNull()
  })

  it("do not take the name of another binding", async () => {
    expect(await put({ name: "PLAIN", type: "secret_text", text: "x" })).toMatch(
      /^400\/10053 Binding name 'PLAIN' already in use/,
    )
    expect(outcome(await call("DELETE", `${script}/secrets/PLAIN`))).toMatch(/^404\/10056/)
  })
})
