import { SignJWT } from "jose"
import { describe, expect, it } from "vitest"
import { PinReader } from "./read-pin.ts"

const NOW_S = 1_800_000_000
const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const key = Uint8Array.from({ length: 32 }, (_, index) => index)
const reader = new PinReader({ now: () => NOW_S * 1000 }, SECRET)

function pin(claims: object = {}, header: object = {}, signedBy = key): Promise<string> {
  return new SignJWT({
    iss: "sallyport-control-plane",
    aud: "sallyport-dispatcher",
    script: "files",
    version: 12,
    iat: NOW_S,
    exp: NOW_S + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: "HS256", typ: "release-pin+jwt", ...header })
    .sign(signedBy)
}

describe("PinReader", () => {
  it("reads the version of a signed pin", async () => {
    expect(await reader.read(await pin(), "files")).toBe(12)
  })

  it("reads nothing, at once, when no pin came", () => {
    expect(reader.read(null, "files")).toBeNull()
  })

  it.each<[string, () => Promise<string>]>([
    ["an unsigned wish", async () => "12"],
    ["a plain JWT", () => pin({}, { typ: "JWT" })],
    ["another script's pin", () => pin({ script: "pages" })],
    ["an expired pin", () => pin({ exp: NOW_S - 1 })],
    ["a pin that lives too long", () => pin({ iat: NOW_S - 86_401 })],
    ["a version that is no number", () => pin({ version: "12" })],
    ["version 0", () => pin({ version: 0 })],
    ["another issuer", () => pin({ iss: "someone" })],
    ["another audience", () => pin({ aud: "sallyport-control-plane" })],
    ["another key", () => pin({}, {}, new Uint8Array(32))],
  ])("ignores %s", async (_what, make) => {
    expect(await reader.read(await make(), "files")).toBeNull()
  })

  it("refuses a short secret when it is made", () => {
    expect(() => new PinReader({ now: () => 0 }, "AAAA")).toThrow("32 bytes")
  })
})
