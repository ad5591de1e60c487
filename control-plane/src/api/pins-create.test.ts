import { it } from "vitest"
import { startControlPlane } from "../../test/harness.ts"

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
