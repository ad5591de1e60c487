import { describe, expect, it } from "vitest"
import { sealWith } from "./seal.ts"

const KEY = "A".repeat(43)
const OTHER = `B${"A".repeat(42)}`
const label = { purpose: "passport-key", name: "k1" }
const bytes = new TextEncoder().encode("canary of a private key") as Uint8Array<ArrayBuffer>

describe("a seal", () => {
  it("opens to what was sealed, and says nothing of it to others", async () => {
    const { seal, open } = await sealWith(KEY)
    const sealed = await seal(bytes, label)
    expect(await open(sealed, label)).toEqual(bytes)
    expect(atob(sealed.replaceAll("-", "+").replaceAll("_", "/"))).not.toContain("canary")
  })

  it("gives another text each time", async () => {
    const { seal } = await sealWith(KEY)
    expect(await seal(bytes, label)).not.toBe(await seal(bytes, label))
  })

  it.each([
    ["another name", { purpose: "passport-key", name: "k2" }],
    ["another purpose", { purpose: "passport-keyk", name: "1" }],
  ])("does not open under %s", async (_, other) => {
    const { seal, open } = await sealWith(KEY)
    expect(await open(await seal(bytes, label), other)).toBeNull()
  })

  it("does not open when a single character was changed, cut off or added", async () => {
    const { seal, open } = await sealWith(KEY)
    const sealed = await seal(bytes, label)
    for (let at = 0; at < sealed.length; at++) {
      const changed = `${sealed.slice(0, at)}${sealed[at] === "A" ? "B" : "A"}${sealed.slice(at + 1)}`
      expect(await open(changed, label)).toBeNull()
    }
    for (const text of ["", "A", sealed.slice(1), `${sealed}A`, `${sealed}=`, `${sealed} `])
      expect(await open(text, label)).toBeNull()
  })

  it("opens with any of the keys and seals with the first, so that keys can change", async () => {
    const before = await sealWith(KEY)
    const during = await sealWith(`${OTHER} ${KEY}`)
    const after = await sealWith(OTHER)
    expect(await during.open(await before.seal(bytes, label), label)).toEqual(bytes)
    const renewed = await during.seal(bytes, label)
    expect(await after.open(renewed, label)).toEqual(bytes)
    expect(await before.open(renewed, label)).toBeNull()
  })

  it.each(["", "short", "A".repeat(44), `${"A".repeat(42)}B`, `${KEY} `.repeat(5)])(
    "refuses %j as keys",
    async (keys) => {
      await expect(sealWith(keys)).rejects.toThrow(TypeError)
    },
  )
})
