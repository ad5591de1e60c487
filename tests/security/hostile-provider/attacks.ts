/**
 * What a lying provider says, as data: one entry per lie, named after the module of the OpenID relying-party conformance suite that tells it
 * where there is one, else after what it does, with the place that forbids believing it. Each is run through the platform by
 * hostile-provider.test.ts and through a plain relying party by hostile-provider-fixture.test.ts. What only a browser can do stands in the tests.
 * Long because it is a flat catalogue, looked into by name.
 */
import { createHash, createPublicKey, sign } from "node:crypto"
import { gzipSync } from "node:zlib"
import { type ForgeKey, flipSignatureBit, forge, forgeHs256, forgeUnsigned, makeForgeKey } from "./forge.ts"
import { type Answer, json, type Login, nowS, type Scenario, type Tenant } from "./provider.ts"

export interface Attack {
  readonly name: string
  /** Where it is written that this must be refused. */
  readonly source: string
  readonly scenario?: Scenario
  /** Changes what the tenant says of itself. Such an attack gets a tenant that nobody has asked anything yet. */
  readonly arrange?: (tenant: Tenant) => void
  /** Query of `GET /login/start`. */
  readonly start?: Readonly<Record<string, string>>
  /** The library that checks tokens does not mind: whoever uses it has to. */
  readonly unseenByLibrary?: true
  /** The answer never comes to its end: only whoever waits ends it. */
  readonly isEndless?: true
}

const CORE = "OpenID Connect Core §3.1.3.7"
const DISCOVERY = "OpenID Connect Discovery §4.3"
const BCP = "RFC 9700"
const JSON_TYPE = { "content-type": "application/json" }
const HTML = { "content-type": "text/html" }

/** Bigger than any honest answer, smaller than what would stall the tests. */
const HUGE_BYTES = 32 * 1024 * 1024
const STRANGER = makeForgeKey("stranger")
const RSA = makeForgeKey("rsa-1", "RS256")

type Claims = Record<string, unknown>
type Parts = { header: Claims; claims: Claims; login: Login }

const claims = (changes: Claims | ((login: Login) => Claims)): Scenario => ({
  claims: (honest, login) => ({ ...honest, ...(typeof changes === "function" ? changes(login) : changes) }),
})
const without = (...names: string[]): Scenario => ({
  claims: (honest) => Object.fromEntries(Object.entries(honest).filter(([name]) => !names.includes(name))),
})
const header = (changes: Claims): Scenario => ({ header: (honest) => ({ ...honest, ...changes }) })
const idToken = (make: (signed: string, parts: Parts) => unknown): Scenario => ({ idToken: make })
const token = (answer: Answer | ((honest: Claims) => Answer)): Scenario => ({
  token: (honest) => (typeof answer === "function" ? answer(honest) : answer),
})
const callback = (change: (parameters: URLSearchParams, login: Login) => void): Scenario => ({
  callback: (honest, login) => {
    const changed = new URLSearchParams(honest)
    change(changed, login)
    return changed
  },
})
const signingKey = (login: Login): ForgeKey => login.tenant.keys[0] ?? STRANGER

/** Lies in the ID token. */
const ID_TOKEN: readonly Attack[] = [
  { name: "oidcc-client-test-invalid-iss", source: CORE, scenario: claims({ iss: "https://evil.example" }) },
  { name: "iss-with-a-trailing-slash", source: CORE, scenario: claims(({ tenant }) => ({ iss: `${tenant.issuer}/` })) },
  { name: "iss-missing", source: CORE, scenario: without("iss") },
  { name: "iss-of-another-type", source: CORE, scenario: claims(({ tenant }) => ({ iss: [tenant.issuer] })) },
  { name: "oidcc-client-test-invalid-aud", source: CORE, scenario: claims({ aud: "another-client" }) },
  { name: "oidcc-client-test-missing-aud", source: CORE, scenario: without("aud") },
  { name: "aud-empty-array", source: CORE, scenario: claims({ aud: [] }) },
  { name: "aud-of-another-type", source: CORE, scenario: claims(({ tenant }) => ({ aud: { id: tenant.clientId } })) },
  {
    name: "aud-prefix-of-ours",
    source: CORE,
    scenario: claims(({ tenant }) => ({ aud: tenant.clientId.slice(0, -1) })),
  },
  {
    name: "invalid-secondary-aud-without-azp",
    source: CORE,
    scenario: claims(({ tenant }) => ({ aud: [tenant.clientId, "another-client"] })),
  },
  {
    name: "several-aud-with-azp-of-another",
    source: CORE,
    scenario: claims(({ tenant }) => ({ aud: [tenant.clientId, "another-client"], azp: "another-client" })),
  },
  {
    name: "single-aud-with-azp-of-another",
    source: CORE,
    scenario: claims({ azp: "another-client" }),
    unseenByLibrary: true,
  },
  { name: "oidcc-client-test-nonce-invalid", source: CORE, scenario: claims({ nonce: "another-nonce" }) },
  { name: "nonce-missing", source: CORE, scenario: without("nonce") },
  { name: "nonce-of-another-type", source: CORE, scenario: claims(({ asked }) => ({ nonce: [asked.get("nonce")] })) },
  { name: "nonce-empty", source: CORE, scenario: claims({ nonce: "" }) },
  {
    name: "nonce-twice-the-last-one-wrong",
    source: "RFC 7519 §4",
    scenario: idToken((_signed, { header: head, claims: body, login }) =>
      forge(head, JSON.stringify(body).replace(/}$/, ',"nonce":"wrong"}'), signingKey(login)),
    ),
  },
  {
    name: "iss-twice-the-last-one-wrong",
    source: "RFC 7519 §4",
    scenario: idToken((_signed, { header: head, claims: body, login }) =>
      forge(head, JSON.stringify(body).replace(/}$/, ',"iss":"https://evil.example"}'), signingKey(login)),
    ),
  },
  { name: "exp-past", source: CORE, scenario: claims(() => ({ iat: nowS() - 900, exp: nowS() - 300 })) },
  { name: "exp-missing", source: CORE, scenario: without("exp") },
  { name: "exp-as-text", source: CORE, scenario: claims(() => ({ exp: String(nowS() + 300) })) },
  {
    name: "exp-with-a-fraction",
    source: "the gateway's own rule, as for bearer tokens",
    scenario: claims(() => ({ exp: nowS() + 300.5 })),
    unseenByLibrary: true,
  },
  { name: "exp-infinite", source: CORE, scenario: rawClaim("exp", "1e999"), unseenByLibrary: true },
  { name: "oidcc-client-test-missing-iat", source: CORE, scenario: without("iat") },
  { name: "iat-as-text", source: CORE, scenario: claims(() => ({ iat: String(nowS()) })) },
  {
    name: "iat-is-week-in-past",
    source: "FAPI: client-test-iat-is-week-in-past",
    scenario: claims(() => ({ iat: nowS() - 7 * 86_400 })),
    unseenByLibrary: true,
  },
  {
    name: "iat-far-in-the-future",
    source: CORE,
    scenario: claims(() => ({ iat: nowS() + 3_600, exp: nowS() + 7_200 })),
    unseenByLibrary: true,
  },
  { name: "nbf-in-the-future", source: "RFC 7519 §4.1.5", scenario: claims(() => ({ nbf: nowS() + 3_600 })) },
  { name: "oidcc-client-test-missing-sub", source: CORE, scenario: without("sub") },
  { name: "sub-empty", source: CORE, scenario: claims({ sub: "" }), unseenByLibrary: true },
  { name: "sub-a-number", source: CORE, scenario: claims({ sub: 42 }) },
  { name: "sub-an-array", source: CORE, scenario: claims({ sub: ["alice"] }) },
  { name: "sub-null", source: CORE, scenario: claims({ sub: null }) },
  {
    name: "sub-too-long",
    source: "OpenID Connect Core §2; contracts/session.ts",
    scenario: claims({ sub: "a".repeat(5_000) }),
    unseenByLibrary: true,
  },
  {
    name: "invalid-athash",
    source: "OpenID Connect Core §3.1.3.6",
    scenario: claims({ at_hash: "A".repeat(22) }),
    unseenByLibrary: true,
  },
  {
    name: "at-hash-of-another-type",
    source: "OpenID Connect Core §3.1.3.6",
    scenario: claims({ at_hash: ["A".repeat(22)] }),
    unseenByLibrary: true,
  },
  { name: "claims-an-array", source: "RFC 7519 §4", scenario: rawPayload(() => "[]") },
  { name: "claims-null", source: "RFC 7519 §4", scenario: rawPayload(() => "null") },
  { name: "claims-no-json", source: "RFC 7519 §4", scenario: rawPayload((text) => text.slice(1)) },
  {
    name: "id-token-of-an-earlier-login",
    source: CORE,
    scenario: idToken((signed, { login }) => earlier(login.tenant, signed)),
  },
]

/** Claims that say what a person may, in shapes that would say more. */
const ENTITLEMENTS: readonly Attack[] = [
  ...[2 ** 53, ["100"], "100 200", "1e2", "", { id: "100" }, "0x64", "\u0661"].map(
    (company): Attack => ({
      name: `company-${JSON.stringify(company)}`,
      source: "contracts/dispatch-config.ts: 1–20 decimal digits, as text",
      scenario: claims({ company }),
      unseenByLibrary: true,
    }),
  ),
  ...[["a b"], ['a"b'], ["\u00e4"], [""], [["a"]], { a: 1 }, 1, Array(101).fill("a"), ["a".repeat(65)]].map(
    (entitlements, index): Attack => ({
      name: `scopes-out-of-shape-${index}`,
      source: "RFC 6749 §3.3: what holds a space becomes two",
      scenario: claims({ entitlements }),
      unseenByLibrary: true,
    }),
  ),
  {
    name: "scopes-that-no-cookie-holds",
    source: "RFC 6265bis §5.6",
    scenario: claims({ entitlements: Array.from({ length: 60 }, (_, index) => `${"s".repeat(60)}${index}`) }),
    unseenByLibrary: true,
  },
]

/** Lies about how the ID token is signed. */
const SIGNATURE: readonly Attack[] = [
  {
    name: "oidcc-client-test-idtoken-sig-none",
    source: "RFC 8725 §3.1",
    scenario: idToken((_signed, { header: head, claims: body }) => forgeUnsigned({ ...head, alg: "none" }, body)),
  },
  {
    name: "alg-none-in-odd-case",
    source: "RFC 8725 §2.1",
    scenario: idToken((_signed, { header: head, claims: body }) => forgeUnsigned({ ...head, alg: "nOnE" }, body)),
  },
  {
    name: "alg-none-with-a-signature",
    source: "RFC 8725 §3.1",
    scenario: header({ alg: "none" }),
  },
  {
    name: "alg-missing",
    source: "RFC 7515 §4.1.1",
    scenario: { header: ({ kid }) => ({ kid }) },
  },
  {
    name: "alg-of-another-type",
    source: "RFC 7515 §4.1.1",
    scenario: header({ alg: ["ES256"] }),
  },
  {
    name: "hs256-with-the-client-secret",
    source: "RFC 8725 §3.1",
    scenario: idToken((_signed, { claims: body, login }) =>
      forgeHs256({ alg: "HS256", kid: login.tenant.keys[0]?.kid }, body, login.tenant.clientSecret),
    ),
  },
  {
    name: "hs256-with-the-public-key-as-jwk",
    source: "RFC 8725 §2.1",
    scenario: idToken((_signed, { claims: body, login }) =>
      forgeHs256(
        { alg: "HS256", kid: login.tenant.keys[0]?.kid },
        body,
        JSON.stringify(login.tenant.keys[0]?.publicJwk),
      ),
    ),
  },
  {
    name: "hs256-with-the-public-key-as-pem",
    source: "RFC 8725 §2.1",
    scenario: idToken((_signed, { claims: body, login }) =>
      forgeHs256({ alg: "HS256", kid: login.tenant.keys[0]?.kid }, body, pemOf(signingKey(login))),
    ),
  },
  { name: "alg-not-of-the-key", source: "RFC 8725 §3.1", scenario: header({ alg: "RS256" }) },
  { name: "alg-not-on-the-list", source: "RFC 8725 §3.1", scenario: header({ alg: "ES384" }) },
  { name: "crit-unknown", source: "RFC 7515 §4.1.11", scenario: header({ crit: ["x-unknown"], "x-unknown": 1 }) },
  { name: "payload-not-encoded", source: "RFC 7797 §6", scenario: header({ crit: ["b64"], b64: false }) },
  {
    name: "key-in-the-header",
    source: "RFC 8725 §3.5",
    scenario: idToken((_signed, { claims: body }) => forge({ alg: "ES256", jwk: STRANGER.publicJwk }, body, STRANGER)),
  },
  {
    name: "key-in-the-header-under-the-published-kid",
    source: "RFC 8725 §3.5",
    scenario: idToken((_signed, { header: head, claims: body }) =>
      forge({ ...head, jwk: STRANGER.publicJwk }, body, STRANGER),
    ),
  },
  {
    name: "key-set-named-in-the-header",
    source: "RFC 8725 §3.10",
    scenario: idToken((_signed, { claims: body, login }) =>
      forge({ alg: "ES256", kid: STRANGER.kid, jku: `${login.tenant.issuer}/jwks-of-the-stranger` }, body, STRANGER),
    ),
  },
  {
    name: "signed-by-a-stranger-under-the-published-kid",
    source: CORE,
    scenario: idToken((_signed, { header: head, claims: body }) => forge(head, body, STRANGER)),
  },
  {
    name: "kid-unknown",
    source: CORE,
    scenario: idToken((_signed, { claims: body }) => forge({ alg: "ES256", kid: STRANGER.kid }, body, STRANGER)),
  },
  { name: "kid-of-another-type", source: "RFC 7515 §4.1.4", scenario: header({ kid: 1 }) },
  {
    name: "oidcc-client-test-invalid-sig-es256",
    source: CORE,
    scenario: idToken((signed) => flipSignatureBit(signed, 0)),
  },
  {
    name: "signature-one-late-bit-changed",
    source: CORE,
    scenario: idToken((signed) => flipSignatureBit(signed, 511)),
  },
  {
    name: "signature-stripped",
    source: CORE,
    scenario: idToken((signed) => signed.slice(0, signed.lastIndexOf(".") + 1)),
  },
  {
    name: "signature-and-its-dot-stripped",
    source: CORE,
    scenario: idToken((signed) => signed.slice(0, signed.lastIndexOf("."))),
  },
  {
    name: "signature-all-zero",
    source: "CVE-2022-21449",
    scenario: idToken((signed) => `${signed.slice(0, signed.lastIndexOf("."))}.${"A".repeat(86)}`),
  },
  {
    name: "signature-in-der",
    source: "RFC 7518 §3.4",
    scenario: idToken((signed, { login }) => derSigned(signed, signingKey(login))),
  },
  {
    name: "claims-changed-after-signing",
    source: CORE,
    scenario: idToken((signed, { claims: body }) => {
      const [head, , signature] = signed.split(".")
      return `${head}.${Buffer.from(JSON.stringify({ ...body, sub: "admin" })).toString("base64url")}.${signature}`
    }),
  },
  {
    name: "access-token-as-id-token",
    source: "RFC 9068 §4; RFC 8725 §3.11",
    scenario: header({ typ: "at+jwt" }),
    unseenByLibrary: true,
  },
  {
    name: "logout-token-as-id-token",
    source: "RFC 8725 §3.11",
    scenario: header({ typ: "logout+jwt" }),
    unseenByLibrary: true,
  },
  {
    name: "id-token-very-long",
    source: "bounded input",
    scenario: claims({ padding: "x".repeat(60_000) }),
    unseenByLibrary: true,
  },
  {
    name: "encrypted-token",
    source: "five parts, which nobody asked for",
    scenario: idToken((signed) => `${signed}.AAAA.AAAA`),
  },
]

/** Lies of the authorization response. */
const CALLBACK: readonly Attack[] = [
  {
    name: "invalid-authorization-response-iss",
    source: "RFC 9207 §2.4",
    scenario: callback((parameters) => parameters.set("iss", "https://evil.example")),
  },
  {
    name: "remove-authorization-response-iss",
    source: "RFC 9207 §2.4",
    scenario: callback((parameters) => parameters.delete("iss")),
  },
  {
    name: "iss-parameter-twice",
    source: "RFC 6749 §3.1",
    scenario: callback((parameters) => parameters.append("iss", "https://evil.example")),
  },
  {
    name: "ensure-authorization-response-with-invalid-missing-state-fails",
    source: `${BCP} §4.7`,
    scenario: callback((parameters) => parameters.delete("state")),
  },
  {
    name: "ensure-authorization-response-with-invalid-state-fails",
    source: `${BCP} §4.7`,
    scenario: callback((parameters) => parameters.set("state", `${parameters.get("state")}x`)),
  },
  { name: "state-empty", source: `${BCP} §4.7`, scenario: callback((parameters) => parameters.set("state", "")) },
  {
    name: "state-in-another-case",
    source: `${BCP} §4.7`,
    scenario: callback((parameters) => parameters.set("state", swapCase(parameters.get("state") ?? ""))),
  },
  {
    name: "state-twice",
    source: "RFC 6749 §3.1",
    scenario: callback((parameters) => parameters.append("state", "another")),
  },
  { name: "code-missing", source: "RFC 6749 §4.1.2", scenario: callback((parameters) => parameters.delete("code")) },
  { name: "code-empty", source: "RFC 6749 §4.1.2", scenario: callback((parameters) => parameters.set("code", "")) },
  {
    name: "code-twice",
    source: "RFC 6749 §3.1",
    scenario: callback((parameters) => parameters.append("code", "another")),
  },
  { name: "code-unknown", source: "RFC 6749 §4.1.3", scenario: callback((parameters) => parameters.set("code", "x")) },
  {
    name: "code-very-long",
    source: "bounded input",
    scenario: callback((parameters) => parameters.set("code", "x".repeat(12_000))),
  },
  {
    name: "state-very-long",
    source: "bounded input",
    scenario: callback((parameters) => parameters.set("state", "x".repeat(12_000))),
  },
  {
    name: "error-instead-of-a-code",
    source: "RFC 6749 §4.1.2.1",
    scenario: callback((parameters) => {
      parameters.delete("code")
      parameters.set("error", "access_denied")
    }),
  },
  {
    name: "error-beside-a-code",
    source: "RFC 6749 §4.1.2.1",
    scenario: callback((parameters) => parameters.set("error", "access_denied")),
  },
  {
    name: "error-with-markup",
    source: "RFC 6749 §4.1.2.1; what it says is anybody's",
    scenario: callback((parameters) => {
      parameters.delete("code")
      parameters.set("error", "<img src=x onerror=alert(1)>")
      parameters.set("error_description", "</p><script>alert('marked')</script>")
      parameters.set("error_uri", "javascript:alert('marked')")
    }),
  },
  {
    name: "answer-in-the-fragment",
    source: "OAuth 2.0 Multiple Response Types §2.1",
    scenario: {
      authorize: (honest, { asked }) => ({
        status: 302,
        headers: { location: `${asked.get("redirect_uri")}#${honest}` },
      }),
    },
  },
  {
    name: "id-token-beside-the-code",
    source: "OAuth 2.0 Multiple Response Types §3: hybrid was not asked for",
    scenario: callback((parameters) => parameters.set("id_token", forgeUnsigned({ alg: "none" }, { sub: "admin" }))),
  },
  {
    name: "jarm-instead-of-parameters",
    source: "JARM §2.3 was not asked for",
    scenario: callback((parameters) => {
      parameters.delete("code")
      parameters.set("response", forgeUnsigned({ alg: "none" }, { code: "x" }))
    }),
  },
]

/** Lies of the token endpoint and of userinfo. */
const TOKEN: readonly Attack[] = [
  { name: "token-endpoint-error", source: "RFC 6749 §5.2", scenario: token(json({ error: "invalid_grant" }, 400)) },
  {
    name: "token-endpoint-error-with-markup",
    source: "RFC 6749 §5.2",
    scenario: token(json({ error: "<script>", error_description: "<script>alert('marked')</script>" }, 400)),
  },
  {
    name: "token-endpoint-200-with-error",
    source: "RFC 6749 §5.2",
    scenario: token(json({ error: "invalid_grant" })),
  },
  {
    name: "token-endpoint-error-with-a-token",
    source: "RFC 6749 §5.2",
    scenario: token((honest) => json({ ...honest, error: "invalid_grant" }, 400)),
  },
  {
    name: "token-endpoint-500-with-a-token",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => json(honest, 500)),
  },
  {
    name: "token-endpoint-201-with-a-token",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => json(honest, 201)),
  },
  {
    name: "token-endpoint-html",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => ({ headers: HTML, body: JSON.stringify(honest) })),
    unseenByLibrary: true,
  },
  {
    name: "token-endpoint-without-content-type",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => ({ body: JSON.stringify(honest) })),
    unseenByLibrary: true,
  },
  {
    name: "token-endpoint-no-json",
    source: "RFC 6749 §5.1",
    scenario: token({ headers: { "content-type": "application/json" }, body: "{" }),
  },
  { name: "token-endpoint-array", source: "RFC 6749 §5.1", scenario: token((honest) => json([honest])) },
  { name: "token-endpoint-null", source: "RFC 6749 §5.1", scenario: token(json(null)) },
  {
    name: "token-endpoint-huge",
    source: "bounded input",
    scenario: token((honest) => ({
      headers: { "content-type": "application/json" },
      body: `${JSON.stringify(honest)}${" ".repeat(65_536)}`,
      repeatedBytes: HUGE_BYTES,
    })),
  },
  {
    name: "token-endpoint-padded-beyond-bounds",
    source: "bounded input: the JSON is honest, its size is not",
    scenario: token((honest) => json({ ...honest, padding: "x".repeat(8 * 1024 * 1024) })),
    unseenByLibrary: true,
  },
  {
    name: "token-endpoint-never-answers",
    source: "bounded waits",
    scenario: token({ afterMs: Number.POSITIVE_INFINITY }),
    isEndless: true,
  },
  {
    name: "token-endpoint-drips",
    source: "bounded waits: a byte now and then is no answer",
    scenario: token({ headers: JSON_TYPE, body: " ", repeatedBytes: 1_000, dripMs: 200 }),
    isEndless: true,
  },
  {
    name: "token-endpoint-blows-up",
    source: "bounded input: 64 MB of JSON in 64 kB of gzip",
    scenario: token((honest) => ({
      headers: { ...JSON_TYPE, "content-encoding": "gzip" },
      body: gzipSync(JSON.stringify({ ...honest, padding: "x".repeat(64 * 1024 * 1024) })),
    })),
    unseenByLibrary: true,
  },
  { name: "token-endpoint-cuts", source: "bounded waits", scenario: token({ cut: true }) },
  {
    name: "token-endpoint-redirects",
    source: `${BCP} §4.12: a redirect would carry the code and the secret away`,
    scenario: {
      token: (_honest, { tenant }) => ({ status: 307, headers: { location: `${tenant.issuer}/elsewhere` } }),
    },
  },
  {
    name: "access-token-without-id-token",
    source: "OpenID Connect Core §3.1.3.3",
    scenario: token(({ id_token: _dropped, ...rest }) => json(rest)),
  },
  ...[null, 42, true, ["x"], { jwt: "x" }, ""].map(
    (value): Attack => ({
      name: `id-token-${JSON.stringify(value)}`,
      source: "OpenID Connect Core §3.1.3.3",
      scenario: token((honest) => json({ ...honest, id_token: value })),
    }),
  ),
  {
    name: "id-token-twice-the-last-one-wrong",
    source: "RFC 8259 §4",
    scenario: token((honest) => ({
      headers: { "content-type": "application/json" },
      body: JSON.stringify(honest).replace(/}$/, `,"id_token":"${forgeUnsigned({ alg: "none" }, { sub: "admin" })}"}`),
    })),
  },
  {
    name: "id-token-as-the-prototype",
    source: "RFC 8259: a member like any other",
    scenario: token(({ id_token, ...rest }) => ({
      headers: { "content-type": "application/json" },
      body: JSON.stringify(rest).replace(/}$/, `,"__proto__":{"id_token":${JSON.stringify(id_token)}}}`),
    })),
  },
  {
    name: "token-type-unknown",
    source: "RFC 6749 §7.1",
    scenario: token((honest) => json({ ...honest, token_type: "mac" })),
  },
  {
    name: "access-token-missing",
    source: "RFC 6749 §5.1",
    scenario: token(({ access_token: _dropped, ...rest }) => json(rest)),
  },
]

/** Lies when something was asked for: how fresh, how sure. */
const STEP_UP: readonly Attack[] = [
  {
    name: "auth-time-older-than-max-age",
    source: CORE,
    start: { max_age: "60" },
    scenario: claims(() => ({ auth_time: nowS() - 3_600 })),
  },
  { name: "auth-time-missing", source: CORE, start: { max_age: "60" }, scenario: without("auth_time") },
  {
    name: "auth-time-as-text",
    source: CORE,
    start: { max_age: "60" },
    scenario: claims(() => ({ auth_time: String(nowS()) })),
  },
  {
    name: "auth-time-in-the-future",
    source: CORE,
    start: { max_age: "60" },
    scenario: claims(() => ({ auth_time: nowS() + 86_400 })),
    unseenByLibrary: true,
  },
  {
    name: "acr-lower-than-asked",
    source: "OpenID Connect Core §5.5.1.1",
    start: { level: "2" },
    scenario: claims({ acr: "urn:one" }),
    unseenByLibrary: true,
  },
  {
    name: "acr-missing",
    source: "OpenID Connect Core §5.5.1.1",
    start: { level: "2" },
    scenario: without("acr"),
    unseenByLibrary: true,
  },
  ...["__proto__", "constructor", "toString", "urn:unknown", "2"].map(
    (acr): Attack => ({
      name: `acr-${acr}`,
      source: "OpenID Connect Core §5.5.1.1: only what the table of levels says",
      start: { level: "1" },
      scenario: claims({ acr }),
      unseenByLibrary: true,
    }),
  ),
  {
    name: "acr-of-another-type",
    source: "OpenID Connect Core §2",
    start: { level: "2" },
    scenario: claims({ acr: ["urn:two"] }),
    unseenByLibrary: true,
  },
]

/** Lies in the key set. */
const KEY_SET: readonly Attack[] = [
  {
    name: "oidcc-client-test-kid-absent-multiple-jwks",
    source: "OpenID Connect Core §10.1",
    arrange: (tenant) => {
      tenant.keys = [...tenant.keys, makeForgeKey("second")]
      tenant.scenario = { header: ({ alg }) => ({ alg }) }
    },
  },
  {
    name: "kid-twice-in-the-key-set",
    source: "RFC 7517 §4.5",
    arrange: (tenant) => {
      tenant.jwks = ({ keys }) =>
        json({ keys: [{ ...makeForgeKey("x").publicJwk, kid: tenant.keys[0]?.kid }, ...keys] })
    },
  },
  { name: "key-set-no-json", source: "RFC 7517 §5", arrange: (tenant) => set(tenant, { body: "<html>" }) },
  { name: "key-set-of-another-shape", source: "RFC 7517 §5", arrange: (tenant) => set(tenant, json({ keys: {} })) },
  { name: "key-set-empty", source: "RFC 7517 §5", arrange: (tenant) => set(tenant, json({ keys: [] })) },
  { name: "key-set-500", source: "RFC 7517 §5", arrange: (tenant) => set(tenant, { status: 500 }) },
  {
    name: "key-set-huge",
    source: "bounded input",
    arrange: (tenant) =>
      set(tenant, { headers: { "content-type": "application/json" }, body: "[1,", repeatedBytes: HUGE_BYTES }),
  },
  {
    name: "key-set-never-answers",
    source: "bounded waits",
    arrange: (tenant) => set(tenant, { afterMs: Number.POSITIVE_INFINITY }),
    isEndless: true,
  },
  {
    name: "key-set-drips",
    source: "bounded waits",
    arrange: (tenant) => set(tenant, { headers: JSON_TYPE, body: " ", repeatedBytes: 1_000, dripMs: 200 }),
    isEndless: true,
  },
  {
    name: "key-set-redirects",
    source: `${DISCOVERY}: keys come from where the provider said`,
    arrange: (tenant) => set(tenant, { status: 302, headers: { location: `${tenant.issuer}/elsewhere` } }),
  },
  {
    name: "key-set-with-the-private-key",
    source: "RFC 7517 §9.3: whoever read it can sign",
    arrange: (tenant) => {
      const { privateKey, publicJwk } = tenant.keys[0] ?? STRANGER
      set(tenant, json({ keys: [{ ...privateKey.export({ format: "jwk" }), kid: publicJwk.kid, alg: "ES256" }] }))
    },
  },
  {
    name: "key-set-with-a-symmetric-key",
    source: "RFC 8725 §3.1",
    arrange: (tenant) => {
      const k = Buffer.from("a secret that everybody can read").toString("base64url")
      set(tenant, json({ keys: [{ kty: "oct", k, kid: "shared", alg: "HS256" }] }))
      tenant.scenario = idToken((_signed, { claims: body }) =>
        forgeHs256({ alg: "HS256", kid: "shared" }, body, Buffer.from(k, "base64url")),
      )
    },
  },
  {
    name: "key-for-encryption",
    source: "RFC 7517 §4.2",
    arrange: (tenant) => {
      tenant.jwks = ({ keys }) => json({ keys: keys.map((key) => ({ ...(key as object), use: "enc" })) })
    },
  },
  {
    name: "rsa-key-that-takes-everything",
    source: "RFC 7518 §3.3; an exponent of one makes every text its own signature",
    arrange: (tenant) => {
      set(tenant, json({ keys: [{ ...RSA.publicJwk, e: "AQ" }] }))
      tenant.scenario = idToken((_signed, { claims: body }) =>
        forgeUnderExponentOne({ alg: "RS256", kid: RSA.kid }, body),
      )
    },
    unseenByLibrary: true,
  },
]

/** Lies in the discovery document. */
const DOCUMENT: readonly Attack[] = [
  {
    name: "oidcc-client-test-discovery-issuer-mismatch",
    source: DISCOVERY,
    arrange: (tenant) => describe(tenant, { issuer: "https://evil.example" }),
  },
  {
    name: "discovery-issuer-with-a-trailing-slash",
    source: DISCOVERY,
    arrange: (tenant) => describe(tenant, { issuer: `${tenant.issuer}/` }),
  },
  {
    name: "discovery-no-json",
    source: DISCOVERY,
    arrange: (tenant) => {
      tenant.discovery = () => ({ headers: HTML, body: "<html>" })
    },
  },
  {
    name: "discovery-500",
    source: DISCOVERY,
    arrange: (tenant) => {
      tenant.discovery = (honest) => json(honest, 500)
    },
  },
  {
    name: "discovery-never-answers",
    source: "bounded waits",
    arrange: (tenant) => {
      tenant.discovery = () => ({ afterMs: Number.POSITIVE_INFINITY })
    },
    isEndless: true,
  },
  {
    name: "discovery-huge",
    source: "bounded input",
    arrange: (tenant) => {
      tenant.discovery = () => ({
        headers: { "content-type": "application/json" },
        body: " ".repeat(65_536),
        repeatedBytes: HUGE_BYTES,
      })
    },
  },
  {
    name: "discovery-drips",
    source: "bounded waits",
    arrange: (tenant) => {
      tenant.discovery = () => ({ headers: JSON_TYPE, body: " ", repeatedBytes: 1_000, dripMs: 200 })
    },
    isEndless: true,
  },
  {
    name: "discovery-redirects",
    source: DISCOVERY,
    arrange: (tenant) => {
      tenant.discovery = () => ({ status: 302, headers: { location: `${tenant.issuer}/elsewhere` } })
    },
  },
  ...["authorization_endpoint", "token_endpoint", "jwks_uri"].map(
    (member): Attack => ({
      name: `discovery-without-${member}`,
      source: "OpenID Connect Discovery §3",
      arrange: (tenant) => describe(tenant, { [member]: undefined }),
    }),
  ),
  ...["javascript:alert(1)//", "data:text/html,x", "//evil.example/authorize", "http://evil.example/authorize"].map(
    (url): Attack => ({
      name: `discovery-sends-to-${url}`,
      source: `${BCP} §4.10.2: a scheme that runs, or an unprotected one`,
      arrange: (tenant) => describe(tenant, { authorization_endpoint: url }),
    }),
  ),
  {
    name: "discovery-token-endpoint-elsewhere",
    source: "egress: the code and the secret go to listed origins only",
    arrange: (tenant) => describe(tenant, { token_endpoint: "http://127.0.0.1:9/token" }),
  },
  {
    name: "discovery-announces-none",
    source: "RFC 8725 §3.1",
    arrange: (tenant) => {
      describe(tenant, { id_token_signing_alg_values_supported: ["none", "HS256"] })
      tenant.scenario = idToken((_signed, { header: head, claims: body }) =>
        forgeUnsigned({ ...head, alg: "none" }, body),
      )
    },
  },
  {
    name: "discovery-announces-hs256",
    source: "RFC 8725 §3.1",
    arrange: (tenant) => {
      describe(tenant, { id_token_signing_alg_values_supported: ["HS256"] })
      tenant.scenario = idToken((_signed, { claims: body, login }) =>
        forgeHs256({ alg: "HS256" }, body, login.tenant.clientSecret),
      )
    },
  },
]

/** Each comes as far as the token endpoint, once, before it is seen through. */
export const REDEEMED: readonly Attack[] = [...ID_TOKEN, ...ENTITLEMENTS, ...SIGNATURE, ...TOKEN, ...STEP_UP]
/** Each is seen through in the browser's answer already. */
export const ANSWERED: readonly Attack[] = CALLBACK
/** Need no more than a tenant that says the truth of itself. */
export const LOGIN_ATTACKS: readonly Attack[] = [...REDEEMED, ...ANSWERED]
/** Each needs a tenant of its own, since what a provider says of itself is remembered. */
export const TENANT_ATTACKS: readonly Attack[] = [...KEY_SET, ...DOCUMENT]

/** What honest providers do, and must not be taken for a lie. `arrange` as in an attack. */
export const HONEST_WAYS: readonly Attack[] = [
  { name: "aud-as-array", source: CORE, scenario: claims(({ tenant }) => ({ aud: [tenant.clientId] })) },
  { name: "azp-of-ours", source: CORE, scenario: claims(({ tenant }) => ({ azp: tenant.clientId })) },
  { name: "typ-jwt", source: "RFC 7519 §5.1", scenario: header({ typ: "JWT" }) },
  { name: "exp-within-the-skew", source: "RFC 7519 §4.1.4", scenario: claims(() => ({ exp: nowS() - 30 })) },
  { name: "iat-within-the-skew", source: "RFC 7519 §4.1.6", scenario: claims(() => ({ iat: nowS() + 30 })) },
  {
    name: "claims-beyond-ours",
    source: "RFC 7519 §4",
    scenario: claims({ name: "Alice", address: { country: "NO" } }),
  },
  { name: "sub-of-255-characters", source: "OpenID Connect Core §2", scenario: claims({ sub: "a".repeat(255) }) },
  {
    name: "without-sid-acr-and-auth-time",
    source: "OpenID Connect Core §2",
    scenario: without("sid", "acr", "auth_time"),
  },
  { name: "company-beyond-53-bits", source: "contracts", scenario: claims({ company: "9007199254740993" }) },
  { name: "scopes-as-text", source: "RFC 8693 §4.2", scenario: claims({ entitlements: "a b  c" }) },
  {
    name: "token-endpoint-with-charset",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => ({
      headers: { "content-type": "application/json;charset=UTF-8" },
      body: JSON.stringify(honest),
    })),
  },
  {
    name: "token-type-in-lower-case",
    source: "RFC 6749 §5.1",
    scenario: token((honest) => json({ ...honest, token_type: "bearer", refresh_token: "x", scope: "openid" })),
  },
  {
    name: "session-state-beside-the-code",
    source: "OpenID Connect Session Management §2",
    scenario: callback((parameters) => parameters.set("session_state", "x")),
  },
  {
    name: "acr-higher-than-asked",
    source: "OpenID Connect Core §2",
    start: { level: "1" },
    scenario: claims({ acr: "urn:two" }),
  },
  { name: "auth-time-of-just-now", source: CORE, start: { max_age: "60" } },
  {
    name: "oidcc-client-test-kid-absent-single-jwks",
    source: "OpenID Connect Core §10.1",
    arrange: (tenant) => {
      tenant.scenario = { header: ({ alg }) => ({ alg }) }
    },
  },
  {
    name: "oidcc-client-test-idtoken-sig-rs256",
    source: CORE,
    arrange: (tenant) => {
      tenant.keys = [RSA]
    },
  },
  {
    name: "signed-with-ed25519",
    source: "RFC 8037",
    arrange: (tenant) => {
      tenant.keys = [makeForgeKey("ed", "EdDSA")]
    },
  },
  {
    name: "keys-that-are-not-for-this",
    source: "RFC 7517 §5: what is not understood is passed over",
    arrange: (tenant) => {
      const others = [
        { ...makeForgeKey("enc").publicJwk, use: "enc" },
        { kty: "AKP", kid: "new", alg: "ML-DSA-44" },
      ]
      tenant.jwks = ({ keys }) => json({ keys: [...others, ...keys] })
    },
  },
  {
    name: "no-iss-parameter-and-none-announced",
    source: "RFC 9207 §2.4",
    arrange: (tenant) => {
      describe(tenant, { authorization_response_iss_parameter_supported: undefined })
      tenant.scenario = callback((parameters) => parameters.delete("iss"))
    },
  },
]

function set(tenant: Tenant, answer: Answer): void {
  tenant.jwks = () => answer
}

function describe(tenant: Tenant, changes: Claims): void {
  tenant.discovery = (honest) => json({ ...honest, ...changes })
}

/** Signed honestly over a payload that is no object, or no JSON. */
function rawPayload(make: (text: string) => string): Scenario {
  return idToken((_signed, { header: head, claims: body, login }) =>
    forge(head, make(JSON.stringify(body)), signingKey(login)),
  )
}

/** A claim whose value JSON.stringify would not write. */
function rawClaim(name: string, value: string): Scenario {
  return rawPayload((text) => text.replace(new RegExp(`"${name}":[^,}]+`), `"${name}":${value}`))
}

/** Of each tenant, the first ID token that was asked for: honest in itself, and never this login's. */
const FIRST = new WeakMap<Tenant, string>()
function earlier(tenant: Tenant, signed: string): string {
  const first = FIRST.get(tenant)
  if (first !== undefined) return first
  const [head, body] = signed.split(".")
  const claimsOfAnother = { ...(decode(body) as Claims), nonce: "of-an-earlier-login" }
  const made = forge(decode(head) as Claims, claimsOfAnother, tenant.keys[0] ?? STRANGER)
  FIRST.set(tenant, made)
  return made
}

function decode(part = ""): unknown {
  return JSON.parse(Buffer.from(part, "base64url").toString())
}

function swapCase(text: string): string {
  return [...text].map((each) => (each === each.toLowerCase() ? each.toUpperCase() : each.toLowerCase())).join("")
}

function pemOf({ privateKey }: ForgeKey): string {
  return createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString()
}

/** A true signature in the form that X.509 uses, which JWS does not. */
function derSigned(signed: string, { privateKey }: ForgeKey): string {
  const text = signed.slice(0, signed.lastIndexOf("."))
  return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`
}

/** With an exponent of one, the padded digest (RFC 8017 §9.2) is its own signature: no private key is needed. */
function forgeUnderExponentOne(header: Claims, body: Claims): string {
  const [head, payload] = forgeUnsigned(header, body).split(".")
  const digest = createHash("sha256").update(`${head}.${payload}`).digest()
  const info = Buffer.concat([Buffer.from("3031300d060960864801650304020105000420", "hex"), digest])
  const padding = Buffer.alloc(256 - 3 - info.length, 0xff)
  const block = Buffer.concat([Buffer.from([0, 1]), padding, Buffer.from([0]), info])
  return `${head}.${payload}.${block.toString("base64url")}`
}
