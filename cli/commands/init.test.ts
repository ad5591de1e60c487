import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { useBench } from "../testing/command-line.ts"

const bench = useBench()
const FILES = ["README.md", "index.test.ts", "index.ts", "package.json", "vitest.config.ts", "wrangler.toml"]

describe("init", () => {
  it("writes a Worker of that name, and says what to do with it", async () => {
    const dir = join(bench.folder, "hello")
    const { code, out } = await bench.run(["init", "hello", "--dir", dir], { env: {} })
    expect(code).toBe(0)
    expect(readdirSync(dir).toSorted()).toEqual(FILES)
    expect(out).toContain("npm install && npx vitest run")
    expect(readFileSync(join(dir, "wrangler.toml"), "utf8")).toContain('name = "hello"')
    for (const file of FILES) expect(readFileSync(join(dir, file), "utf8")).not.toMatch(/\{\{|\}\}/)
    expect(bench.api.received).toEqual([])
  })

  it("names the checkout by a relative path and pins what the checkout has", async () => {
    const dir = join(bench.folder, "deep", "er", "hello")
    await bench.run(["init", "hello", "--dir", dir], { env: {} })
    const { devDependencies } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"))
    const own = JSON.parse(readFileSync("package.json", "utf8")).devDependencies
    expect(devDependencies).toMatchObject({ vitest: own.vitest, wrangler: own.wrangler })
    const path = /^file:(\.\.\/.*)$/.exec(devDependencies.sallyport)?.[1] ?? ""
    expect(JSON.parse(readFileSync(join(dir, path, "package.json"), "utf8")).name).toBe("sallyport")
  })

  it("prints JSON where that is asked for", async () => {
    const dir = join(bench.folder, "hello")
    const { out } = await bench.run(["init", "hello", "--dir", dir, "--json"], { env: {} })
    expect(JSON.parse(out)).toEqual({ name: "hello", folder: dir, files: FILES.toSorted() })
  })

  for (const name of [
    "Hello",
    "hello_world",
    "1st",
    "-a",
    "a-",
    "a--b",
    "a--v1",
    "sallyport",
    "sallyport-x",
    "a".repeat(49),
    "../x",
    "a/b",
    "a b",
    "",
  ])
    it(`refuses the name ${JSON.stringify(name)} and writes nothing`, async () => {
      const { code, err } = await bench.run(["init", "--dir", join(bench.folder, "x"), "--", name], { env: {} })
      expect(code).toBe(1)
      expect(err).toContain("cannot be a script's name")
      expect(readdirSync(bench.folder)).toEqual([])
    })

  it("takes the longest name", async () => {
    const { code } = await bench.run(["init", "a".repeat(48), "--dir", join(bench.folder, "x")], { env: {} })
    expect(code).toBe(0)
  })

  it("overwrites nothing, and fills an empty folder", async () => {
    const dir = join(bench.folder, "hello")
    mkdirSync(dir)
    expect((await bench.run(["init", "hello", "--dir", dir], { env: {} })).code).toBe(0)
    writeFileSync(join(dir, "index.ts"), "mine")
    const { code, err } = await bench.run(["init", "hello", "--dir", dir], { env: {} })
    expect(code).toBe(1)
    expect(err).toContain("is not empty")
    expect(readFileSync(join(dir, "index.ts"), "utf8")).toBe("mine")
  })

  it("does not write beside files that are none of its own, nor over a file in the folder's place", async () => {
    const dir = join(bench.folder, "hello")
    mkdirSync(dir)
    writeFileSync(join(dir, "notes.txt"), "mine")
    expect((await bench.run(["init", "hello", "--dir", dir], { env: {} })).err).toContain("is not empty")
    expect(readdirSync(dir)).toEqual(["notes.txt"])
    const file = join(dir, "notes.txt")
    expect((await bench.run(["init", "hello", "--dir", file], { env: {} })).code).toBe(1)
    const below = await bench.run(["init", "hello", "--dir", join(file, "hello")], { env: {} })
    expect(below.err).toContain("Cannot write to")
    expect(readFileSync(file, "utf8")).toBe("mine")
  })
})
