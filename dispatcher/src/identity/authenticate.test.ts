import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { beforeAll, describe, expect, it } from "vitest"
import { DEFAULT_IDENTITY, type RouteAuth } from "../../../contracts/dispatch-config.ts"
import { exampleConfig } from "../example-config.ts"
import { type AuthenticateDependencies, authenticate, VerifiedTokens } from "./authenticate.ts"
import { type Issuer, IssuerRegistry } from "./issuers.ts"
import { SessionReader, type SessionStore } from "./session-reader.ts"
import { ServiceKeys } from "./verify-service-key.ts"

const NOW_S = 1_800_000_000
const ISSUER = "https://idp.example"
const AUDIENCE = "https://api.example.com"

let key: CryptoKey
let otherKey: CryptoKey
let issuers: ReadonlyMap<string, Issuer>
const registry = new IssuerRegistry()

beforeAll(async () => {
  const pair = await generateKeyPair("ES256", { extractable: true })
  key = pair.privateKey
  otherKey = (await generateKeyPair("ES256")).privateKey
  issuers = registry.prepare(issuersWith({ ...(await exportJWK(pair.publicKey)), kid: "k1", alg: "ES256" }))
})

function issuersWith(jwk: object, changes: object = {}) {
  const [base] = Object.values(exampleConfig().issuers)
  if (base === undefined) throw new Error("the example config has an issuer")
  const issuer = { ...base, jwks: { keys: [jwk as never] }, ...changes }
  return { "example-idp": issuer, "other-idp": { ...issuer, issuer: "https://other.example" } }
}

interface TokenChanges {
  readonly claims?: JWTPayload
  readonly header?: Record<string, unknown>
  readonly signedBy?: CryptoKey
}

function token({ claims, header, signedBy }: TokenChanges = {}): Promise<string> {
  return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: "alice", iat: NOW_S - 10, exp: NOW_S + 600, ...claims })
    .setProtectedHeader({ alg: "ES256", kid: "k1", ...header })
    .sign(signedBy ?? key)
}

const REQUIRED: RouteAuth = { mode: "required", issuers: ["example-idp"], scopes: [] }

function dependencies(nowS = NOW_S): AuthenticateDependencies & { nowS: number } {
  const clock = { now: () => deps.nowS * 1000 }
  const deps = {
    nowS,
    clock,
    verifiedTokens: new VerifiedTokens(),
    sessions: new SessionReader({ store: NO_STORE, keys: "", clock }),
    serviceKeys: new ServiceKeys(),
  }
  return deps
}

const NO_STORE: SessionStore = {
  get: () => Promise.reject(new Error("no session is looked up here")),
  put: () => Promise.reject(new Error("no session is noted here")),
}

function subjectOf(authorization: string | null, auth = REQUIRED, deps = dependencies(), policy = {}) {
  const presented = {
    method: "GET",
    authorization,
    sessionCookie: null,
    upgrade: false,
    fetchSite: null,
    isOwnOrigin: false,
  }
  const all = { issuers, subjects: {}, serviceAccounts: {}, identity: DEFAULT_IDENTITY, ...policy }
  return authenticate(presented, { config: { auth } }, all, deps, { note: () => undefined, waitUntil: null })
}

async function codeOf(...asked: Parameters<typeof subjectOf>): Promise<string> {
  try {
    return (await subjectOf(...asked)).kind
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown)
  }
}

describe("authenticate", () => {
  it("knows the subject, scopes and company of a valid token", async () => {
    const authorization = `Bearer ${await token({ claims: { scope: "read write", company: "9007199254740993" } })}`
    const subject = await subjectOf(authorization)
    expect(subject).toMatchObject({ kind: "user", id: "alice", idp: "example-idp", scopes: ["read", "write"] })
    expect(subject.company).toBe("9007199254740993")
  })

  it("asks for a credential where one is required and none came", async () => {
    expect(await codeOf(null)).toBe("auth.credential-required")
  })

  it("passes as anonymous where a credential is optional and none came", async () => {
    expect(await codeOf(null, { ...REQUIRED, mode: "optional" })).toBe("anonymous")
  })

  it("refuses a wrong credential even where one is optional", async () => {
    expect(await codeOf("Bearer nonsense", { ...REQUIRED, mode: "optional" })).toBe("auth.credential-invalid")
  })

  it("does not look at a credential where the route checks none", async () => {
    expect(await codeOf("Bearer nonsense", { ...REQUIRED, mode: "none" })).toBe("anonymous")
  })

  it.each(["Basic YTpi", "bearer", "Bearer", "Bearer ", "Token x.y.z", "DPoP a.b.c", "Bearer  a.b.c"])(
    "refuses the Authorization value %j",
    async (authorization) => {
      expect(await codeOf(authorization)).toBe("auth.credential-invalid")
    },
  )

  it("refuses two credentials in one request, even when both are valid", async () => {
    const valid = await token()
    expect(await codeOf(`Bearer ${valid}, Bearer ${valid}`)).toBe("auth.credential-invalid")
  })

  it("reads the scheme in any case, as RFC 9110 says", async () => {
    expect(await codeOf(`bEARER ${await token()}`)).toBe("user")
  })

  it.each<[string, TokenChanges]>([
    ["another issuer", { claims: { iss: "https://evil.example" } }],
    ["an issuer that the route does not accept", { claims: { iss: "https://other.example" } }],
    ["an issuer with a slash more", { claims: { iss: `${ISSUER}/` } }],
    ["another audience", { claims: { aud: "https://elsewhere.example" } }],
    ["no audience", { claims: { aud: undefined as never } }],
    ["no subject", { claims: { sub: undefined as never } }],
    ["an empty subject", { claims: { sub: "" } }],
    ["no expiry", { claims: { exp: undefined as never } }],
    ["an expiry that is no integer", { claims: { exp: NOW_S + 600.5 } }],
    ["a time before which it is not valid, beyond the skew", { claims: { nbf: NOW_S + 61 } }],
    ["a lifetime beyond the memory of a revocation", { claims: { exp: NOW_S - 10 + 30 * 86_400 + 1 } }],
    [
      "no beginning and such a lifetime from now on",
      { claims: { iat: undefined as never, exp: NOW_S + 30 * 86_400 + 1 } },
    ],
    ["a time of issue beyond the skew", { claims: { iat: NOW_S + 60 } }],
    ["a time of proof beyond the skew", { claims: { auth_time: NOW_S + 60 } }],
    ["a time of proof with a fraction", { claims: { auth_time: NOW_S - 1.5 } }],
    ["a time of proof that is text", { claims: { auth_time: String(NOW_S) } }],
    ["a company that is a number", { claims: { company: 42 } }],
    ["a company that is no id", { claims: { company: "42; drop" } }],
    ["an unknown kid", { header: { kid: "k2" } }],
    ["no kid", { header: { kid: undefined } }],
    ["a jku header", { header: { jku: "https://evil.example/jwks" } }],
    ["an embedded key", { header: { jwk: { kty: "EC" } } }],
    ["the typ of a passport", { header: { typ: "passport+jwt" } }],
  ])("refuses a token with %s", async (_what, changes) => {
    expect(await codeOf(`Bearer ${await token(changes)}`)).toBe("auth.credential-invalid")
  })

  it("refuses a token signed by another key", async () => {
    expect(await codeOf(`Bearer ${await token({ signedBy: otherKey })}`)).toBe("auth.credential-invalid")
  })

  it("refuses alg none and a signature cut off", async () => {
    const [, payload] = (await token()).split(".")
    const none = btoa(JSON.stringify({ alg: "none", kid: "k1" })).replaceAll("=", "")
    expect(await codeOf(`Bearer ${none}.${payload}.`)).toBe("auth.credential-invalid")
    expect(await codeOf(`Bearer ${none}.${payload}.AAAA`)).toBe("auth.credential-invalid")
  })

  it("refuses another spelling of a valid token", async () => {
    const valid = await token()
    const last = valid.slice(-1)
    // 64 signature bytes leave four bits over in the last character: setting one of them decodes to the same bytes.
    const respelled =
      valid.slice(0, -1) +
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".indexOf(last) + 1
      ]
    expect(await codeOf(`Bearer ${respelled}`)).toBe("auth.credential-invalid")
    expect(await codeOf(`Bearer ${valid}=`)).toBe("auth.credential-invalid")
  })

  it("tells expiry apart, exactly at the edge of the skew", async () => {
    const expiring = await token({ claims: { exp: NOW_S } })
    expect(await codeOf(`Bearer ${expiring}`, REQUIRED, dependencies(NOW_S + 59))).toBe("user")
    expect(await codeOf(`Bearer ${expiring}`, REQUIRED, dependencies(NOW_S + 60))).toBe("auth.token-expired")
  })

  it.each<[string, JWTPayload]>([
    ["the longest lifetime", { exp: NOW_S - 10 + 30 * 86_400 }],
    ["a time of issue within the skew", { iat: NOW_S + 59 }],
    ["a time of proof within the skew", { auth_time: NOW_S + 59 }],
  ])("takes a token with %s", async (_what, claims) => {
    expect(await codeOf(`Bearer ${await token({ claims })}`)).toBe("user")
  })

  const skews: readonly (readonly [claim: "exp" | "nbf" | "iat", s: number, expected: string])[] = [
    ["exp", -30, "user"],
    ["exp", -59, "user"],
    ["exp", -60, "auth.token-expired"],
    ["exp", -120, "auth.token-expired"],
    ["nbf", 30, "user"],
    ["nbf", 60, "user"],
    ["nbf", 61, "auth.credential-invalid"],
    ["nbf", 120, "auth.credential-invalid"],
    ["iat", 30, "user"],
    ["iat", 59, "user"],
    ["iat", 60, "auth.credential-invalid"],
    ["iat", 120, "auth.credential-invalid"],
  ]
  it.each(skews)("tolerates a clock that is up to a minute off: %s %d s from now is %s", async (claim, s, expected) => {
    expect(await codeOf(`Bearer ${await token({ claims: { [claim]: NOW_S + s } })}`)).toBe(expected)
  })

  it("refuses a token that does not say when it was made: no revocation could tell", async () => {
    expect(await codeOf(`Bearer ${await token({ claims: { iat: undefined as never } })}`)).toBe(
      "auth.credential-invalid",
    )
    const proved = { iat: undefined as never, auth_time: NOW_S - 500 }
    expect(await codeOf(`Bearer ${await token({ claims: proved })}`)).toBe("auth.credential-invalid")
  })

  it("tells when the person proved who they are, else when the token was made", async () => {
    const authTimeMs = async (claims: JWTPayload) => (await subjectOf(`Bearer ${await token({ claims })}`)).authTimeMs
    expect(await authTimeMs({ auth_time: NOW_S - 500 })).toBe((NOW_S - 500) * 1000)
    expect(await authTimeMs({})).toBe((NOW_S - 10) * 1000)
  })

  it("asks for one of the route's audiences too, of a remembered token as well", async () => {
    const deps = dependencies()
    const both = `Bearer ${await token({ claims: { aud: [AUDIENCE, "https://files.example"] } })}`
    const files = { ...REQUIRED, audiences: ["https://other.example", "https://files.example"] }
    for (let time = 0; time < 2; time++) {
      expect(await codeOf(both, files, deps)).toBe("user")
      expect(await codeOf(both, REQUIRED, deps)).toBe("user")
      expect(await codeOf(both, { ...REQUIRED, audiences: ["https://other.example"] }, deps)).toBe(
        "auth.credential-invalid",
      )
    }
    expect(await codeOf(`Bearer ${await token()}`, files)).toBe("auth.credential-invalid")
    expect(await codeOf(`Bearer ${await token({ claims: { aud: "https://files.example" } })}`, files)).toBe(
      "auth.credential-invalid",
    )
  })

  it("adds what the directory says of exactly this subject, and no more when it says it no more", async () => {
    const deps = dependencies()
    const authorization = `Bearer ${await token({ claims: { scope: "read", company: "42" } })}`
    const under = (subjects: object) => subjectOf(authorization, REQUIRED, deps, { subjects })
    const plain = await under({ "example-idp/alic": { scopes: ["write"] }, "other-idp/alice": { scopes: ["write"] } })
    expect(plain).toMatchObject({ scopes: ["read"], companies: null })
    const entry = { scopes: ["write", "read"], companies: ["42", "43"] }
    const more = await under({ "example-idp/alice": entry })
    expect(more).toMatchObject({ scopes: ["read", "write"], company: "42", companies: ["42", "43"] })
    expect(more.cacheKey).not.toBe(plain.cacheKey)
    expect(await under({ "example-idp/alice": { ...entry } })).toBe(more)
    expect(await under({})).toMatchObject({ scopes: ["read"], companies: null })
    expect(await under({ "example-idp/alice": { companies: [] } })).toMatchObject({ companies: [] })
  })

  it("refuses a remembered token once it has expired", async () => {
    const deps = dependencies()
    const authorization = `Bearer ${await token()}`
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    deps.nowS = NOW_S + 659
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    deps.nowS = NOW_S + 660
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("auth.token-expired")
  })

  it.each<[string, number, JWTPayload, boolean]>([
    ["a hundred scopes and audiences", 0, { scope: "a ".repeat(98), aud: [AUDIENCE, "b"] }, true],
    ["one scope more", 0, { scope: "a ".repeat(99), aud: [AUDIENCE, "b"] }, false],
    ["one audience more", 0, { scope: "a ".repeat(98), aud: [AUDIENCE, "b", "c"] }, false],
    ["1 999 characters", 1_999, {}, true],
    ["2 001 characters", 2_001, {}, false],
  ])(
    "of a token with %s remembers what fits in memory, and accepts it all the same",
    async (_what, length, claims, isKept) => {
      const deps = dependencies()
      const shown = await token({ claims: length === 0 ? claims : { scope: await scopeForLength(length) } })
      if (length > 0) expect(shown).toHaveLength(length)
      expect(await codeOf(`Bearer ${shown}`, REQUIRED, deps)).toBe("user")
      expect(deps.verifiedTokens.find(shown, REQUIRED, issuers, NOW_S) !== null).toBe(isKept)
    },
  )

  it("remembers a bounded number of tokens", async () => {
    const deps = dependencies()
    const shown = await token()
    await codeOf(`Bearer ${shown}`, REQUIRED, deps)
    const known = deps.verifiedTokens.find(shown, REQUIRED, issuers, NOW_S)
    if (known === null) throw new Error("it is remembered")
    for (let count = 0; count < 1_200; count++) deps.verifiedTokens.remember(`another ${count}`, known)
    expect(deps.verifiedTokens.find(shown, REQUIRED, issuers, NOW_S)).toBeNull()
  })

  /** The scope with which a token is so long; base64url has no text of each length, and of 2 000 there is none. */
  async function scopeForLength(length: number): Promise<string> {
    for (let scope = "a"; ; scope += "a") if ((await token({ claims: { scope } })).length >= length) return scope
  }

  it("does not carry a remembered token to a route that accepts other issuers", async () => {
    const deps = dependencies()
    const authorization = `Bearer ${await token()}`
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    expect(await codeOf(authorization, { ...REQUIRED, issuers: ["other-idp"] }, deps)).toBe("auth.credential-invalid")
  })

  it("verifies a remembered token again when its issuer's settings changed", async () => {
    const deps = dependencies()
    const authorization = `Bearer ${await token()}`
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    const before = issuers
    const jwk = issuers.get("example-idp")?.config.jwks.keys[0] ?? {}
    issuers = registry.prepare(issuersWith(jwk, { audiences: ["https://changed.example"] }))
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("auth.credential-invalid")
    issuers = before
  })
})
