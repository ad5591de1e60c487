/** Sessions listed and ended by whoever has them, by internal systems and on an identity provider's word: the deployed Worker, the dispatcher that refuses, one store. */
import path from "node:path"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { describe, expect, it } from "vitest"
import { SESSION_COOKIE } from "../../contracts/session.ts"
import { SESSIONS_NAMESPACE_ID } from "../../emulator/cloudflare-api/account-resources.ts"
import { LOGIN_IDP, ORIGIN_ROUTES } from "../../emulator/example-layout.ts"
import { createDatabase } from "../../emulator/seed.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
import { deployWithWrangler, writeConfig } from "../../emulator/upload.ts"
import { eventually, expectProblem, ROOT } from "../harness.ts"
import { useLoginPlatform } from "../login-platform.ts"
import { LOGIN_ROUTE, routesWithSession } from "./fixtures/login-routes.ts"
import { Person } from "./fixtures/person.ts"

const TRANSMITTER = "https://events.example"
const AUDIENCE = "https://app.procore.com/sessions/events"
/** Within this the edge refuses what was revoked. */
const BOUND_MS = 5_000
const keys = await generateKeyPair("ES256", { extractable: true })

const { platform, stage } = useLoginPlatform(async (running) => {
  await running.uploadWorker({ source: ECHO_WORKER, script: "echo" })
  const database = await createDatabase(running, "sessions")
  const team = (await running.api.get("/v1/teams/identity")) as { grants: string[]; egress: string[] }
  await running.putTeam("identity", { grants: [...team.grants, `resource:d1:${database}`], egress: team.egress })
  await running.api.put("/v1/scripts/sessions", { team: "identity", limits: { cpuMs: 1_000, subRequests: 500 } })
  const config = await writeConfig(running.stateDir, "sessions", {
    'database_id = "sessions"': `database_id = "${database}"`,
    '\nid = "sessions"': `\nid = "${SESSIONS_NAMESPACE_ID}"`,
  })
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "k1" }
  const transmitters = [{ iss: TRANSMITTER, audience: [AUDIENCE], idp: LOGIN_IDP, jwks: { keys: [jwk] } }]
  const variables = ["--var", `TRANSMITTERS:${JSON.stringify(transmitters)}`]
  const folder = path.join(ROOT, "user-workers/sessions")
  await deployWithWrangler(running, await running.tokenOf("identity"), folder, ["--config", config, ...variables])
  await running.api.put("/v1/service-accounts/helpdesk", { scopes: ["sessions:admin"] })
  await running.api.put("/v1/service-accounts/reports", { scopes: ["projects:read"] })
  const routes = {
    login: LOGIN_ROUTE,
    sessions: ORIGIN_ROUTES.sessions,
    "session-events": ORIGIN_ROUTES["session-events"],
    ...routesWithSession("echo"),
  }
  for (const [id, route] of Object.entries(routes)) await running.api.put(`/v1/routes/${id}`, route)
})

const ASKS = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" }

interface Listed {
  readonly items: readonly { readonly handle: string; readonly current: boolean; readonly lastSeenAt: string | null }[]
}

async function loggedIn(who = "alice"): Promise<Person> {
  const person = new Person(platform(), stage().browserOrigin)
  await person.logIn("/api/who", who)
  expect(await statusOf(person)).toBe(200)
  return person
}
const statusOf = async (person: Person) => (await person.get("/api/who", ASKS)).status
const listed = async (person: Person): Promise<Listed> => (await (await person.get("/sessions", ASKS)).json()) as Listed
const handleOf = async (person: Person) => (await listed(person)).items.find(({ current }) => current)?.handle ?? ""

/** With the session of a person, from one of the app's own pages. */
function send(person: Person, method: string, target: string, headers: Record<string, string> = ASKS) {
  const cookie = `${SESSION_COOKIE}=${person.cookies.get(SESSION_COOKIE)}`
  return platform().fetch(`https://app.procore.com${target}`, { method, headers: { ...headers, cookie } })
}

async function serviceKey(name: string): Promise<string> {
  const { key } = (await platform().api.post(`/v1/service-accounts/${name}/keys`, {})) as { key: string }
  await platform().waitForConfig()
  return key
}

const refusedSoon = (person: Person) =>
  eventually(BOUND_MS, async () => ((await statusOf(person)) === 401 ? true : null))

describe("a person", () => {
  it("sees each device, and which one asks", async () => {
    const [laptop, phone] = [await loggedIn("bob"), await loggedIn("bob")]
    const seen = await listed(laptop)
    expect(seen.items).toHaveLength(2)
    expect(seen.items.filter(({ current }) => current)).toHaveLength(1)
    expect(await handleOf(phone)).not.toBe(await handleOf(laptop))
  })

  it("ends another device, which is refused within the bound, and goes on", async () => {
    const [laptop, phone] = [await loggedIn(), await loggedIn()]
    const handle = await handleOf(phone)
    expect((await send(laptop, "DELETE", `/sessions/${handle}`)).status).toBe(204)
    await refusedSoon(phone)
    expect(await statusOf(laptop)).toBe(200)
    expect((await listed(laptop)).items.map((each) => each.handle)).not.toContain(handle)
  })

  it("ends nothing of somebody else, and nothing from another site", async () => {
    const [alice, bob] = [await loggedIn(), await loggedIn("bob")]
    await expectProblem(await send(alice, "DELETE", `/sessions/${await handleOf(bob)}`), 404, "session.unknown")
    const elsewhere = { ...ASKS, "sec-fetch-site": "cross-site" }
    await expectProblem(await send(bob, "DELETE", "/sessions", elsewhere), 403, "auth.cross-site")
    expect(await statusOf(bob)).toBe(200)
  })

  it("ends all others, and then everything", async () => {
    const here = await loggedIn()
    const others = [await loggedIn(), await loggedIn()]
    const { items } = await listed(here)
    const ended = items.length - 1
    expect(await (await send(here, "DELETE", "/sessions?keep=current")).json()).toEqual({ ended, nextCursor: null })
    for (const other of others) await refusedSoon(other)
    expect(await statusOf(here)).toBe(200)
    expect((await send(here, "DELETE", "/sessions")).status).toBe(200)
    await refusedSoon(here)
    // Who logs in afterwards is not meant.
    expect(await statusOf(await loggedIn())).toBe(200)
  })
})

describe("an internal system", () => {
  it("lists and ends the sessions of a subject with its service account's key", async () => {
    const bob = await loggedIn("bob")
    const headers = { authorization: `Bearer ${await serviceKey("helpdesk")}` }
    const target = `https://app.procore.com/sessions?idp=${LOGIN_IDP}&subject=bob`
    const found = (await (await platform().fetch(target, { headers })).json()) as Listed
    expect(found.items.length).toBeGreaterThanOrEqual(1)
    expect((await platform().fetch(target, { method: "DELETE", headers })).status).toBe(200)
    await refusedSoon(bob)
  })

  it("is refused without the scope, and a person is refused with any", async () => {
    const target = `https://app.procore.com/sessions?idp=${LOGIN_IDP}&subject=bob`
    const headers = { authorization: `Bearer ${await serviceKey("reports")}` }
    await expectProblem(await platform().fetch(target, { headers }), 403, "auth.not-allowed")
    const caller = { subject: "mallory", scope: "sessions:admin" }
    await expectProblem(await platform().fetch(target, {}, caller), 403, "auth.not-allowed")
  })
})

describe("an identity provider", () => {
  const sign = (subject: string) =>
    new SignJWT({
      sub_id: { format: "iss_sub", iss: TRANSMITTER, sub: subject },
      events: { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {} },
      jti: crypto.randomUUID(),
    })
      .setProtectedHeader({ alg: "ES256", typ: "secevent+jwt", kid: "k1" })
      .setIssuer(TRANSMITTER)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .sign(keys.privateKey)
  const push = async (body: string) =>
    platform().fetch(AUDIENCE, { method: "POST", body, headers: { "content-type": "application/secevent+jwt" } })

  it("pushes that somebody's sessions are over, and they are, once and for all", async () => {
    const alice = await loggedIn()
    const token = await sign("alice")
    const answer = await push(token)
    expect([answer.status, await answer.text()]).toEqual([202, ""])
    await refusedSoon(alice)
    const again = await loggedIn()
    expect((await push(token)).status).toBe(202)
    // Entries of the log are taken up in their order: once this one is, an effect of the repeat would have been.
    const marker = await loggedIn("bob")
    expect((await send(marker, "DELETE", "/sessions")).status).toBe(200)
    await refusedSoon(marker)
    expect(await statusOf(again)).toBe(200)
  })

  it("is told by RFC 8935 what was wrong with a token", async () => {
    const [header, payload = ""] = (await sign("bob")).split(".")
    const answer = await push(`${header}.${payload}.${"A".repeat(86)}`)
    expect([answer.status, await answer.json()]).toMatchObject([400, { err: "invalid_key" }])
  })
})
