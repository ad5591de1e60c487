import { it } from "vitest"
import { cloudflareFixture } from "../../test/cloudflare-fixture.ts"
import { startControlPlane } from "../../test/harness.ts"
import { putRequest } from "../../test/upload-request.ts"

it("keeps in the audit why a pin was made, where somebody says it", async ({ expect }) => {
  const platform = await startControlPlane()
  const token = await platform.team("web")
  await platform.script("files", "web", 1)
  const pin = (body: object) => platform.send("POST /v1/scripts/files/pins", { token, body: { version: 1, ...body } })
  expect((await pin({ message: "incident 42" })).status).toBe(201)
  expect((await pin({})).status).toBe(201)
  const [without, told] = (await platform.send("GET /v1/audit?limit=2")).body.items
  expect([told.action, told.detail.message]).toEqual(["pin.create", "incident 42"])
  expect([without.action, without.detail.message]).toEqual(["pin.create", undefined])
})

it("gives no pin for a retired version that cannot be placed, but one once it can", async ({ expect }) => {
  const cloudflare = cloudflareFixture()
  const platform = await startControlPlane(() => ({ fetch: cloudflare.fetch }))
  const token = await platform.team("web")
  await platform.fetch(putRequest("files", token))
  cloudflare.scripts.clear()
  await platform.deps.db.prepare("UPDATE versions SET state = 'retired', removed_at_ms = 1").run()
  const pin = () => platform.send("POST /v1/scripts/files/pins", { token, body: { version: 1 } })
  const busy = { kind: "status", status: 503 } as const
  cloudflare.failNext("GET", busy, busy, busy, busy)
  const refused = await pin()
  expect([refused.status, refused.body.code, refused.body.pin]).toEqual([503, "cloudflare.unavailable", undefined])
  expect((await pin()).status).toBe(201)
  expect([...cloudflare.scripts.keys()]).toEqual(["files--v1"])
})

it("keeps the longer of two pins' holds", async ({ expect }) => {
  const platform = await startControlPlane()
  const token = await platform.team("web")
  await platform.script("files", "web", 2)
  const pin = (version: number, lifetimeS: number) =>
    platform.send("POST /v1/scripts/files/pins", { token, body: { version, lifetimeS } })
  await pin(1, 600)
  await pin(1, 60)
  const held = async (version: number) => (await platform.deps.store.versions.get("files", version))?.heldUntilMs
  expect([await held(1), await held(2)]).toEqual([platform.deps.clock.now() + 600_000, 0])
})
