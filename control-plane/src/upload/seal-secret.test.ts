import { describe, expect, it } from "vitest"
import { secretSeal } from "./seal-secret.ts"

const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const OTHER_KEY = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const secret = { type: "secret_text", name: "TOKEN", text: "a secret of alice" }

describe("secretSeal", () => {
  it("opens what it sealed and shows nothing of it in between", async () => {
    const seal = secretSeal(KEY)
    const sealed = await seal.seal("files", secret)
    expect(JSON.stringify(sealed)).not.toContain("alice")
    expect(Object.keys(sealed)).toEqual(["type", "name", "sealed"])
    expect(await seal.open("files", sealed)).toEqual(secret)
  })

  it("seals the same secret to the same text, and another value, name or script to another", async () => {
    const seal = secretSeal(KEY)
    const sealed = (await seal.seal("files", secret)).sealed
    expect((await secretSeal(KEY).seal("files", { ...secret })).sealed).toBe(sealed)
    for (const [script, binding] of [
      ["pages", secret],
      ["files", { ...secret, name: "TOKEN2" }],
      ["files", { ...secret, text: "a secret of alicf" }],
    ] as const)
      expect((await seal.seal(script, binding)).sealed).not.toBe(sealed)
  })

  it("refuses to open under another key, script or name, or when a bit was changed", async () => {
    const seal = secretSeal(KEY)
    const sealed = await seal.seal("files", secret)
    await expect(secretSeal(OTHER_KEY).open("files", sealed)).rejects.toThrow()
    await expect(seal.open("pages", sealed)).rejects.toThrow()
    await expect(seal.open("files", { ...sealed, name: "TOKEN2" })).rejects.toThrow()
    const text = String(sealed.sealed)
    const changed = `${text.slice(0, -2)}${text.at(-2) === "A" ? "B" : "A"}${text.at(-1)}`
    await expect(seal.open("files", { ...sealed, sealed: changed })).rejects.toThrow()
  })

  it("refuses secrets, and nothing else, where no key is set", async () => {
    const plain = { type: "plain_text", name: "A", text: "x" }
    expect(await secretSeal(null).seal("files", plain)).toEqual(plain)
    await expect(secretSeal(null).seal("files", secret)).rejects.toThrow("upload.metadata-refused")
  })
})
