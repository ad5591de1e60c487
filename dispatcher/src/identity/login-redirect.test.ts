import { describe, expect, it } from "vitest"
import type { RouteAuth } from "../../../contracts/dispatch-config.ts"
import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import { freshLoginCookie } from "../../../kit/fresh-login-cookie.ts"
import { Refusal, refuse } from "../../../kit/problem.ts"
import { clearedSessionCookie } from "../../../kit/session-cookie.ts"
import { loginOf, orLogin } from "./login-redirect.ts"

type Asked = Parameters<typeof loginOf>[0]
const AUTH: RouteAuth = {
  mode: "required",
  issuers: ["example-idp"],
  scopes: [],
  accept: ["session"],
  login: "/login/start",
}
const NAVIGATION: Asked = {
  method: "GET",
  path: "/projects/1",
  query: "?tab=a&b=%2F",
  authorization: null,
  sessionCookie: null,
  upgrade: false,
  fetchMode: "navigate",
  accept: "text/html,*/*;q=0.8",
}
const WITH_SESSION: Asked = { ...NAVIGATION, sessionCookie: "i.s.m" }

function answerTo(code: ProblemCode, changes: Partial<Asked> = {}, auth: Partial<RouteAuth> = {}) {
  const answer = orLogin(refuse(code), loginOf({ ...NAVIGATION, ...changes }, { ...AUTH, ...auth }))
  if (!(answer instanceof Refusal)) throw new Error("a refusal remains one")
  return { code: answer.code, location: answer.options.headers?.location ?? null }
}

describe("a refused navigation", () => {
  it("goes to the login, and leads back to path and query as one value", () => {
    const { code, location } = answerTo("auth.credential-required")
    expect(code).toBe("auth.login-required")
    expect(location).toBe("/login/start?return_to=%2Fprojects%2F1%3Ftab%3Da%26b%3D%252F")
    expect(new URL(location ?? "", "https://app.example").searchParams.get("return_to")).toBe("/projects/1?tab=a&b=%2F")
  })

  it.each<ProblemCode>(["auth.credential-required", "auth.credential-invalid", "auth.session-expired", "auth.revoked"])(
    "goes there after %s",
    (code) => {
      expect(answerTo(code).code).toBe("auth.login-required")
    },
  )

  it.each<ProblemCode>([
    "auth.not-allowed",
    "auth.cross-site",
    "auth.session-unconfirmed",
    "auth.revocation-unknown",
    "route.killed",
    "dispatch.worker-failed",
    "internal",
  ])("does not go there after %s, which no login helps", (code) => {
    expect(answerTo(code)).toEqual({ code, location: null })
  })

  it("says what the step-up asks for, and after a revocation asks for a fresh proof", () => {
    const more = (code: ProblemCode, auth: Partial<RouteAuth>) => answerTo(code, {}, auth).location?.split("&").slice(1)
    expect(more("auth.step-up-required", { minLevel: 2 })).toEqual(["level=2"])
    expect(more("auth.step-up-required", { minLevel: 2, maxAuthAgeS: 60 })).toEqual(["level=2", "max_age=60"])
    expect(more("auth.session-expired", { minLevel: 2, maxAuthAgeS: 60 })).toEqual([])
    expect(more("auth.revoked", {})).toEqual(["max_age=0"])
  })

  it("keeps its cookie: the login takes it, if it is still there then", () => {
    const answer = orLogin(refuse("auth.revoked"), loginOf(WITH_SESSION, AUTH)) as Refusal
    expect([answer.code, answer.options.cookies]).toEqual(["auth.login-required", undefined])
  })

  it("keeps what a request says out of every other part of the location", () => {
    for (const query of ["?a&level=0", "?#", "?\r\nset-cookie: a=1", "?//evil.example", "?return_to=//evil.example"]) {
      const location = answerTo("auth.credential-required", { query }).location ?? ""
      expect(location).toMatch(/^\/login\/start\?return_to=[A-Za-z0-9%._~!'()*-]+$/)
    }
  })

  it("leaves away a query that would make the location too long for browsers, and then the path", () => {
    const returnTo = (changes: Partial<Asked>) =>
      new URL(answerTo("auth.credential-required", changes).location ?? "", "https://a").searchParams.get("return_to")
    expect(returnTo({ query: `?${"x".repeat(4_000)}` })).toHaveLength(4_000 + 12)
    expect(returnTo({ query: `?${"x".repeat(4_096)}` })).toBe("/projects/1")
    expect(returnTo({ path: `/${"x".repeat(4_096)}`, query: "" })).toBe("/")
  })
})

it.each<[string, Partial<Asked>]>([
  ["a POST", { method: "POST" }],
  ["a HEAD", { method: "HEAD" }],
  ["what a page fetches", { fetchMode: "cors" }],
  ["what a page fetches, though it would take a page", { fetchMode: "same-origin", accept: "text/html" }],
  ["two modes", { fetchMode: "navigate, cors" }],
  ["a client that shows a token", { authorization: "Bearer t" }],
  ["a WebSocket", { upgrade: true }],
  ["a client that asks for anything", { fetchMode: null, accept: "*/*" }],
  ["a client that asks for nothing", { fetchMode: null, accept: null }],
])("leaves the problem to %s", (_what, changes) => {
  expect(answerTo("auth.credential-required", changes).code).toBe("auth.credential-required")
})

it("leaves the problem to the login's own path, which a route may hold by mistake", () => {
  expect(answerTo("auth.credential-required", { path: "/login/start" }).code).toBe("auth.credential-required")
  expect(answerTo("auth.credential-required", { path: "/login/started" }).code).toBe("auth.login-required")
})

it("takes who asks for a page for a browser, where Fetch Metadata is not sent", () => {
  expect(answerTo("auth.credential-required", { fetchMode: null }).code).toBe("auth.login-required")
})

describe("where no credential is needed", () => {
  const over = [clearedSessionCookie()]
  const revoked = [clearedSessionCookie(), freshLoginCookie()]
  const answer = (refused: ProblemCode, changes: Partial<Asked> = {}, auth: Partial<RouteAuth> = {}) => {
    const { login: _, ...rest } = AUTH
    const all = { ...rest, mode: "optional" as const, ...auth }
    const refusal = refuse(refused, { headers: { "www-authenticate": "Bearer" } })
    const { code, options } = orLogin(refusal, loginOf({ ...WITH_SESSION, ...changes }, all)) as Refusal
    return { code, location: options.headers?.location, cookies: options.cookies }
  }
  const refusal = (code: ProblemCode, cookies?: readonly string[]) => ({ code, location: undefined, cookies })

  it("a navigation with a session that is over goes on without it, with or without a login", () => {
    const expected = { code: "auth.session-left", location: "/projects/1?tab=a&b=%2F", cookies: over }
    expect(answer("auth.session-expired")).toEqual(expected)
    expect(answer("auth.credential-invalid", {}, { login: "/login" })).toEqual(expected)
    expect(answer("auth.session-expired", { fetchMode: null })).toEqual(expected)
  })

  it("so does one to the login itself, and after a revocation the login is to ask for a fresh proof", () => {
    const itself = { path: "/login/start", query: "?a=b" }
    const expected = { code: "auth.session-left", location: "/login/start?a=b", cookies: revoked }
    expect(answer("auth.revoked", itself, { login: "/login/start" })).toEqual(expected)
  })

  it("a form gets the problem and loses the cookie, so that it can be sent once more", () => {
    expect(answer("auth.session-expired", { method: "POST" })).toEqual(refusal("auth.session-expired", over))
    expect(answer("auth.revoked", { method: "POST", fetchMode: null })).toEqual(refusal("auth.revoked", revoked))
  })

  it("one that had no session, or may use it elsewhere, is not sent to where it comes from", () => {
    for (const code of ["auth.session-expired", "auth.revoked", "auth.credential-required"] as const)
      expect(answer(code, { sessionCookie: null })).toEqual(refusal(code))
    expect(answer("auth.credential-required", { sessionCookie: null }, { login: "/login" }).code).toBe(
      "auth.login-required",
    )
    for (const code of ["auth.not-allowed", "auth.session-unconfirmed", "auth.cross-site"] as const)
      expect(answer(code, { method: "POST" })).toEqual(refusal(code))
    expect(answer("auth.step-up-required", {}, { login: "/login" }).cookies).toBeUndefined()
  })

  it.each<[string, Partial<Asked>]>([
    ["what a page fetches", { fetchMode: "cors" }],
    ["what a page fetches of its own origin, even a page", { fetchMode: "same-origin", accept: "text/html" }],
    ["what a page shows", { fetchMode: "no-cors", accept: "image/png" }],
    ["what a page sends", { fetchMode: "cors", method: "POST" }],
    ["what a page of a browser without Fetch Metadata fetches", { fetchMode: null, accept: "*/*" }],
    ["a WebSocket", { fetchMode: "websocket", upgrade: true }],
  ])("%s takes no cookie: its answer may be late, and the browser have another session by then", (_what, changes) => {
    for (const code of ["auth.session-expired", "auth.credential-invalid", "auth.revoked"] as const)
      expect(answer(code, changes)).toEqual(refusal(code))
  })

  it("nor does a navigation where a credential is needed", () => {
    for (const changes of [{}, { method: "POST" }])
      expect(answer("auth.session-expired", changes, { mode: "required" })).toEqual(refusal("auth.session-expired"))
  })
})

it("leaves everything as it is on a route without login, and whatever is no refusal", () => {
  const { login: _, ...auth } = AUTH
  const refusal = refuse("auth.credential-required")
  expect(orLogin(refusal, loginOf(NAVIGATION, auth))).toBe(refusal)
  const bug = new Error("a bug")
  expect(orLogin(bug, loginOf(NAVIGATION, AUTH))).toBe(bug)
})
