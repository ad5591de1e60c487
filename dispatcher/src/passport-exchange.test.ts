import { decodeJwt, decodeProtectedHeader } from "jose"
import { describe, expect, it } from "vitest"
import {
  CONFIG_POINTER_KEY,
  configKey,
  type DispatchConfig,
  dispatchConfigSchema,
} from "../../contracts/dispatch-config.ts"
import type { PlatformProps } from "../../contracts/platform.ts"
import { refuse } from "../../kit/problem.ts"
import { sha256Hex } from "../../kit/sha256.ts"
import type { Dependencies } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { exampleConfig } from "./example-config.ts"
import { mintPassport, type PassportOrder } from "./identity/mint-passport.ts"
import type { Revocable } from "./identity/revocation-feed.ts"
import { makeSubject } from "./identity/subject.ts"
import { exchangePassport, PassportExchange } from "./passport-exchange.ts"
import { NOW_S, testBed } from "./test-dependencies.ts"
import { feedOfNothing } from "./test-stores.ts"

const GATEWAY: PlatformProps = { script: "gateway", version: 1, team: "routing" }
const GRANTS = ["audience:cell:us01", "audience:cell:eu01", "audience:txn", "audience:no-such"]
const alice = makeSubject({
  kind: "user",
  id: "alice",
  idp: "example-idp",
  scopes: ["a", "b"],
  company: "42",
  companies: ["42", "43"],
  sid: "S".repeat(43),
  authTimeMs: (NOW_S - 100) * 1000,
  level: 2,
  revocable: null,
})

describe("exchangePassport", () => {
  it("makes a passport for the audience and the same subject, in the name of the script that asked", async () => {
    const { header, token, expiresS } = await exchange("cell:us01")
    expect([header, expiresS]).toEqual(["x-passport", NOW_S + 60])
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", typ: "passport+jwt" })
    expect(decodeJwt(token)).toMatchObject({
      aud: "cell:us01",
      sub: "alice",
      idp: "example-idp",
      scope: "a b",
      company: "42",
      companies: ["42", "43"],
      sid: "S".repeat(43),
      auth_time: NOW_S - 100,
      level: 2,
      zone: "us01",
      route: "api",
      host: "api.example.com",
      hops: 2,
      act: { sub: "script:gateway", act: { sub: "script:router" } },
      facts: { ip: "203.0.113.7", country: "GB" },
    })
  })

  it("makes a Transaction Token where the audience takes those, which no verifier of passports accepts", async () => {
    const { header, token } = await exchange("txn")
    expect(header).toBe("txn-token")
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", typ: "txntoken+jwt" })
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({
      iss: "https://sallyport.example",
      aud: "txn",
      sub: "example-idp/alice",
      iat: NOW_S,
      exp: NOW_S + 60,
      scope: "a b",
      req_wl: "script:gateway",
      rctx: { ip: "203.0.113.7", country: "GB" },
      tctx: { company: "42", companies: ["42", "43"], zone: "us01", level: 2 },
    })
    expect(claims.txn).toBe(claims.jti)
  })

  it("says the scopes of a Transaction Token even when there are none, as the draft asks", async () => {
    const { token } = await exchange("txn", {}, { subject: makeSubject({ ...alice, scopes: [] }) })
    expect(decodeJwt(token).scope).toBe("")
  })

  it("keeps the two profiles of one audience apart, whatever was made before", async () => {
    const bed = await testBed(config())
    const passport = await ask(bed.deps, "cell:us01")
    const later = config()
    const audiences = {
      ...later.audiences,
      "cell:us01": { origins: ["https://cell.example"], profile: "txn-token" as const },
    }
    const changed = await testBed({ ...later, audiences })
    const deps = { ...changed.deps, mintedPassports: bed.deps.mintedPassports, keys: bed.deps.keys }
    const txnToken = await ask(deps, "cell:us01")
    expect([passport.header, txnToken.header]).toEqual(["x-passport", "txn-token"])
    expect(txnToken.token).not.toBe(passport.token)
  })

  const refused: [string, string, Parameters<typeof exchange>][] = [
    ["an audience that the team was not granted", "platform.not-granted", ["cell:us02"]],
    ["one that neither was granted nor exists, alike", "platform.not-granted", ["cell:xx99"]],
    ["a granted audience that does not exist", "platform.audience-unknown", ["no-such"]],
    ["one named like a property of every object", "platform.not-granted", ["constructor"]],
    ["another script's audience", "platform.not-granted", ["script:router"]],
    ["a passport for another script", "platform.passport-required", ["cell:us01", {}, { audience: "script:router" }]],
    [
      "a passport for a script named alike",
      "platform.passport-required",
      ["cell:us01", {}, { audience: "script:gateway2" }],
    ],
    [
      "a passport for the destination itself",
      "platform.passport-required",
      ["cell:us01", {}, { audience: "cell:us01" }],
    ],
    [
      "a passport of another issuer",
      "platform.passport-required",
      ["cell:us01", {}, { issuer: "https://evil.example" }],
    ],
    ["a Transaction Token", "platform.passport-required", ["cell:us01", {}, { profile: "txn-token" }]],
    ["a caller that names another script as itself", "platform.passport-required", ["cell:us01", { script: "router" }]],
    ["a caller of another team", "platform.not-granted", ["cell:us01", { team: "storage2" }]],
    ["a client in a country that the zone does not accept", "zone.country-refused", ["cell:eu01"]],
    [
      "a client whose country is unknown",
      "zone.country-refused",
      ["cell:eu01", {}, { facts: { ...FACTS(), country: null } }],
    ],
  ]
  it.for(refused)("refuses %s: %s", async ([, code, asked]) => {
    await expect(exchange(...asked)).rejects.toMatchObject({ code })
  })

  it("makes one for a client in a country that the zone accepts", async () => {
    const { token } = await exchange("cell:eu01", {}, { facts: { ...FACTS(), country: "DE" } })
    expect(decodeJwt(token).aud).toBe("cell:eu01")
  })

  it("makes none for a subject that was revoked since, and asks by all that can revoke it", async () => {
    const { deps } = await testBed(config())
    const asked: unknown[] = []
    const refuseRevoked = (revocable: Revocable | null, sensitive: boolean, maxAgeMs: number) => {
      asked.push(revocable?.madeAtMs, revocable?.hashes.length, sensitive, maxAgeMs)
      throw refuse("auth.revoked")
    }
    const revocations = Object.assign(Object.create(deps.revocations), { at: () => undefined, refuseRevoked })
    await expect(ask({ ...deps, revocations }, "cell:us01")).rejects.toMatchObject({ code: "auth.revoked" })
    // Everything, the subject, the session, the company, the passport's key; by the end of the second that the passport names.
    expect(asked).toEqual([(NOW_S - 100) * 1000 + 999, 5, false, 5_000])
  })

  it("asks for revocations at the location where the request came in, since a call by RPC has none", async () => {
    const { deps } = await testBed(config())
    const { revocations, asked } = feedOfNothing(deps.clock)
    const own = await ownPassport(deps, { facts: { ...FACTS(), colo: "AMS" } })
    await ask({ ...deps, revocations }, "cell:us01", {}, own)
    expect(asked).toEqual(["AMS"])
  })

  it("accepts an own passport until its end and the tolerated skew, and no longer", async () => {
    const at = async (nowS: number) => {
      const bed = await testBed(config())
      const own = await ownPassport(bed.deps)
      const clock = { now: () => nowS * 1000 }
      const { PassportVerifier } = await import("./identity/verify-passport.ts")
      return ask({ ...bed.deps, clock, passportVerifier: new PassportVerifier(clock) }, "cell:us01", {}, own)
    }
    expect((await at(NOW_S + 64)).expiresS).toBe(NOW_S + 124)
    await expect(at(NOW_S + 65)).rejects.toMatchObject({ code: "platform.passport-required" })
  })
})

describe("PassportExchange", () => {
  const { revision } = config()

  /** Code of what the entrypoint refuses to a caller without a passport, who gets no further than to the config. */
  async function codeOf(...atLeast: unknown[]): Promise<string> {
    const text = JSON.stringify(config())
    const pointer = JSON.stringify({ revision, digest: await sha256Hex(text), sizeBytes: text.length })
    const texts: Record<string, string> = { [CONFIG_POINTER_KEY]: pointer, [configKey(revision)]: text }
    const source = { get: async (key: string) => texts[key] ?? null }
    const times = { CONFIG_REFRESH_MS: "10000", CONFIG_MAX_STALE_MS: "60000" }
    const env = { CONFIG: source, RING_KEY: "", PIN_KEY: btoa("k".repeat(32)), ...times } as unknown as Env
    const self = { env, ctx: { waitUntil: () => undefined } } as unknown as PassportExchange
    const asked = PassportExchange.prototype.exchange.call(self, "none", "cell:us01", GATEWAY, ...(atLeast as number[]))
    return asked.then(
      () => "ok",
      (thrown: { code?: string }) => thrown.code ?? String(thrown),
    )
  }

  it("answers from the config revision that the call is under or a later one, and from no older", async () => {
    for (const reached of [[], [0], [revision]]) expect(await codeOf(...reached)).toBe("platform.passport-required")
    expect(await codeOf(revision + 1)).toBe("config.unavailable")
  })

  it("takes nothing for a revision that is none", async () => {
    for (const none of ["1", -1, 1.5, null, Number.NaN]) expect(await codeOf(none)).toBe("platform.argument-invalid")
  })
})

function FACTS() {
  return { ip: "203.0.113.7", country: "GB", colo: null, asn: null, tls: "TLSv1.3", bot: null }
}

/** Team `routing` holds {@link GRANTS}; `eu01` accepts Germany alone. */
function config(): DispatchConfig {
  const base = exampleConfig()
  const origins = ["https://cell.example"]
  return dispatchConfigSchema.parse({
    ...base,
    teams: { ...base.teams, routing: { grants: GRANTS }, storage2: { grants: [] } },
    audiences: {
      ...base.audiences,
      "cell:us02": { origins },
      "cell:eu01": { origins },
      txn: { origins, profile: "txn-token" },
    },
    directory: {
      ...base.directory,
      zones: {
        ...base.directory.zones,
        eu01: { audience: "cell:eu01", baseUrl: "https://eu01.example.com", countries: ["DE"] },
      },
    },
  })
}

async function exchange(audience: string, caller: Partial<PlatformProps> = {}, own: Partial<PassportOrder> = {}) {
  const { deps } = await testBed(config())
  return ask(deps, audience, caller, await ownPassport(deps, own))
}

async function ask(deps: Dependencies, audience: string, caller: Partial<PlatformProps> = {}, own?: string) {
  const ready = await deps.config.current(() => undefined)
  const token = own ?? (await ownPassport(deps))
  return exchangePassport(token, audience, { ...GATEWAY, ...caller }, ready, deps, () => undefined)
}

async function ownPassport(deps: Dependencies, changes: Partial<PassportOrder> = {}): Promise<string> {
  const order: PassportOrder = {
    issuer: "https://sallyport.example",
    audience: "script:gateway",
    subject: alice,
    route: "api",
    host: "api.example.com",
    zone: "us01",
    actor: { sub: "script:router" },
    hops: 2,
    facts: FACTS(),
    ...changes,
  }
  return (await mintPassport(order, deps)).token
}
