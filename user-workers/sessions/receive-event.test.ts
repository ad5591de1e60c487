import { reset } from "cloudflare:test"
import { env as bound } from "cloudflare:workers"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { beforeEach, describe, it, vi } from "vitest"
import type { PlatformApi } from "../../contracts/platform.ts"
import { type Revocation, targetHash } from "../../contracts/revocation.ts"
import { sessionKey, sessionRecord } from "../../contracts/session.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import sessions from "./index.ts"
import { CREDENTIAL_CHANGE, SESSION_REVOKED } from "./receive-event.ts"
import { keysOf, NOON, putSession } from "./testing/stored-session.ts"

vi.hoisted(() => vi.useFakeTimers({ now: Date.parse("2026-11-20T12:00:00.000Z"), toFake: ["Date"] }))

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext
const kv = (bound as unknown as { SESSIONS: KVNamespace }).SESSIONS
const ISS = "https://idp.example"
const AUD = "https://app.procore.com/sessions/events"
const NOON_S = NOON / 1000
const genuine = await generateKeyPair("ES256", { extractable: true })
const strange = await generateKeyPair("ES256", { extractable: true })
const jwk = { ...(await exportJWK(genuine.publicKey)), kid: "k1" }
const transmitter = { iss: ISS, audience: [AUD], idp: "corp", emailIdp: "mail", jwks: { keys: [jwk] } }

const aliceId = { format: "iss_sub", iss: ISS, sub: "alice" }
let jti = 0
beforeEach(() => reset())

interface Token {
  readonly header?: object
  readonly claims?: Readonly<Record<string, unknown>>
  readonly key?: CryptoKey
}

function sign({ header = {}, claims = {}, key = genuine.privateKey }: Token): Promise<string> {
  const events = { [SESSION_REVOKED]: {} }
  const all = { iss: ISS, aud: AUD, iat: NOON_S, jti: `j${++jti}`, sub_id: aliceId, events, ...claims }
  return new SignJWT(JSON.parse(JSON.stringify(all)))
    .setProtectedHeader({ alg: "ES256", typ: "secevent+jwt", kid: "k1", ...header })
    .sign(key)
}

/** Pushes a token by somebody without a credential. */
async function push(
  token: string | Token,
  given: { type?: string; transmitters?: unknown; fails?: boolean } = {},
): Promise<{ status: number; body: Record<string, unknown> | null; headers: Headers; revoked: Revocation[] }> {
  const revoked: Revocation[] = []
  const platform: Pick<PlatformApi, "keys" | "revoke"> = {
    keys: passports.keys,
    revoke: async (list) => {
      if (given.fails === true) throw new Error("platform.unavailable")
      revoked.push(...list)
      return { seq: 1, boundMs: 5000 }
    },
  }
  const init = {
    method: "POST",
    body: typeof token === "string" ? token : await sign(token),
    headers: { "content-type": given.type ?? "application/secevent+jwt" },
  }
  const nobody = { kind: "anonymous", sub: "anonymous" } as const
  const request = await passports.request(AUD, "sessions", init, nobody)
  const TRANSMITTERS = JSON.stringify(given.transmitters ?? [transmitter])
  const response = await sessions.fetch(request, { ...(bound as object), PLATFORM: platform, TRANSMITTERS }, context)
  const text = await response.text()

  return { status: response.status, body: text === "" ? null : JSON.parse(text), headers: response.headers, revoked }
}

const about = (sub_id: unknown, type = SESSION_REVOKED, payload: object = {}) => ({
  claims: { sub_id, events: { [type]: payload } },
})

describe("events: what they do", () => {
  it("ends every session of a subject made until the event", async ({ expect }) => {
    const { status, body, revoked } = await push({})
    expect([status, body]).toEqual([202, null])
    expect(revoked).toEqual([
      {
        target: { kind: "subject", idp: "corp", subject: "alice" },
        beforeMs: NOON,
        reason: `session-revoked of ${ISS}`,
      },
    ])
  })

  it("ends the sessions that began with a session of the provider, and no other", async ({ expect }) => {
    const handles = [await putSession(kv, { idpSession: "s1" }), await putSession(kv, { idpSession: "s1" })]
    const kept = await putSession(kv, { idpSession: "s2" })
    await putSession(kv, { idp: "other", idpSession: "s1" })
    const claims = { ...about({ format: "opaque", id: "s1" }).claims, iat: NOON_S - 120 }
    const { status, revoked } = await push({ claims })
    expect(status).toBe(202)
    expect(revoked.map(({ target }) => target.kind === "session" && target.session).sort()).toEqual(handles.sort())
    const ends = NOON + 8 * 3_600_000
    expect(revoked).toMatchObject([{ sessionExpiresAtMs: ends }, { sessionExpiresAtMs: ends }])
    expect((await keysOf(kv, "session/")).some((key) => key.includes(kept))).toBe(true)
    expect(await keysOf(kv, "session/")).toHaveLength(2)
  })

  it("ends all of the user's where session and user are named and the session is not known", async ({ expect }) => {
    const complex = { format: "complex", user: aliceId, session: { format: "opaque", id: "s1" } }
    expect((await push(about(complex))).revoked).toMatchObject([{ target: { kind: "subject", subject: "alice" } }])
    const handle = await putSession(kv, { idpSession: "s1" })
    expect((await push(about(complex))).revoked).toMatchObject([{ target: { kind: "session", session: handle } }])
  })

  it("ends those of an e-mail address at the provider whose subjects are addresses", async ({ expect }) => {
    const mail = { format: "email", email: "Alice@Example.com" }
    expect((await push(about(mail))).revoked).toMatchObject([
      { target: { kind: "subject", idp: "mail", subject: "Alice@Example.com" } },
      { target: { kind: "subject", idp: "mail", subject: "alice@example.com" } },
    ])
    const { emailIdp: _, ...without } = transmitter
    expect((await push(about(mail), { transmitters: [without] })).body).toMatchObject({ err: "invalid_request" })
  })

  for (const subject of ["Alice@Example.com", "alice@example.com"])
    it(`ends a session that began as ${subject}, by the hash that the edge looks for`, async ({ expect }) => {
      const handle = await putSession(kv, { idp: "mail", subject })
      const kept = [
        await putSession(kv, { idp: "mail", subject: "malice@example.com" }),
        await putSession(kv, { subject }),
      ]
      const record = sessionRecord.parse(JSON.parse((await kv.get(sessionKey(handle))) ?? ""))
      const { status, revoked } = await push(about({ format: "email", email: "Alice@Example.com" }))
      const hashes = await Promise.all(revoked.map(({ target }) => targetHash(target)))
      expect(status).toBe(202)
      expect(hashes).toContainEqual(await targetHash({ kind: "subject", idp: record.idp, subject: record.subject }))
      expect((await keysOf(kv, "session/")).sort()).toEqual(kept.map((each) => sessionKey(each)).sort())
    })

  it("names an address once that has no capital", async ({ expect }) => {
    expect((await push(about({ format: "email", email: "alice@example.com" }))).revoked).toHaveLength(1)
  })

  for (const [change, count] of Object.entries({ revoke: 1, update: 1, delete: 1, create: 0 }))
    it(`${count === 0 ? "leaves" : "ends"} sessions when a credential is the object of ${change}`, async ({
      expect,
    }) => {
      const payload = { change_type: change, credential_type: "password" }
      const { status, revoked } = await push(about(aliceId, CREDENTIAL_CHANGE, payload))
      expect([status, revoked.length]).toEqual([202, count])
    })

  it("finds the subject inside the event, as products of before SSF 1.0 put it", async ({ expect }) => {
    const { revoked } = await push(about(undefined, SESSION_REVOKED, { subject: aliceId }))
    expect(revoked).toMatchObject([{ target: { subject: "alice" } }])
  })

  it("accepts events that it does not know, without an effect", async ({ expect }) => {
    const { status, revoked } = await push(
      about({ format: "opaque", id: "stream" }, "https://schemas.openid.net/secevent/ssf/event-type/verification"),
    )
    expect([status, revoked]).toEqual([202, []])
  })

  const times: Record<string, [timestamp: number, beforeMs: number]> = {
    "seconds, to their last millisecond": [NOON_S - 10, NOON - 10_000 + 999],
    milliseconds: [NOON - 10_000, NOON - 10_000],
    "a time to come, until now": [NOON_S + 600, NOON],
  }
  for (const [what, [event_timestamp, beforeMs]] of Object.entries(times))
    it(`takes ${what}`, async ({ expect }) => {
      expect((await push(about(aliceId, SESSION_REVOKED, { event_timestamp }))).revoked).toMatchObject([{ beforeMs }])
    })

  it("is done once for one jti, and again for another issuer's", async ({ expect }) => {
    const token = await sign({})
    expect((await push(token)).revoked).toHaveLength(1)
    const again = await push(token)
    expect([again.status, again.revoked]).toEqual([202, []])
    const second = { ...transmitter, iss: "https://other.example", subjectIssuer: ISS }
    const claims = { iss: second.iss, jti: `j${jti}` }
    expect((await push({ claims }, { transmitters: [transmitter, second] })).revoked).toHaveLength(1)
  })

  it("is done at the repeat when the first one failed", async ({ expect }) => {
    const token = await sign({})
    expect((await push(token, { fails: true })).status).toBe(503)
    expect((await push(token)).revoked).toHaveLength(1)
  })

  it("ends what it finds at once, and asks for a repeat while KV may not show a session that began just before", async ({
    expect,
  }) => {
    const old = await putSession(kv, { idpSession: "s1" })
    const token = await sign(about({ format: "opaque", id: "s1" }))
    const early = await push(token)
    expect([early.status, early.headers.get("retry-after")]).toEqual([503, "60"])
    expect(early.revoked).toMatchObject([{ target: { kind: "session", session: old } }])
    const young = await putSession(kv, { idpSession: "s1" })
    expect((await push(token)).revoked).toMatchObject([{ target: { kind: "session", session: young } }])
  })

  it("asks for a repeat while KV may not show the session yet, and takes it as nothing to do later", async ({
    expect,
  }) => {
    const early = await push(about({ format: "opaque", id: "unseen" }))
    expect([early.status, early.headers.get("retry-after")]).toEqual([503, "60"])
    const claims = { ...about({ format: "opaque", id: "unseen" }).claims, iat: NOON_S - 120 }
    expect((await push({ claims })).status).toBe(202)
  })
})

describe("events: what is refused, by RFC 8935", () => {
  const attacks: Record<string, [token: Token, err: string]> = {
    "a JWT that is no event": [{ header: { typ: "JWT" } }, "invalid_request"],
    "no typ": [{ header: { typ: undefined } }, "invalid_request"],
    "no kid": [{ header: { kid: undefined } }, "invalid_request"],
    "a header that points at a key": [{ header: { jku: "https://evil.example" } }, "invalid_request"],
    "a kid that is not known": [{ header: { kid: "k2" } }, "invalid_key"],
    "another's signature": [{ key: strange.privateKey }, "invalid_key"],
    "an issuer that is not known": [{ claims: { iss: "https://evil.example" } }, "invalid_issuer"],
    "an issuer with a slash more": [{ claims: { iss: `${ISS}/` } }, "invalid_issuer"],
    "no issuer": [{ claims: { iss: undefined } }, "invalid_issuer"],
    "another audience": [{ claims: { aud: `${AUD}/` } }, "invalid_audience"],
    "no audience": [{ claims: { aud: undefined } }, "invalid_audience"],
    "no jti": [{ claims: { jti: undefined } }, "invalid_request"],
    "a jti that is a number": [{ claims: { jti: 7 } }, "invalid_request"],
    "no iat": [{ claims: { iat: undefined } }, "invalid_request"],
    "an iat with a fraction": [{ claims: { iat: NOON_S - 0.5 } }, "invalid_request"],
    "an iat 61 s ahead": [{ claims: { iat: NOON_S + 61 } }, "invalid_request"],
    "an iat older than a week and the skew": [{ claims: { iat: NOON_S - 7 * 86_400 - 61 } }, "invalid_request"],
    "an exp": [{ claims: { exp: NOON_S + 600 } }, "invalid_request"],
    "a sub": [{ claims: { sub: "alice" } }, "invalid_request"],
    "no events": [{ claims: { events: undefined } }, "invalid_request"],
    "events that are a list": [{ claims: { events: [{}] } }, "invalid_request"],
    "events that are empty": [{ claims: { events: {} } }, "invalid_request"],
    "a subject of another issuer": [
      about({ format: "iss_sub", iss: "https://other.example", sub: "alice" }),
      "access_denied",
    ],
    "a subject in a format that is not understood": [
      about({ format: "phone_number", phone_number: "+1" }),
      "invalid_request",
    ],
    "a complex subject that names neither user nor session": [
      about({ format: "complex", tenant: { format: "opaque", id: "t" } }),
      "invalid_request",
    ],
    "no subject": [{ claims: { sub_id: undefined } }, "invalid_request"],
    "a credential change of a session": [
      about({ format: "opaque", id: "s1" }, CREDENTIAL_CHANGE, { change_type: "revoke" }),
      "invalid_request",
    ],
  }
  for (const [what, [token, err]] of Object.entries(attacks))
    it(`refuses ${what}`, async ({ expect }) => {
      const { status, body, headers, revoked } = await push(token)
      expect([status, body?.err, revoked]).toEqual([400, err, []])
      expect(body?.description).toEqual(expect.any(String))
      expect(headers.get("content-type")).toContain("application/json")
      expect(headers.get("content-language")).toBe("en")
    })

  it("takes the media type with parameters, and in other letters", async ({ expect }) => {
    for (const type of ["application/secevent+jwt; charset=utf-8", "Application/SecEvent+JWT ;charset=UTF-8"])
      expect((await push({}, { type })).status).toBe(202)
    for (const type of [
      "",
      "; application/secevent+jwt",
      "application/jwt; charset=application/secevent+jwt",
      "application/secevent+jwts; charset=utf-8",
      "application/secevent+jwt, application/jwt",
    ])
      expect([type, (await push({}, { type })).body]).toMatchObject([type, { err: "invalid_request" }])
  })

  for (const [what, iat] of Object.entries({
    "an iat 60 s ahead": NOON_S + 60,
    "an iat a week old": NOON_S - 7 * 86_400,
  }))
    it(`takes ${what}`, async ({ expect }) => {
      expect((await push({ claims: { iat } })).status).toBe(202)
    })

  it("refuses another media type, another spelling of the token, alg none and what is no token", async ({ expect }) => {
    const token = await sign({})
    expect((await push(token, { type: "application/jwt" })).status).toBe(400)
    const [header, payload = ""] = token.split(".")
    const none = btoa(JSON.stringify({ alg: "none", typ: "secevent+jwt", kid: "k1" })).replaceAll("=", "")
    for (const wrong of ["", "a.b", `${token}=`, ` ${token}`, `${header}.${payload}.`, `${none}.${payload}.`])
      expect((await push(wrong)).body).toMatchObject({ err: "invalid_request" })
    expect((await push("x".repeat(8_193))).status).toBe(400)
  })

  it("knows nobody before a transmitter is configured", async ({ expect }) => {
    expect((await push({}, { transmitters: [] })).body).toMatchObject({ err: "invalid_issuer" })
  })

  it("does nothing at all while the transmitters cannot be read", async ({ expect }) => {
    const { status, revoked } = await push({}, { transmitters: [{ ...transmitter, jwks: { keys: [] } }] })
    expect([status, revoked]).toEqual([500, []])
  })
})
