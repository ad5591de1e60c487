import { describe, expect, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { buildManifest, type Parts } from "./build-manifest.ts"
import { secretSeal } from "./seal-secret.ts"

const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const OTHER_KEY = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
const secret = { type: "secret_text", name: "TOKEN", text: "of alice" }
const plain = { type: "plain_text", name: "A", text: "a" }

function partsWith(bindings: Parts["declaration"]["bindings"]): Parts {
  const content = new Uint8Array(new TextEncoder().encode("export default {}"))
  return {
    script: "pages",
    modules: [{ name: "index.js", kind: "esm", bytes: content }],
    assets: null,
    declaration: {
      mainModule: "index.js",
      bindings,
      compatibilityDate: "2026-10-01",
      compatibilityFlags: [],
      assets: null,
      settings: {},
      message: null,
      tag: null,
    },
  }
}

describe("buildManifest", () => {
  it("gives a kept secret the same digest as the secret sent again", async () => {
    const sent = await buildManifest(partsWith([plain, secret]), secretSeal(KEY))
    const kept = await buildManifest(partsWith(sent.manifest.bindings), secretSeal(KEY))
    expect(kept.manifest).toEqual(sent.manifest)
    expect(kept.digest).toBe(sent.digest)
    const changed = await buildManifest(partsWith([plain, { ...secret, text: "of bob" }]), secretSeal(KEY))
    expect(changed.digest).not.toBe(sent.digest)
  })

  it("refuses kept secrets that nobody here could open, by name and with what to do", async () => {
    const { manifest } = await buildManifest(partsWith([plain, secret]), secretSeal(KEY))
    for (const key of [OTHER_KEY, null]) {
      const refusal = await buildManifest(partsWith(manifest.bindings), secretSeal(key)).catch((thrown) => thrown)
      expect(refusal).toBeInstanceOf(Refusal)
      expect((refusal as Refusal).code).toBe("upload.metadata-refused")
      expect((refusal as Refusal).options.errors).toEqual([
        { pointer: "/keep_bindings", detail: expect.stringMatching(/^TOKEN cannot be kept.*--secrets-file$/) },
      ])
    }
    expect((await buildManifest(partsWith([plain]), secretSeal(null))).manifest.bindings).toEqual([plain])
  })
})
