import { decodeJwt } from "jose"
import { describe, expect, it } from "vitest"
import { type DispatchConfig, dispatchConfigSchema } from "../../contracts/dispatch-config.ts"
import type { PlatformProps } from "../../contracts/platform.ts"
import type { RevocationTarget } from "../../contracts/revocation.ts"
import { exampleConfig } from "./example-config.ts"
import { type MintDependencies, mintPassport, type PassportOrder } from "./identity/mint-passport.ts"
import { ANONYMOUS, makeSubject } from "./identity/subject.ts"
import { dispatchSibling } from "./sibling.ts"
import { NOW_S, testBed } from "./test-dependencies.ts"
import { feedOfNothing } from "./test-stores.ts"

const ROUTER: PlatformProps = { script: "router", version: 1, team: "routing" }
const FACTS = { ip: "203.0.113.7", country: "GB", colo: null, asn: null, tls: "TLSv1.3", bot: null }
const alice = makeSubject({ ...ANONYMOUS, kind: "user", id: "alice", idp: "example-idp", company: "42" })
const ID = "11111111-2222-4333-8444-555555555555"

/** Team `routing` owns router and gateway; `grants` are what it holds, `gateway` what its script asks, `teams` go over all. */
function config(grants: string[], gateway: object = {}, teams: object = {}): Partial<DispatchConfig> {
  const base = exampleConfig()
  const script = { team: "routing", releases: [{ version: 1, weightBps: 10_000 }] }
  return dispatchConfigSchema.parse({
    ...base,
    teams: { ...base.teams, routing: { grants }, ...teams },
    scripts: { ...base.scripts, router: script, gateway: { ...script, ...gateway } },
  })
}

function order(changes: Partial<PassportOrder> = {}): PassportOrder {
  return {
    issuer: "https://sallyport.example",
    audience: "script:router",
    subject: alice,
    route: "api",
    host: "api.example.com",
    zone: null,
    actor: null,
    hops: 0,
    facts: FACTS,
    ...changes,
  }
}

async function dispatch(
  grants: string[],
  asked: { script: string; zone?: string } = { script: "gateway" },
  changes: Partial<PassportOrder> = {},
  headers: Record<string, string> = {},
  gateway: object = {},
  { revoked = null, teams = {} }: { revoked?: RevocationTarget | null; teams?: object } = {},
) {
  const bed = await testBed(config(grants, gateway, teams))
  if (revoked !== null) await bed.relay.revoke(revoked)
  const { token } = await mintPassport(order(changes), bed.deps as MintDependencies)
  const request = new Request("https://api.example.com/x", { headers: { "x-passport": token, ...headers } })
  const target = { script: asked.script, zone: asked.zone ?? null }
  const response = await dispatchSibling(request, target, ROUTER, { waitUntil: () => undefined }, bed.deps)
  const code = response.status === 200 ? "ok" : ((await response.json()) as { code: string }).code
  const [call] = bed.dispatched
  const passport = call === undefined ? null : decodeJwt(call.request.headers.get("x-passport") ?? "")
  return { code, call, passport, trips: bed.trips }
}

describe("dispatchSibling", () => {
  it("hands the request to the sibling's release with a passport for the same subject, made for the sibling", async () => {
    const { code, call, passport } = await dispatch(["dispatch:gateway"])
    expect(code).toBe("ok")
    expect(call?.name).toBe("gateway--v1")
    expect(passport).toMatchObject({
      aud: "script:gateway",
      sub: "alice",
      company: "42",
      route: "api",
      host: "api.example.com",
      act: { sub: "script:router" },
      hops: 1,
    })
  })

  it("continues the trace of its caller, as a span of its own", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    const { call, trips } = await dispatch(["dispatch:gateway"], undefined, {}, { traceparent, tracestate: "a=b" })
    expect(trips[0]?.traceId).toBe("0af7651916cd43dd8448eb211c80319c")
    expect(trips[0]?.spanId).not.toBe("b7ad6b7169203331")
    expect(call?.request.headers.get("traceparent")).toBe(`00-${trips[0]?.traceId}-${trips[0]?.spanId}-01`)
    expect(call?.request.headers.get("tracestate")).toBe("a=b")
  })

  it("is in the trace of its request id, unrecorded, where the caller says nothing of a trace", async () => {
    const { call, trips } = await dispatch(
      ["dispatch:gateway"],
      undefined,
      {},
      { "x-request-id": ID, tracestate: "a=b" },
    )
    expect(trips[0]?.traceId).toBe(ID.replaceAll("-", ""))
    expect(call?.request.headers.get("traceparent")).toMatch(/-00$/)
    expect(call?.request.headers.has("tracestate")).toBe(false)
  })

  it("tells the sibling no older config revision than its caller was told: what it remembers of zones is dropped by that", async () => {
    const { revision } = exampleConfig()
    const told = async (sent: string) => {
      const { call } = await dispatch(["dispatch:gateway"], undefined, {}, { "x-sallyport-config": sent })
      return call?.request.headers.get("x-sallyport-config")
    }
    expect(await told(String(revision + 1))).toBe(String(revision + 1))
    for (const sent of [String(revision - 1), "none", "-1", "1e9", "9".repeat(30)])
      expect(await told(sent)).toBe(String(revision))
  })

  it("names everyone who acted, the latest outermost", async () => {
    const { passport } = await dispatch(["dispatch:gateway"], undefined, { actor: { sub: "script:pages" } })
    expect(passport?.act).toEqual({ sub: "script:router", act: { sub: "script:pages" } })
  })

  it.each<[string, string[], string]>([
    ["no grant", [], "platform.not-granted"],
    ["the grant for another script", ["dispatch:gateways"], "platform.not-granted"],
    ["another kind of grant", ["audience:gateway"], "platform.not-granted"],
  ])("refuses a caller with %s, and dispatches nothing", async (_what, grants, expected) => {
    const { code, call } = await dispatch(grants)
    expect(code).toBe(expected)
    expect(call).toBeUndefined()
  })

  const reader = makeSubject({ ...alice, scopes: ["read"] })
  const inSession = ({ level = 1, ageS = 0 }) =>
    makeSubject({ ...alice, sid: "A".repeat(43), level, authTimeMs: (NOW_S - ageS) * 1000 })
  const gatewayAsks = (asks: object, subject = alice) =>
    dispatch(["dispatch:gateway"], undefined, { subject }, {}, asks)

  it.each<[string, object, typeof alice, string]>([
    ["a scope that the subject has", { access: { scopes: ["read"] } }, reader, "ok"],
    ["a scope that the subject lacks", { access: { scopes: ["reads"] } }, reader, "auth.not-allowed"],
    ["the subject's kind", { access: { kinds: ["user"] } }, alice, "ok"],
    ["another kind", { access: { kinds: ["service"] } }, alice, "auth.not-allowed"],
    ["the session's level", { access: { minLevel: 2 } }, inSession({ level: 2 }), "ok"],
    ["a level above the session's", { access: { minLevel: 2 } }, inSession({ level: 1 }), "auth.step-up-required"],
    ["a level of a token", { access: { minLevel: 1 } }, alice, "auth.step-up-required"],
    ["the age of the session's proof", { access: { maxAuthAgeS: 300 } }, inSession({ ageS: 300 }), "ok"],
    ["an age one second less", { access: { maxAuthAgeS: 300 } }, inSession({ ageS: 301 }), "auth.step-up-required"],
  ])("asks of the subject again what the sibling asks: %s", async (_what, asks, subject, expected) => {
    const { code, call } = await gatewayAsks(asks, subject)
    expect(code).toBe(expected)
    expect(call === undefined).toBe(expected !== "ok")
  })

  it("dispatches nothing to a sibling that is switched off, and only notes it in log mode", async () => {
    const kill = { reason: "leak", retryAfterS: 7 }
    const off = await gatewayAsks({ kill: { ...kill, mode: "enforce" } })
    expect(off).toMatchObject({ code: "dispatch.script-killed", call: undefined })
    const noted = await gatewayAsks({ kill: { ...kill, mode: "log" } })
    expect(noted.code).toBe("ok")
    expect(noted.trips[0]?.findings).toEqual([{ code: "dispatch.script-killed", mode: "log" }])
  })

  const off = (mode: string) => ({ kill: { mode, reason: "incident", retryAfterS: 7 } })

  it("dispatches nothing to a script of a team that is switched off, and only notes it in log mode", async () => {
    const asked = (mode: string) =>
      dispatch(["dispatch:gateway"], undefined, {}, {}, { team: "others" }, { teams: { others: off(mode) } })
    expect(await asked("enforce")).toMatchObject({ code: "dispatch.team-killed", call: undefined })
    const noted = await asked("log")
    expect(noted.code).toBe("ok")
    expect(noted.trips[0]?.findings).toEqual([{ code: "dispatch.team-killed", mode: "log" }])
  })

  it("dispatches nothing for a team that is switched off, whatever it was granted, and all of it in log mode", async () => {
    const grants = ["dispatch:gateway"]
    const asked = (mode: string) =>
      dispatch(
        grants,
        undefined,
        {},
        {},
        { team: "others" },
        { teams: { others: {}, routing: { grants, ...off(mode) } } },
      )
    expect(await asked("enforce")).toMatchObject({ code: "platform.not-granted", call: undefined })
    expect((await asked("log")).code).toBe("ok")
  })

  it.each<[string, RevocationTarget]>([
    ["its session", { kind: "session", session: "A".repeat(43) }],
    ["its subject", { kind: "subject", idp: "example-idp", subject: "alice" }],
    ["its company", { kind: "company", company: "42" }],
    ["everything", { kind: "everything" }],
  ])("dispatches nothing more for a passport whose credential was revoked meanwhile, by %s", async (_what, target) => {
    const subject = makeSubject({ ...alice, sid: "A".repeat(43), authTimeMs: NOW_S * 1000 })
    const outcome = await dispatch(["dispatch:gateway"], undefined, { subject }, {}, {}, { revoked: target })
    expect(outcome).toMatchObject({ code: "auth.revoked", call: undefined })
  })

  it("dispatches for a passport whose neighbour was revoked, and for anonymous whatever was", async () => {
    const near = { kind: "subject", idp: "example-idp", subject: "alicia" } as const
    expect((await dispatch(["dispatch:gateway"], undefined, {}, {}, {}, { revoked: near })).code).toBe("ok")
    const everything = { kind: "everything" } as const
    expect(
      (await dispatch(["dispatch:gateway"], undefined, { subject: ANONYMOUS }, {}, {}, { revoked: everything })).code,
    ).toBe("ok")
  })

  it.each<[string, object, boolean, string]>([
    ["dispatches nothing to a sensitive sibling", { sensitive: true }, true, "auth.revocation-unknown"],
    ["nor for anonymous, whose passport's key may be revoked", { sensitive: true }, false, "auth.revocation-unknown"],
    ["dispatches to another", { sensitive: false }, true, "ok"],
  ])("while it is not known what was revoked, %s", async (_what, access, isKnown, expected) => {
    const bed = await testBed(config(["dispatch:gateway"], { access }))
    bed.relay.since = () => Promise.reject(new Error("the relay is down"))
    const subject = isKnown ? alice : ANONYMOUS
    const { token } = await mintPassport(order({ subject }), bed.deps as MintDependencies)
    const request = new Request("https://api.example.com/x", { headers: { "x-passport": token } })
    const target = { script: "gateway", zone: null }
    const response = await dispatchSibling(request, target, ROUTER, { waitUntil: () => undefined }, bed.deps)
    expect(response.status).toBe(expected === "ok" ? 200 : 503)
    if (expected !== "ok") expect(await response.json()).toMatchObject({ code: expected })
    expect(bed.dispatched).toHaveLength(expected === "ok" ? 1 : 0)
  })

  it("asks for revocations at the location where the request came in, since a call by RPC has none", async () => {
    const { deps } = await testBed(config(["dispatch:gateway"]))
    const { revocations, asked } = feedOfNothing(deps.clock)
    const { token } = await mintPassport(order({ facts: { ...FACTS, colo: "AMS" } }), deps as MintDependencies)
    const request = new Request("https://api.example.com/x", { headers: { "x-passport": token } })
    const context = { waitUntil: () => undefined }
    await dispatchSibling(request, { script: "gateway", zone: null }, ROUTER, context, { ...deps, revocations })
    expect(asked).toEqual(["AMS"])
  })

  it("hands on what the passport says of the session, and none of the gateway's cookies", async () => {
    const subject = makeSubject({
      ...alice,
      companies: ["42", "43"],
      sid: "A".repeat(43),
      authTimeMs: NOW_S * 1000,
      level: 2,
    })
    const cookie = "a=1; __Host-sallyport-session=i.s.m; __Host-sallyport-login=l"
    const { passport, call } = await dispatch(
      ["dispatch:gateway", "sessions:login"],
      undefined,
      { subject },
      { cookie },
    )
    expect(passport).toMatchObject({ companies: ["42", "43"], sid: "A".repeat(43), auth_time: NOW_S, level: 2 })
    expect(call?.request.headers.get("cookie")).toBe("a=1")
  })

  it("keeps the zone of the passport unless the team may name another", async () => {
    const own = await dispatch(["dispatch:gateway"], { script: "gateway", zone: "us01" }, { zone: "us01" })
    expect(own.passport?.zone).toBe("us01")
    const foreign = await dispatch(["dispatch:gateway"], { script: "gateway", zone: "us01" })
    expect(foreign.code).toBe("platform.not-granted")
    const granted = await dispatch(["dispatch:gateway", "zone:us01"], { script: "gateway", zone: "us01" })
    expect(granted.passport?.zone).toBe("us01")
  })

  it("knows no zone that is not in the directory", async () => {
    const { code } = await dispatch(["dispatch:gateway", "zone:us09"], { script: "gateway", zone: "us09" })
    expect(code).toBe("platform.zone-unknown")
  })

  it("refuses a passport made for another script, and none", async () => {
    expect((await dispatch(["dispatch:gateway"], undefined, { audience: "script:gateway" })).code).toBe(
      "platform.passport-required",
    )
    const without = await dispatch(["dispatch:gateway"], undefined, {}, { "x-passport": "" })
    expect(without.code).toBe("platform.passport-required")
  })

  it("ends a circle at eight dispatches", async () => {
    expect((await dispatch(["dispatch:gateway"], undefined, { hops: 7 })).code).toBe("ok")
    expect((await dispatch(["dispatch:gateway"], undefined, { hops: 8 })).code).toBe("platform.too-many-hops")
  })

  it.each(["nope", "constructor"])("knows no script %s", async (script) => {
    expect((await dispatch([`dispatch:${script}`], { script })).code).toMatch(/platform\.(script-unknown|not-granted)/)
  })

  it("records who asked, under the caller's request id only when it is one of ours", async () => {
    const own = await dispatch(["dispatch:gateway"], undefined, {}, { "x-request-id": ID })
    expect(own.trips).toMatchObject([{ requestId: ID, actor: "router", script: "gateway", route: "api" }])
    const forged = await dispatch(["dispatch:gateway"], undefined, {}, { "x-request-id": "forged\u00a0line" })
    expect(forged.trips[0]?.requestId).toMatch(/^00000000-0000-4000-8000-/)
  })
})
