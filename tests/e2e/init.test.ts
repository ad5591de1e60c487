/** What `sallyport init` writes runs at once: its own test in the checkout, and from a package elsewhere that names the checkout. */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startTestPlatform } from "../../emulator/testing.ts"
import { ROOT } from "../boundaries/tracked-files.ts"

let inside: string
let outside: string

beforeAll(async () => {
  mkdirSync(path.join(ROOT, ".sallyport"), { recursive: true })
  inside = path.join(mkdtempSync(path.join(ROOT, ".sallyport", "init-")), "hello")
  outside = path.join(mkdtempSync(path.join(tmpdir(), "sallyport-init-")), "hello")
  for (const dir of [inside, outside]) await node(["cli/sallyport.mjs", "init", "hello", "--dir", dir], ROOT)
})
afterAll(() => {
  for (const dir of [inside, outside]) if (dir !== undefined) rmSync(path.dirname(dir), { recursive: true })
})

describe("a new Worker", () => {
  it("passes its own test, which uploads it with wrangler and calls it through the dispatcher", async () => {
    const vitest = path.join(ROOT, "node_modules", "vitest", "vitest.mjs")
    const report = path.join(path.dirname(inside), "report.json")
    await node([vitest, "run", "--reporter=json", `--outputFile=${report}`], inside)
    const result = JSON.parse(readFileSync(report, "utf8")) as { numPassedTests: number; numTotalTests: number }
    expect(result).toMatchObject({ numPassedTests: 3, numTotalTests: 3 })
  })

  it("has nothing that formatter, linter and types object to", async () => {
    const biome = path.join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome")
    for (const file of ["index.ts", "index.test.ts", "vitest.config.ts"]) {
      const text = readFileSync(path.join(inside, file), "utf8")
      // Under the name of a user Worker's file, whose rules are the ones that apply.
      const formatted = await node(
        [biome, "check", "--write", `--stdin-file-path=user-workers/hello/${file}`],
        ROOT,
        text,
      )
      expect(formatted).toBe(text)
    }
    const types = path.join(inside, "types.json")
    writeFileSync(
      types,
      JSON.stringify({ extends: "../../../tsconfig.json", include: ["index.ts", "../../../kit/*.d.ts"], exclude: [] }),
    )
    expect(await node([path.join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", types], ROOT)).toBe("")
  })

  it("is bundled by wrangler from outside the checkout, with the kit from its package", async () => {
    // As npm does for `file:`; the rest of what it would install is the checkout's own.
    mkdirSync(path.join(outside, "node_modules"))
    symlinkSync(ROOT, path.join(outside, "node_modules", "sallyport"))
    const platform = await startTestPlatform()
    try {
      const route = { hostname: "app.example.com", path: "/hello/*", auth: "required" } as const
      await platform.uploadWorker({ directory: outside, route })
      const response = await platform.fetch("https://app.example.com/hello/hello", {}, { subject: "bob" })
      expect(await response.json()).toMatchObject({ hello: "bob", company: null })
    } finally {
      await platform.dispose()
    }
  })
})

/** What the program wrote to standard output; rejects with all it wrote when it fails. */
function node(line: readonly string[], cwd: string, input = ""): Promise<string> {
  const child = spawn(process.execPath, line, { cwd, stdio: "pipe" })
  const written = { out: "", err: "" }
  child.stdout.on("data", (chunk) => {
    written.out += chunk
  })
  child.stderr.on("data", (chunk) => {
    written.err += chunk
  })
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (code) =>
      code === 0 ? resolve(written.out) : reject(new Error(`${line.join(" ")}: ${written.out}\n${written.err}`)),
    )
  })
}
