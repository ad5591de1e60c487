import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { versionCreated } from "../../contracts/api.ts"
import { AT, useBench } from "../testing/command-line.ts"
import { problem, thing } from "../testing/control-plane-double.ts"

const bench = useBench()

const version = {
  ...{ script: "files", version: 1, digest: "d".repeat(64), placedName: "files--v1", state: "verified" as const },
  ...{ sizeBytes: 10, message: null, tag: null, createdBy: "token:t-1", createdAt: AT, created: true },
}

function upload(script = "files") {
  writeFileSync(join(bench.folder, "index.js"), "export default {}")
  const line = ["versions", "upload", script, bench.folder, "--main", "index.js", "--compatibility-date", "2026-10-01"]
  return bench.run(line)
}

describe("versions upload", () => {
  it("says how a name is claimed that nobody has", async () => {
    bench.api.on("POST /v1/scripts/newscript/versions", problem("api.not-found"))
    const { code, err } = await upload("newscript")
    expect(code).toBe(1)
    expect(err).toContain("There is no script newscript, or it is another team's (api.not-found)")
    expect(err).toContain("`sallyport scripts set newscript`")
    expect(err).toContain("req-1")
  })

  it("passes on any other refusal as it is", async () => {
    bench.api.on("POST /v1/scripts/files/versions", problem("upload.too-large"))
    expect((await upload()).err).toContain("The upload is too large (upload.too-large)")
  })

  it("says which file of the folder it cannot read, and why", async () => {
    symlinkSync("nowhere", join(bench.folder, "lost.js"))
    const { code, err } = await upload()
    expect(code).toBe(1)
    expect(err).toContain(`Cannot read the folder ${bench.folder}`)
    expect(err).toMatch(/why .*ENOENT.*lost\.js/)
    expect(bench.api.received).toEqual([])
  })

  it("takes no notice of a link to nowhere that is no module, and follows one to a module", async () => {
    bench.api.on("POST /v1/scripts/files/versions", thing(versionCreated, version))
    symlinkSync("nowhere", join(bench.folder, "notes"))
    mkdirSync(join(bench.folder, "lib"))
    writeFileSync(join(bench.folder, "lib", "a.js"), "")
    symlinkSync(join("lib", "a.js"), join(bench.folder, "b.js"))
    expect(await upload()).toMatchObject({ code: 0, out: expect.stringContaining("Published files--v1") })
  })
})
