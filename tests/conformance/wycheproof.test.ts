/**
 * Signatures, keys and MACs that no one here made (C2SP Wycheproof), held against the code that verifies tokens, passports, session cookies and signed URLs, in workerd.
 * No invalid one is accepted, and every valid one within what we allow is. The files are found through SALLYPORT_CORPORA and never committed.
 */
import path from "node:path"
import { build } from "esbuild"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readCorpus } from "../security/corpora.ts"
import type { Asked, Verdict } from "./wycheproof-worker.ts"

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly result: "valid" | "invalid" | "acceptable"
}

let worker: Miniflare
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, "wycheproof-worker.ts")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
  })
  const modules = [{ type: "ESModule" as const, path: "worker.mjs", contents: outputFiles[0]?.text ?? "" }]
  const options = { workers: [{ name: "verifier", modules, compatibilityDate: "2026-10-01" }] }
  worker = new Miniflare(convertV4MiniflareOptions(options))
})
afterAll(() => worker.dispose())

async function verdicts(asked: readonly Asked[]): Promise<Verdict[]> {
  const response = await worker.dispatchFetch("http://wycheproof.example/", {
    method: "POST",
    body: JSON.stringify(asked),
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Verdict[]
}

/** Runs `body` over the groups of a corpus; skipped, and said so, where it is absent. */
function describeCorpus<Group>(file: string, body: (groups: readonly Group[]) => void): void {
  const text = readCorpus(file)
  const { testGroups } = JSON.parse(text ?? '{ "testGroups": [] }') as { testGroups: Group[] }
  describe.skipIf(text === null)(file, () => body(testGroups))
}

/** What went wrong, and how many of each there were: without counts a test that asked nothing would pass. */
function tally(cases: readonly (readonly [vector: Vector, isAllowed: boolean])[], found: readonly Verdict[]) {
  const wrong: string[] = []
  const count = { invalid: 0, valid: 0, validBeyond: 0 }
  for (const [index, [{ tcId, comment, result }, isAllowed]] of cases.entries()) {
    const isAccepted = found[index] === "accepted"
    if (result !== "valid") count.invalid += 1
    else if (isAllowed) count.valid += 1
    else count.validBeyond += 1
    const isRight = isAccepted === (result === "valid" && isAllowed)
    if (!isRight) wrong.push(`${tcId} ${comment}: ${result}, ${found[index]}`)
  }
  return { wrong, ...count }
}

interface JwkGroup {
  readonly public?: JsonWebKey & { readonly keys?: readonly JsonWebKey[] }
  readonly private?: JsonWebKey & { readonly keys?: readonly JsonWebKey[] }
  readonly tests: readonly (Vector & { readonly jws: unknown })[]
}
type NamedKey = JsonWebKey & { readonly kid?: string }

const ALLOWED = ["ES256", "EdDSA", "Ed25519", "RS256"]

for (const [file, least] of [
  ["wycheproof-json_web_signature_test.json", { invalid: 100, valid: 5 }],
  ["wycheproof-json_web_key_test.json", { invalid: 5, valid: 1 }],
] as const) {
  describeCorpus<JwkGroup>(file, (groups) => {
    it("is accepted where valid and signed by an algorithm that issuers may have, and nowhere else", async () => {
      const cases = groups.flatMap((group) => {
        const given = group.public ?? group.private ?? {}
        // As an issuer would publish it; a key that has no name can be asked for by none.
        const keys = (given.keys ?? [given]).map(({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...key }) =>
          "kid" in key ? key : { ...key, kid: "none" },
        )
        const isAllowed = keys.every((key) => ALLOWED.includes(String((key as NamedKey & { alg?: string }).alg)))
        return group.tests.map((vector) => ({ vector, isAllowed, keys, token: textOf(vector.jws) }))
      })
      const found = await verdicts(cases.map(({ token, keys }) => ({ jws: { token, keys } })))
      const outcome = tally(
        cases.map(({ vector, isAllowed }) => [vector, isAllowed] as const),
        found,
      )
      expect(outcome.wrong).toEqual([])
      expect(outcome.invalid).toBeGreaterThanOrEqual(least.invalid)
      expect(outcome.valid).toBeGreaterThanOrEqual(least.valid)
    })
  })
}

/** The JSON serialisation is no token, whatever is in it. */
function textOf(jws: unknown): string {
  return typeof jws === "string" ? jws : JSON.stringify(jws)
}

interface EcdsaGroup {
  readonly publicKeyJwk?: JsonWebKey
  readonly publicKey: { readonly wx: string; readonly wy: string }
  readonly tests: readonly (Vector & { readonly msg: string; readonly sig: string })[]
}

describeCorpus<EcdsaGroup>("wycheproof-ecdsa_secp256r1_sha256_p1363_test.json", (groups) => {
  it("is accepted where valid, and nowhere else", async () => {
    const cases = groups.flatMap(({ publicKey, tests }) => {
      const jwk = { kty: "EC", crv: "P-256", x: coordinate(publicKey.wx), y: coordinate(publicKey.wy) }
      return tests.map((vector) => ({ vector, jwk }))
    })
    const found = await verdicts(
      cases.map(({ vector: { msg, sig }, jwk }) => ({ ecdsa: { jwk, message: msg, signature: sig } })),
    )
    const outcome = tally(
      cases.map(({ vector }) => [vector, true] as const),
      found,
    )
    expect(outcome.wrong).toEqual([])
    expect(outcome.invalid).toBeGreaterThanOrEqual(40)
    expect(outcome.valid).toBeGreaterThanOrEqual(80)
  })
})

/** 32 bytes in base64url of a number in hex, which may have a zero byte before it or none where one belongs. */
function coordinate(hex: string): string {
  return Buffer.from(hex.padStart(64, "0").slice(-64), "hex").toString("base64url")
}

interface MacGroup {
  /** Bits. */
  readonly keySize: number
  readonly tagSize: number
  readonly tests: readonly (Vector & { readonly key: string; readonly msg: string; readonly tag: string })[]
}

describeCorpus<MacGroup>("wycheproof-hmac_sha256_test.json", (groups) => {
  it("is accepted where valid, whole and by a key as long as the hash, and nowhere else", async () => {
    const cases = groups.flatMap(({ keySize, tagSize, tests }) =>
      tests.map((vector) => ({ vector, isAllowed: keySize >= 256 && tagSize === 256 })),
    )
    const found = await verdicts(cases.map(({ vector: { key, msg, tag } }) => ({ hmac: { key, message: msg, tag } })))
    const outcome = tally(
      cases.map(({ vector, isAllowed }) => [vector, isAllowed] as const),
      found,
    )
    expect(outcome.wrong).toEqual([])
    expect(outcome.invalid).toBeGreaterThanOrEqual(50)
    expect(outcome.valid).toBeGreaterThanOrEqual(10)
    expect(outcome.validBeyond).toBeGreaterThanOrEqual(1)
  })
})
