import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { beforeAll, describe, expect, it } from "vitest"
import type { RouteAuth } from "../../../contracts/dispatch-config.ts"
import { exampleConfig } from "../example-config.ts"
import { type AuthenticateDependencies, authenticate, VerifiedTokens } from "./authenticate.ts"
import { type Issuer, IssuerRegistry } from "./issuers.ts"

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
  const deps = { nowS, clock: { now: () => deps.nowS * 1000 }, verifiedTokens: new VerifiedTokens() }
  return deps
}

async function codeOf(authorization: string | null, auth = REQUIRED, deps = dependencies()): Promise<string> {
  try {
    const subject = await authenticate({ authorization }, { config: { auth } }, issuers, deps)
    return subject.kind
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown)
  }
}

describe("authenticate", () => {
  it("knows the subject, scopes and company of a valid token", async () => {
    const authorization = `Bearer ${await token({ claims: { scope: "read write", company: "9007199254740993" } })}`
    const subject = await authenticate({ authorization }, { config: { auth: REQUIRED } }, issuers, dependencies())
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

  it("refuses a remembered token once it has expired", async () => {
    const deps = dependencies()
    const authorization = `Bearer ${await token()}`
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    deps.nowS = NOW_S + 659
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("user")
    deps.nowS = NOW_S + 660
    expect(await codeOf(authorization, REQUIRED, deps)).toBe("auth.token-expired")
  })

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
