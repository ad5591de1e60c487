/** Bundles are made and read by several processes at once: each test file in Node may start a platform. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { buildWorker } from "./build.ts"

const CONFIG = "benchmarks/kit/bare.wrangler.toml"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-build-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const build = (onBuild?: () => void) => buildWorker(CONFIG, onBuild, folder)

it("gives all who build the same Worker at once the same bundle, and leaves one file", async () => {
  const [first, ...others] = await Promise.all([build(), build(), build()])
  expect(first.modules[0]?.contents).toContain("fetch")
  for (const other of others) expect(other).toEqual(first)
  expect(await readdir(folder)).toEqual(["benchmarks-kit-bare.wrangler.json"])
})

it("makes a bundle again when what was read for it changed, or when it cannot be read, and not otherwise", async () => {
  const onBuild = vi.fn()
  const first = await build(onBuild)
  expect(onBuild).toHaveBeenCalledTimes(1)
  expect(await build(onBuild)).toEqual(first)
  expect(onBuild).toHaveBeenCalledTimes(1)

  const file = path.join(folder, "benchmarks-kit-bare.wrangler.json")
  const kept = await readFile(file, "utf8")
  await writeFile(file, kept.replace(/"digest":"[0-9a-f]+"/, '"digest":"of-other-sources"'))
  expect(await build(onBuild)).toEqual(first)
  expect(onBuild).toHaveBeenCalledTimes(2)

  await writeFile(file, kept.slice(0, kept.length / 2))
  expect(await build(onBuild)).toEqual(first)
  expect(onBuild).toHaveBeenCalledTimes(3)
})
