import { reset } from "cloudflare:test"
import { env as bound } from "cloudflare:workers"
import { beforeEach, describe, it, vi } from "vitest"
import type { PassportClaims } from "../../contracts/passport.ts"
import type { PlatformApi } from "../../contracts/platform.ts"
import type { Revocation, RevocationRequest } from "../../contracts/revocation.ts"
import { sessionKey, subjectSessionKey } from "../../contracts/session.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import sessions from "./index.ts"
import { keysOf, NOON, putSession } from "./testing/stored-session.ts"

// Before anything is imported: the check of the passport keeps the Date that it finds.
vi.hoisted(() => vi.useFakeTimers({ now: Date.parse("2026-11-20T12:00:00.000Z"), toFake: ["Date"] }))

const passports = await makeTestPassports()
const context = { waitUntil() {} } as unknown as ExecutionContext
const kv = (bound as unknown as { SESSIONS: KVNamespace }).SESSIONS
const alice = { sub: "alice", idp: "corp" }
const helpdesk = { kind: "service", sub: "helpdesk", idp: "machines", scope: "x sessions:admin" } as const

beforeEach(() => reset())

/** One request, and what of it was revoked and which records were there when it was. */
async function call(
  line: string,
  claims: Partial<PassportClaims> = alice,
  given: { body?: unknown; refuseWith?: string } = {},
) {
  const [method = "GET", path = ""] = line.split(" ")
  const revoked: Revocation[] = []
  const recordsThen: number[] = []
  const platform: Pick<PlatformApi, "keys" | "revoke"> = {
    keys: passports.keys,
    revoke: async (list) => {
      if (given.refuseWith !== undefined) throw new Error(given.refuseWith)
      revoked.push(...list)
      recordsThen.push((await keysOf(kv, "session/")).length)
      return { seq: revoked.length, boundMs: 5000 }
    },
  }
  const init = { method, ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }) }
  const request = await passports.request(`https://app.procore.com${path}`, "sessions", init, claims)
  const response = await sessions.fetch(request, { ...(bound as object), PLATFORM: platform }, context)
  const text = await response.text()
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests look at
  const body: any = text === "" ? null : JSON.parse(text)
  return { status: response.status, headers: response.headers, body, revoked, recordsThen }
}

const own = "/sessions"
const handleIn = ({ target }: Revocation) => (target.kind === "session" ? target.session : "none")
const ofAlice = "/sessions?idp=corp&subject=alice"

describe("sessions: one's own", () => {
  it("lists devices with their times, and says which one asks", async ({ expect }) => {
    const laptop = await putSession(kv, { level: 2, seenAtMs: NOON - 60_000 })
    const phone = await putSession(kv, { device: { userAgent: "Phone/1", ip: null, country: null } })
    await putSession(kv, { subject: "bob" })
    await putSession(kv, { idp: "other" })
    const { body, headers } = await call(`GET ${own}`, { ...alice, sid: laptop })
    expect(body.items).toHaveLength(2)
    const shown = new Map(body.items.map((each: { handle: string }) => [each.handle, each]))
    expect(shown.get(laptop)).toMatchObject({
      current: true,
      level: 2,
      createdAt: "2026-11-20T11:00:00.000Z",
      lastSeenAt: "2026-11-20T11:59:00.000Z",
    })
    expect(shown.get(phone)).toMatchObject({ current: false, device: { userAgent: "Phone/1" }, lastSeenAt: null })
    expect(headers.get("cache-control")).toBe("no-store")
  })

  it("leaves out what is over, by its end or by idleness to the millisecond", async ({ expect }) => {
    await putSession(kv, { expiresAtMs: NOON })
    await putSession(kv, { idleS: 3600, seenAtMs: NOON - 3_600_000 })
    const alive = await putSession(kv, { idleS: 3600, seenAtMs: NOON - 3_599_999 })
    const { body } = await call(`GET ${own}`)
    expect(body.items.map((each: { handle: string }) => each.handle)).toEqual([alive])
  })

  it("gives no more than fifty at once, and the rest by cursor", async ({ expect }) => {
    for (let count = 0; count < 51; count++) await putSession(kv)
    const first = (await call(`GET ${own}`)).body
    const second = (await call(`GET ${own}?cursor=${encodeURIComponent(first.nextCursor)}`)).body
    expect([first.items.length, second.items.length, second.nextCursor]).toEqual([50, 1, null])
  })

  it("ends one: revoked while its record is there, then every key of it gone", async ({ expect }) => {
    const handle = await putSession(kv, { idpSession: "idp-1", seenAtMs: NOON })
    const kept = await putSession(kv)
    const { status, revoked, recordsThen } = await call(`DELETE ${own}/${handle}`)
    expect([status, recordsThen]).toEqual([204, [2]])
    expect(revoked).toMatchObject([{ target: { kind: "session", session: handle } }])
    expect((await keysOf(kv)).filter((key) => !key.includes(kept))).toEqual([])
  })

  it("has what it revokes remembered until the session would have ended, by whichever way it is asked", async ({
    expect,
  }) => {
    const sid = await putSession(kv)
    const ends = [NOON + 3_600_000, NOON + 7_200_000]
    const end = (expiresAtMs: number) => putSession(kv, { expiresAtMs })
    for (const [line, claims, bodyOf] of [
      [`DELETE ${own}/`, alice, null],
      [`DELETE ${own}?keep=current`, { ...alice, sid }, null],
      [
        "POST /sessions/revocations",
        helpdesk,
        (handles: string[]) => handles.map((session) => ({ target: { kind: "session", session }, reason: "lost" })),
      ],
    ] as const) {
      const handles = await Promise.all(ends.map(end))
      const isOne = line.endsWith("/")
      const asked = isOne ? line + handles[0] : line
      const { revoked } = await call(asked, claims, bodyOf === null ? {} : { body: bodyOf(handles) })
      expect(
        Object.fromEntries(revoked.map((each) => [handleIn(each), (each as RevocationRequest).sessionExpiresAtMs])),
      ).toEqual(Object.fromEntries(handles.slice(0, isOne ? 1 : 2).map((handle, index) => [handle, ends[index]])))
      if (isOne) await call(line + handles[1])
    }
  })

  it("asks for the ends of two hundred sessions, a hundred at once", async ({ expect }) => {
    const handles = await Promise.all(Array.from({ length: 200 }, () => putSession(kv)))
    const body = handles.map((session) => ({ target: { kind: "session", session }, reason: "lost" }))
    const { revoked } = await call("POST /sessions/revocations", helpdesk, { body })
    expect(revoked).toEqual(body.map((each) => ({ ...each, sessionExpiresAtMs: NOON + 8 * 3_600_000 })))
  })

  for (const [what, changes] of [
    ["is that of another session", { handle: "x".repeat(43) }],
    ["ends before it begins", { expiresAtMs: NOON - 3_600_001 }],
    ["is none", { level: 9 }],
  ] as const)
    it(`has it remembered as long as any session may last where the record ${what}`, async ({ expect }) => {
      const handle = await putSession(kv)
      const record = JSON.parse((await kv.get(sessionKey(handle))) ?? "")
      await kv.put(sessionKey(handle), JSON.stringify({ ...record, ...changes }))
      const { revoked } = await call(`DELETE ${own}/${handle}`)
      expect(revoked).toEqual([{ target: { kind: "session", session: handle }, reason: "signed out by its owner" }])
    })

  it("believes no record of what another session's says of it", async ({ expect }) => {
    const [one, other] = [await putSession(kv), await putSession(kv)]
    const record = JSON.parse((await kv.get(sessionKey(other))) ?? "")
    await kv.put(sessionKey(other), JSON.stringify({ ...record, handle: one, expiresAtMs: NOON + 1 }))
    const body = [one, other].map((session) => ({ target: { kind: "session", session }, reason: "lost" }))
    const { revoked } = await call("POST /sessions/revocations", helpdesk, { body })
    expect(revoked).toEqual([{ ...body[0], sessionExpiresAtMs: NOON + 8 * 3_600_000 }, body[1]])
  })

  it("waits for no store that does not answer before it revokes", async ({ expect }) => {
    const sid = await putSession(kv)
    const real = kv.get.bind(kv) as (key: unknown) => Promise<unknown>
    const get = vi
      .spyOn(kv, "get")
      .mockImplementation(((key: unknown) =>
        Array.isArray(key) && key.length === 1 ? new Promise(() => undefined) : real(key)) as never)
    const { status, revoked } = await call(`DELETE ${own}/${sid}`, { ...alice, sid })
    get.mockRestore()
    expect([status, revoked]).toEqual([
      204,
      [{ target: { kind: "session", session: sid }, reason: "signed out by its owner" }],
    ])
  })

  it("takes no record away when the revocation fails", async ({ expect }) => {
    const handle = await putSession(kv)
    for (const line of [`DELETE ${own}/${handle}`, `DELETE ${own}`]) {
      const { status, body } = await call(line, alice, { refuseWith: "platform.not-granted" })
      expect([status, body.code]).toEqual([403, "platform.not-granted"])
    }
    expect(await keysOf(kv)).toHaveLength(2)
  })

  it("has ended what it revoked, whatever becomes of the record", async ({ expect }) => {
    const handle = await putSession(kv)
    const get = vi.spyOn(kv, "get").mockRejectedValue(new Error("KV GET failed: 500"))
    const one = await call(`DELETE ${own}/${handle}`, { ...alice, sid: handle })
    const all = await call(`DELETE ${own}`)
    get.mockRestore()
    expect([one.status, one.revoked.length, all.status, all.body]).toEqual([204, 1, 200, { complete: false }])
  })

  it("finishes on a repeat what was interrupted between the revocation and the last key", async ({ expect }) => {
    const handle = await putSession(kv)
    await kv.delete(sessionKey(handle))
    const { status, revoked } = await call(`DELETE ${own}/${handle}`)
    expect([status, revoked.length, (await keysOf(kv)).length]).toEqual([204, 1, 0])
  })

  it("ends the session that asks even where KV does not show it yet", async ({ expect }) => {
    const sid = "s".repeat(43)
    expect((await call(`DELETE ${own}/${sid}`, { ...alice, sid })).status).toBe(204)
    expect((await call(`DELETE ${own}/${sid}`, alice)).status).toBe(404)
  })

  it("answers for another's session exactly as for none", async ({ expect }) => {
    const others = [await putSession(kv, { subject: "bob" }), await putSession(kv, { idp: "other" })]
    for (const handle of [...others, "x".repeat(43), "not-a-handle", "..%2f..%2fconfig"]) {
      const { status, body, revoked } = await call(`DELETE ${own}/${handle}`)
      expect([status, body.code, revoked]).toEqual([404, "session.unknown", []])
    }
    expect(await keysOf(kv, "session/")).toHaveLength(2)
  })

  it("ends all others and spares the one that asks", async ({ expect }) => {
    const sid = await putSession(kv)
    const others = [await putSession(kv), await putSession(kv)]
    const { body, revoked } = await call(`DELETE ${own}?keep=current`, { ...alice, sid })
    expect(body).toEqual({ ended: 2, nextCursor: null })
    expect(revoked.map(({ target }) => target.kind === "session" && target.session).sort()).toEqual(others.sort())
    expect(await keysOf(kv, "session/")).toEqual([sessionKey(sid)])
    expect((await call(`DELETE ${own}?keep=current`, alice)).status).toBe(400)
    expect((await call(`DELETE ${own}?keep=curent`, { ...alice, sid })).status).toBe(400)
  })

  it("ends everything by subject and time, so that a session that KV does not list ends too", async ({ expect }) => {
    await putSession(kv)
    const { body, revoked } = await call(`DELETE ${own}`)
    expect(body).toEqual({ complete: true })
    expect(revoked).toMatchObject([{ target: { kind: "subject", idp: "corp", subject: "alice" }, beforeMs: NOON }])
    expect(await keysOf(kv)).toEqual([])
  })

  it("asks for who calls", async ({ expect }) => {
    for (const line of [`GET ${own}`, `DELETE ${own}`, `DELETE ${own}/${"x".repeat(43)}`, `GET ${ofAlice}`])
      expect((await call(line, { kind: "anonymous", sub: "anonymous" })).status).toBe(401)
  })

  it("says which methods a path has", async ({ expect }) => {
    const { status, headers } = await call(`PUT ${own}`)
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD, DELETE"])
    expect((await call("GET /sessionsx")).status).toBe(404)
  })
})

describe("sessions: internal systems", () => {
  it("lists and ends the sessions of any subject", async ({ expect }) => {
    await putSession(kv)
    expect((await call(`GET ${ofAlice}`, helpdesk)).body.items).toMatchObject([{ idp: "corp", current: false }])
    const { revoked } = await call(`DELETE ${ofAlice}`, helpdesk)
    expect(revoked).toMatchObject([{ target: { kind: "subject", ...{ idp: "corp", subject: "alice" } } }])
    expect(revoked[0]?.reason).toContain("helpdesk")
    expect(await keysOf(kv)).toEqual([])
  })

  it("refuses who is no service, or lacks the scope to the letter", async ({ expect }) => {
    await putSession(kv)
    const callers = [
      { ...alice, scope: "sessions:admin" },
      { ...helpdesk, scope: "sessions:admin2" },
      { ...helpdesk, scope: "sessions" },
    ]
    for (const caller of callers)
      for (const [line, body] of [
        [`GET ${ofAlice}`, undefined],
        [`DELETE ${ofAlice}`, undefined],
        ["POST /sessions/revocations", [{ target: { kind: "company", company: "100" }, reason: "x" }]],
      ] as const) {
        const answer = await call(line, caller, { body })
        expect([answer.status, answer.body.code, answer.revoked]).toEqual([403, "auth.not-allowed", []])
      }
  })

  it("refuses a subject without its provider, and a parameter that it does not know", async ({ expect }) => {
    for (const query of ["idp=corp", "subject=alice", "idp=corp&subject=alice&x=1", "idp=Corp&subject=alice"])
      expect((await call(`DELETE /sessions?${query}`, helpdesk)).body.code).toBe("session.request-invalid")
  })

  it("revokes a session, a subject and a company, each until now unless it says when", async ({ expect }) => {
    const session = await putSession(kv)
    const body = [
      { target: { kind: "session", session }, reason: "stolen" },
      { target: { kind: "subject", idp: "corp", subject: "alice" }, beforeMs: 5, reason: "left" },
      { target: { kind: "company", company: "100" }, reason: "ended" },
    ]
    const { status, body: answer, revoked } = await call("POST /sessions/revocations", helpdesk, { body })
    expect([status, answer]).toEqual([201, { seq: 3, boundMs: 5000 }])
    const sessionExpiresAtMs = NOON + 8 * 3_600_000
    expect(revoked).toEqual([{ ...body[0], sessionExpiresAtMs }, body[1], { ...body[2], beforeMs: NOON }])
    expect(await keysOf(kv)).toEqual([])
  })

  it("takes the records of what was begun until then away, and leaves what was begun later", async ({ expect }) => {
    await putSession(kv, { authenticatedAtMs: NOON - 1_000 })
    const later = await putSession(kv, { authenticatedAtMs: NOON - 999 })
    const target = { kind: "subject", idp: "corp", subject: "alice" }
    await call("POST /sessions/revocations", helpdesk, { body: [{ target, beforeMs: NOON - 1_000, reason: "left" }] })
    expect(await keysOf(kv, "session/")).toEqual([sessionKey(later)])
  })

  it("leaves keys and everything to ops, and points at what it refuses", async ({ expect }) => {
    const wrong: readonly (readonly [unknown, string])[] = [
      [[{ target: { kind: "everything" }, reason: "x" }], "/0"],
      [[{ target: { kind: "key", idp: "corp", kid: "1" }, reason: "x" }], "/0"],
      [[{ target: { kind: "company", company: "1 OR 1" }, reason: "x" }], "/0/target/company"],
      [[{ target: { kind: "company", company: "1" } }], "/0/reason"],
      [[{ target: { kind: "company", company: "1" }, beforeMs: NOON + 60_001, reason: "x" }], "/0/beforeMs"],
      [[{ target: { kind: "session", session: "s".repeat(43) }, beforeMs: 0, reason: "x" }], "/0/beforeMs"],
      [[], ""],
      [{}, ""],
    ]
    for (const [body, pointer] of wrong) {
      const answer = await call("POST /sessions/revocations", helpdesk, { body })
      expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, pointer])
      expect(answer.revoked).toEqual([])
    }
  })

  it("takes a time that a clock may be ahead", async ({ expect }) => {
    const body = [{ target: { kind: "company", company: "1" }, beforeMs: NOON + 60_000, reason: "x" }]
    expect((await call("POST /sessions/revocations", helpdesk, { body })).status).toBe(201)
  })

  it("puts nothing that somebody sent into a key of KV but as a hash", async ({ expect }) => {
    const subject = "alice/../../session/"
    await putSession(kv, { subject })
    expect((await keysOf(kv)).join()).not.toContain("alice")
    await call(`DELETE /sessions?idp=corp&subject=${encodeURIComponent(subject)}`, helpdesk)
    expect(await keysOf(kv)).toEqual([])
    expect(subjectSessionKey("h", "x")).toBe("subject/h/x")
  })
})
