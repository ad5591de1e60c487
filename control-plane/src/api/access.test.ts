/**
 * Who may do what: every operation × every kind of caller, on things of the team `alpha`. The table is held to the list of operations:
 * one that is not in it fails, and so does a cell for one that no longer exists.
 */
import { SignJWT } from "jose"
import { beforeAll, describe, type ExpectStatic, it } from "vitest"
import { PLAIN_TEAM, routeBody, type Sent, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { operations } from "./operations.ts"

interface Cells {
  /** Request line; `{token}`, `{deployment}` and `{key}` are filled in with alpha's. */
  readonly line: string
  readonly body?: unknown
  /** Status for ops, for a token of alpha, and for a token of another team. */
  readonly ops: number
  readonly own: number
  readonly other: number
}

const route = routeBody({ hostname: "alpha.example", path: "/new/*", script: "files" })
const directory = { zones: {}, companies: {} }
const TABLE: Readonly<Record<string, Cells>> = {
  "whoami.get": { line: "GET /v1/whoami", ops: 200, own: 200, other: 200 },
  "teams.list": { line: "GET /v1/teams", ops: 200, own: 200, other: 200 },
  "teams.get": { line: "GET /v1/teams/alpha", ops: 200, own: 200, other: 404 },
  "teams.put": { line: "PUT /v1/teams/alpha", body: PLAIN_TEAM, ops: 200, own: 403, other: 403 },
  "teams.delete": { line: "DELETE /v1/teams/spare", ops: 204, own: 403, other: 403 },
  "team-tokens.list": { line: "GET /v1/teams/alpha/tokens", ops: 200, own: 200, other: 404 },
  "team-tokens.create": { line: "POST /v1/teams/alpha/tokens", body: { label: "x" }, ops: 201, own: 201, other: 404 },
  "tokens.list": { line: "GET /v1/tokens", ops: 200, own: 403, other: 403 },
  "tokens.create": { line: "POST /v1/tokens", body: { label: "x", role: "ops" }, ops: 201, own: 403, other: 403 },
  "tokens.revoke": { line: "DELETE /v1/tokens/{token}", ops: 204, own: 204, other: 404 },
  "scripts.list": { line: "GET /v1/scripts", ops: 200, own: 200, other: 200 },
  "scripts.get": { line: "GET /v1/scripts/files", ops: 200, own: 200, other: 404 },
  "scripts.put": { line: "PUT /v1/scripts/files", body: { timeoutMs: 900 }, ops: 200, own: 200, other: 403 },
  "scripts.delete": { line: "DELETE /v1/scripts/unrouted", ops: 204, own: 204, other: 404 },
  "versions.list": { line: "GET /v1/scripts/files/versions", ops: 200, own: 200, other: 404 },
  "versions.get": { line: "GET /v1/scripts/files/versions/1", ops: 200, own: 200, other: 404 },
  "versions.upload": { line: "POST /v1/scripts/files/versions", ops: 415, own: 415, other: 404 },
  "deployments.list": { line: "GET /v1/scripts/files/deployments", ops: 200, own: 200, other: 404 },
  "deployments.get": { line: "GET /v1/scripts/files/deployments/{deployment}", ops: 200, own: 200, other: 404 },
  "deployments.create": {
    line: "POST /v1/scripts/files/deployments",
    body: { releases: [{ version: 2, weightBps: 10_000 }] },
    ...{ ops: 201, own: 201, other: 404 },
  },
  "rollback.create": {
    line: "POST /v1/scripts/files/rollback",
    body: { version: 2 },
    ...{ ops: 201, own: 201, other: 404 },
  },
  "pins.create": { line: "POST /v1/scripts/files/pins", body: { version: 2 }, ops: 201, own: 201, other: 404 },
  "hostnames.list": { line: "GET /v1/hostnames", ops: 200, own: 200, other: 200 },
  "hostnames.get": { line: "GET /v1/hostnames/alpha.example", ops: 200, own: 200, other: 404 },
  "hostnames.put": {
    line: "PUT /v1/hostnames/alpha.example",
    body: { team: null, open: true },
    ops: 200,
    own: 403,
    other: 403,
  },
  "hostnames.delete": { line: "DELETE /v1/hostnames/spare.example", ops: 204, own: 403, other: 403 },
  "routes.list": { line: "GET /v1/routes", ops: 200, own: 200, other: 200 },
  "routes.get": { line: "GET /v1/routes/alpha-all", ops: 200, own: 200, other: 404 },
  "routes.put": { line: "PUT /v1/routes/alpha-all", body: route, ops: 200, own: 200, other: 409 },
  "routes.delete": { line: "DELETE /v1/routes/alpha-all", ops: 204, own: 204, other: 404 },
  "notices.list": { line: "GET /v1/notices", ops: 200, own: 200, other: 200 },
  "policy.get-screen": { line: "GET /v1/policy/screen", ops: 200, own: 403, other: 403 },
  "policy.put-screen": { line: "PUT /v1/policy/screen", body: {}, ops: 400, own: 403, other: 403 },
  "policy.get-tracing": { line: "GET /v1/policy/tracing", ops: 200, own: 403, other: 403 },
  "policy.put-tracing": { line: "PUT /v1/policy/tracing", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-identity": { line: "GET /v1/policy/identity", ops: 200, own: 403, other: 403 },
  "policy.put-identity": { line: "PUT /v1/policy/identity", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-serviceAccounts": { line: "GET /v1/policy/serviceAccounts", ops: 200, own: 403, other: 403 },
  "policy.put-serviceAccounts": { line: "PUT /v1/policy/serviceAccounts", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-subjects": { line: "GET /v1/policy/subjects", ops: 200, own: 403, other: 403 },
  "policy.put-subjects": { line: "PUT /v1/policy/subjects", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-issuers": { line: "GET /v1/policy/issuers", ops: 200, own: 200, other: 200 },
  "policy.put-issuers": { line: "PUT /v1/policy/issuers", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-audiences": { line: "GET /v1/policy/audiences", ops: 200, own: 200, other: 200 },
  "policy.put-audiences": { line: "PUT /v1/policy/audiences", body: {}, ops: 200, own: 403, other: 403 },
  "policy.get-directory": { line: "GET /v1/policy/directory", ops: 200, own: 403, other: 403 },
  "policy.put-directory": { line: "PUT /v1/policy/directory", body: directory, ops: 200, own: 403, other: 403 },
  "policy.get-flags": { line: "GET /v1/policy/flags", ops: 200, own: 200, other: 200 },
  "policy.put-flags": { line: "PUT /v1/policy/flags", body: {}, ops: 200, own: 403, other: 403 },
  "config.get": { line: "GET /v1/config", ops: 200, own: 403, other: 403 },
  "config-revisions.list": { line: "GET /v1/config/revisions", ops: 200, own: 403, other: 403 },
  "config-revisions.get": { line: "GET /v1/config/revisions/1", ops: 200, own: 403, other: 403 },
  "config-revisions.document": { line: "GET /v1/config/revisions/1/document", ops: 200, own: 403, other: 403 },
  "keys.list": { line: "GET /v1/keys", ops: 200, own: 403, other: 403 },
  "keys.rotate": { line: "POST /v1/keys/rotate", body: {}, ops: 201, own: 403, other: 403 },
  "keys.rollback": { line: "POST /v1/keys/rollback", body: {}, ops: 409, own: 403, other: 403 },
  "revocations.list": { line: "GET /v1/revocations", ops: 200, own: 403, other: 403 },
  "revocations.create": {
    line: "POST /v1/revocations",
    body: [{ target: { kind: "company", company: "100" }, reason: "test" }],
    ...{ ops: 201, own: 403, other: 403 },
  },
  "status.get": { line: "GET /v1/status", ops: 200, own: 403, other: 403 },
  "service-accounts.list": { line: "GET /v1/service-accounts", ops: 200, own: 403, other: 403 },
  "service-accounts.get": { line: "GET /v1/service-accounts/export", ops: 200, own: 403, other: 403 },
  "service-accounts.put": {
    line: "PUT /v1/service-accounts/export",
    body: { scopes: [] },
    ...{ ops: 200, own: 403, other: 403 },
  },
  "service-accounts.delete": { line: "DELETE /v1/service-accounts/export", ops: 204, own: 403, other: 403 },
  "service-account-keys.create": {
    line: "POST /v1/service-accounts/export/keys",
    body: {},
    ...{ ops: 201, own: 403, other: 403 },
  },
  "service-account-keys.delete": {
    line: "DELETE /v1/service-accounts/export/keys/{key}",
    ...{ ops: 204, own: 403, other: 403 },
  },
  "audit.list": { line: "GET /v1/audit", ops: 200, own: 403, other: 403 },
  "audit.verify": { line: "GET /v1/audit/verify", ops: 200, own: 403, other: 403 },
  "explain.create": {
    line: "POST /v1/explain",
    body: { url: "https://alpha.example/x" },
    ...{ ops: 200, own: 200, other: 404 },
  },
}

interface Scene {
  readonly platform: TestControlPlane
  readonly own: string
  readonly other: string
  /** The line with ids filled in. */
  fill(line: string): string
}

async function setScene(): Promise<Scene> {
  const platform = await startControlPlane()
  const own = await platform.team("alpha")
  const other = await platform.team("beta")
  await platform.script("files", "alpha", 2)
  await platform.script("unrouted", "alpha")
  await platform.send("PUT /v1/hostnames/alpha.example", { body: { team: "alpha", open: false } })
  await platform.send("PUT /v1/teams/spare", { body: PLAIN_TEAM })
  await platform.send("PUT /v1/hostnames/spare.example", { body: { team: "alpha", open: false } })
  const body = routeBody({ hostname: "alpha.example", path: "/old/*", script: "files" })
  await platform.send("PUT /v1/routes/alpha-all", { token: own, body })
  const releases = [{ version: 1, weightBps: 10_000 }]
  const deployed = await platform.send("POST /v1/scripts/files/deployments", { token: own, body: { releases } })
  const tokens = await platform.send("GET /v1/teams/alpha/tokens")
  await platform.send("PUT /v1/service-accounts/export", { body: { scopes: ["projects:read"] } })
  const key = await platform.send("POST /v1/service-accounts/export/keys", { body: {} })
  const ids = { "{token}": tokens.body.items[0].id, "{deployment}": deployed.body.id, "{key}": key.body.id }
  const fill = (line: string) => Object.entries(ids).reduce((filled, [name, id]) => filled.replace(name, id), line)
  return { platform, own, other, fill }
}

async function records({ platform }: Scene): Promise<number> {
  return (await platform.deps.store.audit.verify()).records
}

describe("access: the table", () => {
  it("has a row for every operation and none besides", ({ expect }) => {
    expect(operations.map((operation) => operation.id).sort()).toEqual(Object.keys(TABLE).sort())
  })
  it("asks each operation by its own method and path", ({ expect }) => {
    for (const { id, method, path } of operations) {
      const pattern = new RegExp(`^${method} ${path.replaceAll(/\{[a-z]+\}/g, "[^/]+")}$`)
      expect(TABLE[id]?.line).toMatch(pattern)
    }
  })
})

/** Reading changes nothing, so all that read share one scene; a scene empties the storage, so they come first. */
const reads = Object.entries(TABLE).filter(([, { line }]) => line.startsWith("GET "))
const writes = Object.entries(TABLE).filter(([, { line }]) => !line.startsWith("GET "))

describe("access: reading", () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await setScene()
  })
  for (const [id, cells] of reads)
    it(`${id}: ops ${cells.ops}, own team ${cells.own}, other team ${cells.other}, nobody 401`, async ({ expect }) => {
      await expectWithoutEffect(scene, cells, expect)
      expect((await ask(scene, cells, scene.own)).status).toBe(cells.own)
      expect((await ask(scene, cells)).status).toBe(cells.ops)
    })
})

describe("access: changing", () => {
  for (const [id, cells] of writes) {
    it(`${id}: nobody 401 and other team ${cells.other}, without an effect; own team ${cells.own}`, async ({
      expect,
    }) => {
      const scene = await setScene()
      await expectWithoutEffect(scene, cells, expect)
      expect((await ask(scene, cells, scene.own)).status).toBe(cells.own)
    })
    it(`${id}: ops ${cells.ops}`, async ({ expect }) => {
      expect((await ask(await setScene(), cells)).status).toBe(cells.ops)
    })
  }
})

function ask({ platform, fill }: Scene, { line, body }: Cells, token?: string | null): Promise<Sent> {
  return platform.send(fill(line), {
    ...(body === undefined ? {} : { body }),
    ...(token === undefined ? {} : { token }),
  })
}

async function expectWithoutEffect(scene: Scene, cells: Cells, expect: ExpectStatic): Promise<void> {
  const before = await records(scene)
  for (const token of [null, "", "spt_", `spt_${"x".repeat(43)}`, await passportLike()]) {
    const sent = await ask(scene, cells, token)
    expect([sent.status, sent.body.code]).toEqual([401, "api.unauthenticated"])
  }
  const other = await ask(scene, cells, scene.other)
  expect(other.status).toBe(cells.other)
  expect(withoutEcho(other)).not.toContain("alpha")
  expect(await records(scene)).toBe(before)
}

describe("access: what may not be read looks absent", () => {
  const absent: readonly [there: string, absent: string][] = [
    ["GET /v1/teams/alpha", "GET /v1/teams/nobody"],
    ["GET /v1/teams/alpha/tokens", "GET /v1/teams/nobody/tokens"],
    ["DELETE /v1/tokens/{token}", "DELETE /v1/tokens/t-000000000000"],
    ["GET /v1/scripts/files", "GET /v1/scripts/nothing"],
    ["DELETE /v1/scripts/files", "DELETE /v1/scripts/nothing"],
    ["GET /v1/scripts/files/versions/1", "GET /v1/scripts/nothing/versions/1"],
    ["GET /v1/scripts/files/versions/9", "GET /v1/scripts/nothing/versions/9"],
    ["GET /v1/scripts/files/deployments/{deployment}", "GET /v1/scripts/nothing/deployments/d-000000000000"],
    ["GET /v1/hostnames/alpha.example", "GET /v1/hostnames/nothing.example"],
    ["GET /v1/routes/alpha-all", "GET /v1/routes/nothing"],
    ["DELETE /v1/routes/alpha-all", "DELETE /v1/routes/nothing"],
  ]
  for (const [there, missing] of absent)
    it(`${there} of another team answers as ${missing} does`, async ({ expect }) => {
      const scene = await setScene()
      const first = await scene.platform.send(scene.fill(there), { token: scene.other })
      const second = await scene.platform.send(missing, { token: scene.other })
      expect(withoutEcho(first)).toBe(withoutEcho(second))
      expect(first.status).toBe(404)
    })

  it("explains hostnames of others and unknown ones alike", async ({ expect }) => {
    const { platform, other } = await setScene()
    const ask = (url: string) => platform.send("POST /v1/explain", { token: other, body: { url } })
    expect(withoutEcho(await ask("https://alpha.example/"))).toBe(withoutEcho(await ask("https://nothing.example/")))
  })
})

/** The answer without what repeats the question and differs each time. */
function withoutEcho({ status, body }: Sent): string {
  const { instance: _, requestId: __, ...rest } = typeof body === "object" && body !== null ? body : { body }
  return JSON.stringify([status, rest])
}

/** What a dispatcher gives out; no credential here. */
async function passportLike(): Promise<string> {
  return await new SignJWT({ aud: "script:files", kind: "service" })
    .setProtectedHeader({ alg: "HS256", typ: "passport+jwt" })
    .setExpirationTime("1m")
    .sign(new Uint8Array(32))
}
