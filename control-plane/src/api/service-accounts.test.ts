import { beforeEach, describe, it } from "vitest"
import { sha256Hex } from "../../../kit/sha256.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
})

const put = (name: string, body: object = { scopes: ["a"] }, headers: Record<string, string> = {}) =>
  platform.send(`PUT /v1/service-accounts/${name}`, { body, headers })
const makeKey = (name: string, body: object = {}) => platform.send(`POST /v1/service-accounts/${name}/keys`, { body })
const inForce = async () => (await platform.published()).serviceAccounts

describe("service accounts: works", () => {
  it("gives a key 366 days unless told a shorter time, and takes no longer one", async ({ expect }) => {
    await put("export")
    expect((await makeKey("export")).body.expiresAt).toBe("2027-11-21T12:00:00.000Z")
    const { status, body } = await makeKey("export", { expiresInS: 366 * 86_400 + 1 })
    expect([status, body.errors[0].pointer]).toEqual([400, "/expiresInS"])
  })

  it("makes one, changes it and leaves its keys alone", async ({ expect }) => {
    expect((await put("export", { scopes: ["a"], company: "100" })).status).toBe(201)
    const { body: key } = await makeKey("export")
    const changed = await put("export", { scopes: ["b"] })
    expect([changed.status, changed.body]).toEqual([
      200,
      { name: "export", scopes: ["b"], company: null, keys: [{ id: key.id, expiresAt: key.expiresAt }] },
    ])
    expect((await platform.send("GET /v1/service-accounts/export")).body).toEqual(changed.body)
  })

  it("gives a key out once, publishes its hash, and keeps it from audit, lists and config", async ({ expect }) => {
    await put("export")
    const { status, body } = await makeKey("export", { expiresInS: 3600, message: "yearly" })
    expect([status, body.key]).toEqual([201, expect.stringMatching(/^spsa_export_[A-Za-z0-9_-]{43}$/)])
    expect(body.expiresAt).toBe("2026-11-20T13:00:00.000Z")
    expect((await inForce()).export.keys).toEqual([
      {
        id: body.id,
        hash: await sha256Hex(body.key),
        createdAt: "2026-11-20T12:00:00.000Z",
        expiresAt: body.expiresAt,
      },
    ])
    const seen = await Promise.all(
      ["/v1/audit", "/v1/service-accounts", "/v1/service-accounts/export", "/v1/policy/serviceAccounts"].map(
        async (path) => JSON.stringify((await platform.send(`GET ${path}`)).body),
      ),
    )
    expect(seen.join()).not.toContain(body.key)
    expect(seen[2]).not.toContain(await sha256Hex(body.key))
    expect(seen[0]).toContain("service-account-key.create")
  })

  it("takes one key away and leaves the other", async ({ expect }) => {
    await put("export")
    const [first, second] = [await makeKey("export"), await makeKey("export")]
    const path = `DELETE /v1/service-accounts/export/keys/${first.body.id}`
    expect((await platform.send(path)).status).toBe(204)
    expect((await platform.send(path)).status).toBe(404)
    expect((await inForce()).export.keys).toMatchObject([{ id: second.body.id }])
  })

  it("removes an account with its keys, and leaves the others", async ({ expect }) => {
    await put("export")
    await put("import")
    expect((await platform.send("DELETE /v1/service-accounts/export")).status).toBe(204)
    expect(Object.keys(await inForce())).toEqual(["import"])
  })

  it("lists by name, page by page", async ({ expect }) => {
    for (const name of ["c", "a", "b"]) await put(name)
    const first = (await platform.send("GET /v1/service-accounts?limit=2")).body
    const second = (await platform.send(`GET /v1/service-accounts?limit=2&cursor=${first.nextCursor}`)).body
    const names = [...first.items, ...second.items].map(({ name }: { name: string }) => name)
    expect([names, second.nextCursor]).toEqual([["a", "b", "c"], null])
  })

  it("changes nothing in a dry run", async ({ expect }) => {
    await put("export")
    await platform.send("PUT /v1/service-accounts/other?dry_run=true", { body: { scopes: [] } })
    await platform.send("DELETE /v1/service-accounts/export?dry_run=true")
    const { id } = (await makeKey("export")).body
    expect((await platform.send(`DELETE /v1/service-accounts/export/keys/${id}?dry_run=true`)).status).toBe(204)
    const accounts = await inForce()
    expect([Object.keys(accounts), accounts.export.keys]).toEqual([["export"], [expect.objectContaining({ id })]])
  })

  it("forgets keys whose time is over when it makes a new one", async ({ expect }) => {
    await put("export")
    for (let count = 0; count < 5; count++) await makeKey("export", { expiresInS: 60 })
    expect((await makeKey("export")).body.code).toBe("api.conflict")
    platform.pass(60_000)
    expect((await makeKey("export")).status).toBe(201)
    expect((await inForce()).export.keys).toHaveLength(1)
  })
})

describe("service accounts: security", () => {
  it("records who may what since when, which keys were made and which taken away, and why", async ({ expect }) => {
    await put("export", { scopes: ["a"], company: "100", message: "nightly" })
    const [first, second] = [await makeKey("export", { message: "yearly" }), await makeKey("export")]
    await platform.send(`DELETE /v1/service-accounts/export/keys/${first.body.id}?message=leaked`)
    await platform.send("DELETE /v1/service-accounts/export?message=over")
    const { items } = (await platform.send("GET /v1/audit")).body
    const { id, expiresAt } = first.body
    expect(items).toMatchObject([
      { action: "service-account.delete", detail: { keys: [second.body.id], message: "over" } },
      { action: "service-account-key.delete", detail: { key: id, message: "leaked" } },
      { action: "service-account-key.create", detail: { key: second.body.id } },
      { action: "service-account-key.create", detail: { key: id, expiresAt, message: "yearly" } },
      { action: "service-account.put", detail: { scopes: ["a"], company: "100", message: "nightly" } },
    ])
    for (const { actor, target } of items)
      expect([actor, target]).toEqual(["token:bootstrap", "service-accounts/export"])
  })
})

describe("service accounts: the end of a key, as the edge sees it", () => {
  const NOON_MS = Date.parse("2026-11-20T12:00:00.000Z")
  const YEAR_MS = 366 * 86_400_000
  const iso = (ms: number) => new Date(ms).toISOString()
  const keyOf = (at: number, createdMs: number, expiresMs?: number) => ({
    id: `k-${at}`,
    hash: `${at}`.repeat(64),
    createdAt: iso(createdMs),
    ...(expiresMs === undefined ? {} : { expiresAt: iso(expiresMs) }),
  })
  const write = (...keys: object[]) =>
    platform.send("PUT /v1/policy/serviceAccounts", { body: { export: { scopes: [], keys } } })
  const shown = async () => (await platform.send("GET /v1/service-accounts/export")).body.keys

  it("is 366 days after it was made where ops wrote none, or a later one", async ({ expect }) => {
    const made = NOON_MS - 1000
    await write(
      keyOf(1, made),
      keyOf(2, made, made + YEAR_MS + 1),
      keyOf(3, made, made + YEAR_MS),
      keyOf(4, made, made + 1),
    )
    const [longest, own] = [iso(made + YEAR_MS), iso(made + 1)]
    const keys = [longest, longest, longest, own].map((expiresAt, at) => ({ id: `k-${at + 1}`, expiresAt }))
    expect(await shown()).toEqual(keys)
    expect((await platform.send("GET /v1/service-accounts")).body.items).toMatchObject([{ name: "export", keys }])
    expect((await put("export")).body.keys).toEqual(keys)
  })

  it("is when it counts no longer, whatever ops wrote", async ({ expect }) => {
    const five = (createdMs: number, expiresMs?: number) => [1, 2, 3, 4, 5].map((at) => keyOf(at, createdMs, expiresMs))
    for (const expiresMs of [undefined, NOON_MS + YEAR_MS]) {
      await write(...five(NOON_MS - YEAR_MS + 1, expiresMs))
      expect((await makeKey("export")).body.code).toBe("api.conflict")
      await write(...five(NOON_MS - YEAR_MS, expiresMs))
      expect((await makeKey("export")).status).toBe(201)
      expect(await shown()).toHaveLength(1)
    }
  })
})

describe("service accounts: refuses", () => {
  it("refuses a change of one that has changed since it was read, and to make one that is there", async ({
    expect,
  }) => {
    const { headers } = await put("export")
    await put("export", { scopes: ["b"] })
    expect((await put("export", { scopes: ["c"] }, { "if-match": headers.get("etag") ?? "" })).status).toBe(412)
    expect((await put("export", { scopes: ["c"] }, { "if-none-match": "*" })).status).toBe(412)
  })

  it("removes none that has changed since it was read", async ({ expect }) => {
    const remove = (etag: string | null) =>
      platform.send("DELETE /v1/service-accounts/export", { headers: { "if-match": etag ?? "" } })
    const { headers } = await put("export")
    const changed = await put("export", { scopes: ["b"] })
    expect((await remove(headers.get("etag"))).status).toBe(412)
    expect((await remove(changed.headers.get("etag"))).status).toBe(204)
  })

  it("refuses names and scopes that a config cannot hold", async ({ expect }) => {
    expect((await put("Export")).body.code).toBe("api.name-invalid")
    expect((await put("export", { scopes: ["a b"] })).body.errors[0].pointer).toBe("/scopes/0")
    expect((await put("export", { scopes: [], keys: [] })).status).toBe(400)
    expect((await put("export", {})).status).toBe(400)
  })

  it("knows none that is not there, by whatever name", async ({ expect }) => {
    await put("export")
    for (const name of ["nothing", "constructor", "tostring", "__proto__"]) {
      expect((await platform.send(`GET /v1/service-accounts/${name}`)).status).toBe(404)
      expect((await platform.send(`DELETE /v1/service-accounts/${name}`)).status).toBe(404)
      expect((await makeKey(name)).status).toBe(404)
    }
    expect((await platform.send("DELETE /v1/service-accounts/export/keys/nothing")).status).toBe(404)
  })

  it("accepts no service account's key itself", async ({ expect }) => {
    await put("export")
    const { body } = await makeKey("export")
    expect((await platform.send("GET /v1/whoami", { token: body.key })).status).toBe(401)
  })
})
