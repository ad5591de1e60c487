/** Every TypeScript file is read by the compiler: a folder that neither configuration names would be run without its types ever having been looked at. */
import { execFileSync } from "node:child_process"
import path from "node:path"
import { expect, it } from "vitest"
import { ROOT, trackedFiles } from "./boundaries/tracked-files.ts"

const CONFIGURATIONS = ["tsconfig.json", "tsconfig.node.json"]

function checkedBy(configuration: string): string[] {
  const tsc = path.join(ROOT, "node_modules", "typescript", "bin", "tsc")
  const list = execFileSync(process.execPath, [tsc, "-p", configuration, "--listFilesOnly"], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
  })
  return list.split("\n").map((file) => path.relative(ROOT, file))
}

it("no TypeScript file escapes the type checks", () => {
  const checked = new Set(CONFIGURATIONS.flatMap(checkedBy))
  expect(trackedFiles("*.ts").filter((file) => !checked.has(file))).toEqual([])
})
