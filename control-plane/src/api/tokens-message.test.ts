import { describe, it } from "vitest"
import { startControlPlane } from "../../test/harness.ts"
import { operations } from "./operations.ts"

describe("why", () => {
  it("is kept in the audit of a token that is made or revoked", async ({ expect }) => {
    const platform = await startControlPlane()
    const token = await platform.team("web")
    const record = async () => {
      const [newest] = (await platform.send("GET /v1/audit?limit=1")).body.items
      return [newest.action, newest.detail.message]
    }
    const made = await platform.send("POST /v1/teams/web/tokens", {
      token,
      body: { label: "ci", message: "new runner" },
    })
    expect([made.status, await record()]).toEqual([201, ["token.create", "new runner"]])
    await platform.send("POST /v1/tokens", { body: { label: "alice", role: "ops", message: "on call" } })
    expect(await record()).toEqual(["token.create", "on call"])
    expect((await platform.send(`DELETE /v1/tokens/${made.body.id}?message=leaked`)).status).toBe(204)
    expect(await record()).toEqual(["token.revoke", "leaked"])
    expect((await platform.send("POST /v1/teams/web/tokens", { token, body: { label: "ci" } })).status).toBe(201)
    expect(await record()).toEqual(["token.create", undefined])
    const long = await platform.send(`DELETE /v1/tokens/${made.body.id}?message=${"x".repeat(501)}`)
    expect(long.status).toBe(400)
  })

  /** The form of an upload has it as an annotation, a revocation has a reason of its own; an explanation changes nothing. */
  const OTHERWISE = ["versions.upload", "explain.create"]
  const changes = operations.filter(({ id, method }) => method !== "GET" && !OTHERWISE.includes(id))
  it.for(changes.map((each) => [each.id, each] as const))("may be said with %s", ([, { query, body }], { expect }) => {
    const fields = { ...query?.shape, ...(body !== undefined && "shape" in body ? (body.shape as object) : {}) }
    expect(Object.keys(fields)).toContain("message")
  })
})
