/** What lies in public/ is what build.mjs makes of web/, byte for byte; names follow content. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, it } from "vitest"
import { buildPages } from "./build.mjs"

const HERE = import.meta.dirname
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-pages-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("build.mjs", () => {
  it("makes what lies in public/ (if not: node user-workers/pages/build.mjs)", async ({ expect }) => {
    const out = path.join(folder, "same")
    await buildPages(path.join(HERE, "web"), out)
    expect(await filesOf(out)).toEqual(await filesOf(path.join(HERE, "public")))
  })

  it("gives a changed file and what names it another name, and leaves the others theirs", async ({ expect }) => {
    const [web, out] = [path.join(folder, "web"), path.join(folder, "changed")]
    await cp(path.join(HERE, "web"), web, { recursive: true })
    const page = path.join(web, "projects/pages/project.js")
    await writeFile(page, (await readFile(page, "utf8")).replace("All projects", "Back"))
    await buildPages(web, out)
    const [before, after] = [await filesOf(path.join(HERE, "public")), await filesOf(out)]
    const gone = [...before.keys()].filter((file) => !after.has(file))
    expect(gone.map((file) => path.basename(file).replace(/-.*\./, ".")).sort()).toEqual(["app.js", "chunk.js"])
    expect(before.size).toBe(after.size)
    const kept = [...before].filter(([file]) => after.has(file) && file.includes("/assets/"))
    for (const [file, content] of kept) expect(after.get(file)).toBe(content)
  })
})

async function filesOf(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((each) => each.isFile()).map((each) => path.join(each.parentPath, each.name))
  const read = files.sort().map(async (file) => [path.relative(directory, file), await readFile(file, "utf8")] as const)
  return new Map(await Promise.all(read))
}
