/**
 * `npm run bench -- NAME… [--quick] [--save]`: runs the named benchmarks, or all. Each ends with one line `NAME: key=value key=value …`.
 * The result goes to `.sallyport/bench/NAME.json`; with --save, to benchmarks/NAME/results/ as well, to be committed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { arch, cpus, platform, totalmem } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Result, Run } from "./benchmark.ts"
import { plotOf } from "./plot.ts"

const HERE = import.meta.dirname
const ROOT = join(HERE, "..")

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, save: { type: "boolean", default: false } },
})
const known = readdirSync(HERE, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(HERE, entry.name, "index.ts")))
  .map((entry) => entry.name)
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. There are: ${known.join(", ")}.`)
  process.exit(1)
}

for (const name of positionals.length > 0 ? positionals : known) {
  console.log(`# ${name}`)
  const { run } = (await import(`./${name}/index.ts`)) as { run: Run }
  const result = await run({ quick: values.quick, say: (line) => console.log(`  ${line}`) })
  keep(name, result)
  console.log(`${name}: ${lineOf(result)}`)
}

function lineOf({ figures }: Result): string {
  return Object.entries(figures)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ")
}

function versionOf(name: string): string {
  const manifest = readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")
  return (JSON.parse(manifest) as { version: string }).version
}

function keep(name: string, result: Result): void {
  const at = new Date().toISOString()
  const machine = {
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    workerd: versionOf("workerd"),
  }
  const text = `${JSON.stringify({ benchmark: name, at, quick: values.quick, machine, ...result }, null, 2)}\n`
  const folders = [join(ROOT, ".sallyport", "bench")]
  if (values.save) folders.push(join(HERE, name, "results"))
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true })
    const base = join(folder, folder.endsWith("results") ? at.slice(0, 10) : name)
    writeFileSync(`${base}.json`, text)
    const plot = plotOf(name, result)
    if (plot !== null) writeFileSync(`${base}.svg`, plot)
  }
}
