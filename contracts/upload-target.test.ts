import { describe, expect, it } from "vitest"
import { parseUploadTarget } from "./upload-target.ts"

const MIB = 1024 * 1024
const answer = {
  method: "PUT",
  url: "https://store.example/key?signature=x",
  headers: { "content-type": "application/pdf" },
  client_headers: {},
  content_length: 27,
  sha256: "a".repeat(64),
  md5: null,
}

describe("parseUploadTarget", () => {
  it("reads what the service announces", () => {
    expect(parseUploadTarget(answer, false)).toEqual({
      url: answer.url,
      headers: answer.headers,
      clientHeaders: {},
      contentLength: 27,
      sha256: answer.sha256,
      md5: null,
    })
  })

  it.each([
    [{ method: "POST" }],
    [{ url: null }],
    [{ headers: { "a b": "x" } }],
    [{ headers: ["x"] }],
    [{ client_headers: { a: 1 } }],
    [{ client_headers: undefined }],
    [{ content_length: "27" }],
    [{ content_length: 0 }],
    [{ content_length: 1.5 }],
    [{ sha256: "A".repeat(64) }],
    [{ sha256: undefined }],
    [{ md5: "a".repeat(64) }],
  ])("takes no answer with %j", (change) => {
    expect(parseUploadTarget({ ...answer, ...change }, false)).toBeNull()
  })

  it.each([null, "x", [], [answer]])("takes %j for no answer", (other) => {
    expect(parseUploadTarget(other, false)).toBeNull()
  })

  it.each<[string, object, boolean]>([
    ["over 5 MiB", { content_length: 5 * MIB + 1 }, true],
    ["of 5 MiB", { content_length: 5 * MIB }, false],
    ["of one byte, the last", { content_length: 1, is_last: true }, true],
    ["of 100 MiB", { content_length: 100 * MIB }, true],
    ["of more than 100 MiB, the last", { content_length: 100 * MIB + 1, is_last: true }, false],
    ["without a digest", { content_length: 6 * MIB, sha256: null }, false],
  ])("knows a part %s", (_what, change, isOne) => {
    expect(parseUploadTarget({ ...answer, ...change }, true) !== null).toBe(isOne)
  })
})
