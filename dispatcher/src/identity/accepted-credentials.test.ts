/** Which credentials a route looks at, and what becomes of each kind: the whole of authenticate.ts through one table. */
import { beforeEach, describe, expect, it } from "vitest"
import type { RouteAuth, ServiceAccountConfig } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import type { Refusal } from "../../../kit/problem.ts"
import { NOW_S, type TestBed, testBed } from "../test-dependencies.ts"
import { authenticate, type IdentityPolicy, type Presented } from "./authenticate.ts"
import { SessionReader } from "./session-reader.ts"

const KEY = "spsa_robot_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0"
const CREATED_AT = new Date((NOW_S - 60) * 1000).toISOString()
const AUTH: RouteAuth = { mode: "required", issuers: ["example-idp"], scopes: [] }
type Kind = "bearer" | "session" | "service-key"

let bed: TestBed
let policy: IdentityPolicy
let shown: Record<"token" | "cookie" | "key" | "basic" | "bad token" | "bad cookie" | "bad key", Partial<Presented>>
beforeEach(async () => {
  bed = await testBed()
  const config = await bed.deps.config.current(() => undefined)
  policy = { ...config, serviceAccounts: { robot: await account() } }
  const cookie = sessionCookie((await bed.login()).cookie)
  shown = {
    token: { authorization: `Bearer ${await bed.token()}` },
    cookie: { sessionCookie: cookie },
    key: { authorization: `Bearer ${KEY}` },
    basic: { authorization: "Basic YTpi" },
    "bad token": { authorization: "Bearer a.b.c" },
    "bad cookie": { sessionCookie: altered(cookie) },
    "bad key": { authorization: `Bearer ${KEY.slice(0, -1)}1` },
  }
})

/** With another last character, one that leaves no bits over either. */
const altered = (cookie: string) => cookie.slice(0, -1) + (cookie.endsWith("A") ? "E" : "A")
const sessionCookie = (cookie: string) => cookie.slice(cookie.indexOf("=") + 1)

async function account(): Promise<ServiceAccountConfig> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(KEY))
  const hash = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return { scopes: [], keys: [{ id: "first", hash, createdAt: CREATED_AT }] }
}

const findings: Finding[] = []
async function ask(what: Partial<Presented>, auth: Partial<RouteAuth>) {
  const presented: Presented = {
    method: "GET",
    authorization: null,
    sessionCookie: null,
    upgrade: false,
    fetchSite: null,
    isOwnOrigin: false,
    ...what,
  }
  const around = { note: (finding: Finding) => void findings.push(finding), waitUntil: null }
  return authenticate(presented, { config: { auth: { ...AUTH, ...auth } } }, policy, bed.deps, around)
}

async function refusalOf(what: Partial<Presented>, auth: Partial<RouteAuth>): Promise<Refusal> {
  try {
    await ask(what, auth)
  } catch (thrown) {
    return thrown as Refusal
  }
  throw new Error("nothing was refused")
}

async function outcomeOf(what: Partial<Presented>, auth: Partial<RouteAuth>): Promise<string> {
  try {
    const { kind, idp } = await ask(what, auth)
    return idp === null ? kind : `${kind} of ${idp}`
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown)
  }
}

const ALICE = "user of example-idp"
const ROBOT = "service of service-accounts"
const INVALID = "auth.credential-invalid"
const NONE = "none came"

/** Per set of accepted kinds, what becomes of each thing shown, in the order of the columns. */
const COLUMNS = ["token", "cookie", "key", "basic", "bad token", "bad cookie", "bad key"] as const
const TABLE: readonly (readonly [accept: string, outcomes: readonly string[]])[] = [
  ["bearer", [ALICE, NONE, INVALID, INVALID, INVALID, NONE, INVALID]],
  ["session", [NONE, ALICE, NONE, NONE, NONE, INVALID, NONE]],
  ["service-key", [INVALID, NONE, ROBOT, INVALID, INVALID, NONE, INVALID]],
  ["bearer session", [ALICE, ALICE, INVALID, INVALID, INVALID, INVALID, INVALID]],
  ["bearer service-key", [ALICE, NONE, ROBOT, INVALID, INVALID, NONE, INVALID]],
  ["session service-key", [INVALID, ALICE, ROBOT, INVALID, INVALID, INVALID, INVALID]],
  ["bearer session service-key", [ALICE, ALICE, ROBOT, INVALID, INVALID, INVALID, INVALID]],
]

describe.each(TABLE)("a route that accepts %s", (kinds, outcomes) => {
  const accept = kinds.split(" ") as Kind[]
  it.each(COLUMNS.map((what, index) => [what, outcomes[index] ?? ""] as const))(
    "and %s: %s",
    async (what, expected) => {
      const required = expected === NONE ? "auth.credential-required" : expected
      const optional = expected === NONE ? "anonymous" : expected
      expect(await outcomeOf(shown[what], { accept })).toBe(required)
      expect(await outcomeOf(shown[what], { accept, mode: "optional" })).toBe(optional)
      // Once more by what is remembered of it.
      expect(await outcomeOf(shown[what], { accept })).toBe(required)
      expect(await outcomeOf(shown[what], { mode: "none" })).toBe("anonymous")
    },
  )
})

describe("two credentials at once", () => {
  const all = { accept: ["bearer", "session", "service-key"] as Kind[] }

  it.each([
    ["token", "cookie"],
    ["key", "cookie"],
    ["bad token", "cookie"],
    ["token", "bad cookie"],
  ] as const)("are refused where both are accepted: %s and %s", async (one, other) => {
    const both = { ...shown[one], ...shown[other] }
    expect(await outcomeOf(both, all)).toBe(INVALID)
    expect(await outcomeOf(both, { ...all, mode: "optional" })).toBe(INVALID)
  })

  it("are one where only one is accepted", async () => {
    const both = { ...shown.token, ...shown.cookie }
    expect(await outcomeOf(both, {})).toBe(ALICE)
    expect(await outcomeOf({ ...both, ...shown["bad token"] }, { accept: ["session"] })).toBe(ALICE)
    expect(await outcomeOf({ ...both, ...shown["bad cookie"] }, { accept: ["bearer"] })).toBe(ALICE)
  })
})

describe("a session", () => {
  const auth: Partial<RouteAuth> = { accept: ["session"] }

  it("changes nothing at the request of another site, and asks no store for it", async () => {
    const post = { ...shown.cookie, method: "POST" }
    expect(await outcomeOf({ ...post, fetchSite: "cross-site" }, auth)).toBe("auth.cross-site")
    expect(bed.sessions.calls).toEqual([])
    expect(await outcomeOf({ ...post, fetchSite: "same-origin" }, auth)).toBe(ALICE)
  })

  it("is accepted of the identity providers that the route names, as long as the config has them", async () => {
    expect(await outcomeOf(shown.cookie, { ...auth, issuers: ["other-idp"] })).toBe("auth.not-allowed")
    policy = { ...policy, issuers: new Map() }
    expect(await outcomeOf(shown.cookie, auth)).toBe("auth.session-expired")
  })

  it("that is over says so, and sets no cookie: its answer may be late, and the browser have another by then", async () => {
    const bad = await refusalOf(shown["bad cookie"], auth)
    const { cookie, handle } = await bed.login({ createdAtMs: (NOW_S - 600) * 1000 })
    bed.sessions.texts.delete(`session/${handle}`)
    const over = await refusalOf({ sessionCookie: sessionCookie(cookie) }, auth)
    expect([bad.code, over.code]).toEqual([INVALID, "auth.session-expired"])
    for (const refusal of [bad, over]) expect(refusal.options.cookies).toBeUndefined()
  })

  it("that cannot be confirmed passes with a finding, and keeps its cookie when the grace is over", async () => {
    findings.length = 0
    bed.sessions.state = "down"
    expect(await outcomeOf(shown.cookie, auth)).toBe(ALICE)
    expect(findings).toEqual([{ code: "auth.session-unconfirmed", mode: "log" }])
    bed.time.nowMs += 3_600_000
    const { code, options } = await refusalOf(shown.cookie, auth)
    expect(code).toBe("auth.session-unconfirmed")
    expect(options.headers).toEqual({ "retry-after": "5" })
  })

  it("keeps its cookie where the gateway lacks its own keys: that is nobody's fault who is logged in", async () => {
    const { sessions: store } = bed
    const sessions = new SessionReader({ store, keys: "", clock: bed.deps.clock })
    bed = { ...bed, deps: { ...bed.deps, sessions } }
    const { code, options } = await refusalOf(shown.cookie, auth)
    expect({ code, headers: options.headers }).toEqual({
      code: "auth.session-unconfirmed",
      headers: { "retry-after": "5" },
    })
  })

  it("follows the directory of subjects", async () => {
    const subjects = { "example-idp/alice": { scopes: ["admin"], companies: ["42"] } }
    expect(await ask(shown.cookie, auth)).toMatchObject({ scopes: [] })
    policy = { ...policy, subjects }
    expect(await ask(shown.cookie, auth)).toMatchObject({ scopes: ["admin"], companies: ["42"], level: 1 })
    policy = { ...policy, subjects: {} }
    expect(await ask(shown.cookie, auth)).toMatchObject({ scopes: [], companies: null })
  })
})
