import { beforeEach, describe, it } from "vitest"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { SYSTEM } from "../actor.ts"
import { publishDeployment } from "./publish-deployment.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
  await platform.team("alpha")
  await platform.script("files", "alpha", 2)
})

const all = (version: number) => [{ version, weightBps: 10_000 }]
const record = (version: number) => platform.deps.store.deployments.record("files", all(version), null, SYSTEM)
const publish = (id: string) => publishDeployment(id, SYSTEM, platform.deps)
const inForce = async () => (await platform.published()).scripts.files.releases

describe("publishDeployment: works", () => {
  it("moves traffic only when it is published, not when it is recorded", async ({ expect }) => {
    const { id } = await record(1)
    expect((await platform.published()).scripts).toEqual({})
    expect(await publish(id)).toEqual({ revision: 2, superseded: false })
    expect(await inForce()).toEqual(all(1))
    expect(await platform.deps.store.deployments.current("files")).toMatchObject({
      id,
      phase: "published",
      configRevision: 2,
    })
    expect(await platform.deps.store.deployments.unfinished()).toEqual([])
  })

  it("may be repeated without another revision or record", async ({ expect }) => {
    const { id } = await record(1)
    await publish(id)
    const before = (await platform.deps.store.audit.verify()).records
    expect(await publish(id)).toEqual({ revision: 2, superseded: false })
    expect((await platform.deps.store.audit.verify()).records).toBe(before)
  })
})

describe("publishDeployment: refuses", () => {
  it("lets an older deployment that is taken up late not undo a newer one", async ({ expect }) => {
    const older = await record(1)
    const newer = await record(2)
    await publish(newer.id)
    expect(await publish(older.id)).toEqual({ revision: 2, superseded: true })
    expect(await inForce()).toEqual(all(2))
    expect((await platform.deps.store.deployments.get(older.id))?.phase).toBe("failed")
    expect(await publish(older.id)).toEqual({ revision: 2, superseded: true })
    const [record1] = (await platform.send("GET /v1/audit")).body.items
    expect(record1).toMatchObject({ action: "deployment.supersede", detail: { by: newer.id } })
  })

  for (const state of ["recorded", "placed", "failed", "retired"])
    it(`leads to no version that is ${state}, with whatever weight, and ends no deployment for it`, async ({
      expect,
    }) => {
      await publish((await record(1)).id)
      await platform.deps.db.prepare("UPDATE versions SET state = ? WHERE number = 2").bind(state).run()
      const releases = [
        { version: 1, weightBps: 10_000 },
        { version: 2, weightBps: 0 },
      ]
      for (const wanted of [all(2), releases]) {
        const { id } = await platform.deps.store.deployments.record("files", wanted, null, SYSTEM)
        await expect(publish(id)).rejects.toMatchObject({ code: "api.busy" })
        expect((await platform.deps.store.deployments.get(id))?.phase).toBe("recorded")
      }
      expect(await inForce()).toEqual(all(1))
    })

  it("publishes what is in force, and takes traffic from it, whatever has become of the version", async ({
    expect,
  }) => {
    const { id } = await record(1)
    await publish(id)
    await platform.deps.db.prepare("UPDATE versions SET state = 'failed' WHERE number = 1").run()
    expect(await publish(id)).toEqual({ revision: 2, superseded: false })
    const releases = [1, 2].map((version) => ({ version, weightBps: 5_000 }))
    await publish((await platform.deps.store.deployments.record("files", releases, null, SYSTEM)).id)
    await publish((await record(2)).id)
    expect(await inForce()).toEqual(all(2))
  })

  it("leads to no version that does not exist", async ({ expect }) => {
    await expect(publish((await record(3)).id)).rejects.toMatchObject({ code: "version.unknown" })
  })

  it("publishes nothing of a script that was deleted meanwhile, or of an unknown deployment", async ({ expect }) => {
    const { id } = await record(1)
    await platform.send("DELETE /v1/scripts/files")
    await expect(publish(id)).rejects.toMatchObject({ code: "api.not-found" })
    await expect(publish("d-0")).rejects.toMatchObject({ code: "api.not-found" })
    expect((await platform.published()).scripts).toEqual({})
  })

  it("records nothing of a script that was deleted or changed hands meanwhile, and of one that is claimed again it does", async ({
    expect,
  }) => {
    const actorOf = (team: string) => ({ tokenId: "t", role: "team", team, name: "token:t" }) as const
    const recordAs = (team: string) =>
      platform.deps.store.deployments.record("files", all(1), null, actorOf(team)).then(({ phase }) => phase)
    await platform.team("beta")
    await expect(recordAs("beta")).rejects.toMatchObject({ code: "api.not-found" })
    expect(await recordAs("alpha")).toBe("recorded")
    await platform.send("DELETE /v1/scripts/files")
    await expect(recordAs("alpha")).rejects.toMatchObject({ code: "api.not-found" })
    await expect(record(1)).rejects.toMatchObject({ code: "api.not-found" })
    await platform.send("PUT /v1/scripts/files", { body: { team: "alpha" } })
    expect(await platform.deps.store.deployments.unfinished()).toEqual([])
    expect(await recordAs("alpha")).toBe("recorded")
  })
})
