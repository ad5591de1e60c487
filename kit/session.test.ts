import { describe, it } from "vitest"
import type { PassportClaims } from "../contracts/passport.ts"
import { type PassportVariables, requirePassport } from "./require-passport.ts"
import { type SessionVariables, session, sessionOf } from "./session.ts"
import { makeTestPassports } from "./sign-test-passport.ts"
import { worker } from "./worker.ts"

const HANDLE = "A".repeat(43)
const CALLER = { kind: "user", sub: "alice", idp: "example" } as PassportClaims

describe("sessionOf", () => {
  it("says all that the passport says of a person", ({ expect }) => {
    const claims = {
      company: "1",
      companies: ["1", "2"],
      scope: "a b",
      level: 2,
      auth_time: 1_800_000_000,
      sid: HANDLE,
    }
    expect(sessionOf({ ...CALLER, ...claims })).toEqual({
      kind: "user",
      subject: "alice",
      idp: "example",
      company: "1",
      companies: ["1", "2"],
      scopes: ["a", "b"],
      level: 2,
      authenticatedAtMs: 1_800_000_000_000,
      handle: HANDLE,
    })
  })

  it("knows no more than the passport: what is not said is null, nothing or 0", ({ expect }) => {
    const unknown = { company: null, companies: null, scopes: [], level: 0, authenticatedAtMs: null, handle: null }
    expect(sessionOf(CALLER)).toEqual({ kind: "user", subject: "alice", idp: "example", ...unknown })
  })

  it("tells a member of no company from somebody of whom nothing is said", ({ expect }) => {
    expect(sessionOf({ ...CALLER, companies: [] }).companies).toEqual([])
  })

  it("takes nobody for somebody by that name", ({ expect }) => {
    expect(sessionOf({ kind: "anonymous", sub: "anonymous" } as PassportClaims).subject).toBeNull()
    expect(sessionOf({ ...CALLER, sub: "anonymous" }).subject).toBe("anonymous")
  })
})

describe("session", () => {
  it("tells a Worker who calls, by a passport that was checked", async ({ expect }) => {
    const passports = await makeTestPassports()
    const app = worker<{ PLATFORM: typeof passports }, PassportVariables & SessionVariables>()
    app.use(requirePassport({ script: "example" }), session())
    app.get("/me", (c) => c.json(c.var.session))
    const claims = { sid: HANDLE, level: 3, companies: ["1"], auth_time: 1_800_000_000 }
    const url = "https://api.example.com/me"
    const response = await app.fetch(await passports.request(url, "example", {}, claims), { PLATFORM: passports })
    expect(await response.json()).toMatchObject({ subject: "alice", handle: HANDLE, level: 3, companies: ["1"] })
    const other = await app.fetch(await passports.request(url, "other", {}, claims), { PLATFORM: passports })
    expect(other.status).toBe(401)
  })

  it("answers internal without requirePassport before it, and tells the log so", async ({ expect }) => {
    const said: (string | null)[] = []
    const app = worker({ log: ({ cause }) => said.push(cause) })
    app.use(session())
    app.get("/", (c) => c.text("ok"))
    expect((await app.request("https://api.example.com/")).status).toBe(500)
    expect(said[0]).toMatch(/^TypeError: session.*behind requirePassport/)
  })
})
