import { describe, expect, it } from "vitest"
import type { ServiceAccountConfig } from "../../../contracts/dispatch-config.ts"
import { ServiceKeys } from "./verify-service-key.ts"

const NOW_MS = 1_800_000_000_000
const CREATED_AT = new Date(NOW_MS - 86_400_000).toISOString()
const SECRET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0"
const KEY = `spsa_nightly-import_${SECRET}`

async function hashOf(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key))
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

async function accounts(
  changes: Partial<ServiceAccountConfig> = {},
  key: object = {},
): Promise<Record<string, ServiceAccountConfig>> {
  const keys = [{ id: "first", hash: await hashOf(KEY), createdAt: CREATED_AT, ...key }]
  return { "nightly-import": { scopes: ["import"], company: "42", keys, ...changes } }
}

async function verdict(
  key: string,
  given: Record<string, ServiceAccountConfig>,
  keys = new ServiceKeys(),
  nowMs = NOW_MS,
) {
  const result = await keys.verify(key, given, nowMs)
  return result.ok ? "ok" : result.fault
}

describe("a service account's key", () => {
  it("is the account's, with its scopes and company", async () => {
    const result = await new ServiceKeys().verify(KEY, await accounts(), NOW_MS)
    if (!result.ok) throw new Error(result.fault)
    expect(await result.subject.under({})).toMatchObject({
      kind: "service",
      id: "nightly-import",
      idp: "service-accounts",
      scopes: ["import"],
      company: "42",
      sid: null,
      level: 0,
    })
  })

  it("is known at once when it came before", async () => {
    const keys = new ServiceKeys()
    const given = await accounts()
    expect(keys.verify(KEY, given, NOW_MS)).toBeInstanceOf(Promise)
    await keys.verify(KEY, given, NOW_MS)
    expect(keys.verify(KEY, given, NOW_MS)).toMatchObject({ ok: true })
    expect(keys.verify(KEY, await accounts(), NOW_MS)).toMatchObject({ ok: true })
  })

  it.each<[string, string, string]>([
    ["another last character", `${KEY.slice(0, -1)}1`, "key-unknown"],
    ["another account's name", `spsa_other_${SECRET}`, "account-unknown"],
    ["a name that every object has", `spsa_constructor_${SECRET}`, "account-unknown"],
    ["a secret too short", KEY.slice(0, -1), "malformed"],
    ["a secret too long", `${KEY}A`, "malformed"],
    ["no name", `spsa__${SECRET}`, "malformed"],
    ["a name in capitals", `spsa_NIGHTLY_${SECRET}`, "malformed"],
    ["another prefix", KEY.replace("spsa", "spsb"), "malformed"],
    ["the account's name alone", "spsa_nightly-import_", "malformed"],
    ["its hash in place of the key", "spsa_nightly-import_HASH", "malformed"],
  ])("is refused with %s", async (_what, key, fault) => {
    expect(await verdict(key.replace("HASH", await hashOf(KEY)), await accounts())).toBe(fault)
  })

  it("ends exactly when it expires, remembered or not", async () => {
    const given = await accounts({}, { expiresAt: new Date(NOW_MS).toISOString() })
    const keys = new ServiceKeys()
    expect(await verdict(KEY, given, keys, NOW_MS - 1)).toBe("ok")
    expect(await verdict(KEY, given, keys, NOW_MS)).toBe("expired")
    expect(await verdict(KEY, given, new ServiceKeys(), NOW_MS)).toBe("expired")
  })

  it("ends with the config that does not hold it any more, though it was remembered", async () => {
    const keys = new ServiceKeys()
    expect(await verdict(KEY, await accounts(), keys)).toBe("ok")
    expect(await verdict(KEY, await accounts({ keys: [] }), keys)).toBe("key-unknown")
    expect(await verdict(KEY, {}, keys)).toBe("account-unknown")
    expect(await verdict(KEY, await accounts(), keys)).toBe("ok")
  })

  it("is the account as the config has it now", async () => {
    const keys = new ServiceKeys()
    await keys.verify(KEY, await accounts(), NOW_MS)
    const result = await keys.verify(KEY, await accounts({ scopes: ["other"] }), NOW_MS)
    expect(result.ok && result.subject.facts.scopes).toEqual(["other"])
  })

  it("can be one of several", async () => {
    const second = `spsa_nightly-import_${SECRET.toLowerCase()}`
    const keys = [
      { id: "first", hash: await hashOf(KEY), createdAt: CREATED_AT },
      { id: "second", hash: await hashOf(second), createdAt: CREATED_AT },
    ]
    expect(await verdict(second, await accounts({ keys }))).toBe("ok")
  })

  it("is remembered, though never more than so many of them", async () => {
    const others = Array.from({ length: 400 }, (_, at) => `spsa_nightly-import_${String(at).padStart(43, "0")}`)
    const hashes = await Promise.all([KEY, ...others].map(hashOf))
    const all = await accounts({ keys: hashes.map((hash, at) => ({ id: `k${at}`, hash, createdAt: CREATED_AT })) })
    const keys = new ServiceKeys()
    await keys.verify(KEY, all, NOW_MS)
    expect(keys.verify(KEY, all, NOW_MS)).not.toBeInstanceOf(Promise)
    for (const other of others) await keys.verify(other, all, NOW_MS)
    expect(keys.verify(KEY, all, NOW_MS)).toBeInstanceOf(Promise)
  })

  it("begins when it was made, give or take a minute of clocks", async () => {
    const made = (ms: number) => accounts({}, { createdAt: new Date(ms).toISOString() })
    expect(await verdict(KEY, await made(NOW_MS + 59_999))).toBe("ok")
    expect(await verdict(KEY, await made(NOW_MS + 60_000))).toBe("not-yet")
  })

  it("ends after 366 days, whatever the config says: its revocation is remembered no longer", async () => {
    const lifetimeMs = 366 * 86_400_000
    for (const key of [{}, { expiresAt: new Date(NOW_MS + 10 * lifetimeMs).toISOString() }]) {
      const made = (ms: number) => accounts({}, { ...key, createdAt: new Date(ms).toISOString() })
      expect(await verdict(KEY, await made(NOW_MS - lifetimeMs + 1))).toBe("ok")
      expect(await verdict(KEY, await made(NOW_MS - lifetimeMs))).toBe("expired")
    }
  })

  it("was made for revocations when the config says", async () => {
    const madeAt = async (key: object) => {
      const result = await new ServiceKeys().verify(KEY, await accounts({}, key), NOW_MS)
      return result.ok ? (await result.subject.under({})).revocable?.madeAtMs : null
    }
    expect(await madeAt({ createdAt: "2027-01-02T03:04:05.678Z" })).toBe(Date.parse("2027-01-02T03:04:05.678Z"))
  })
})
