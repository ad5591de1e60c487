/**
 * Turns the Workers of the platform into bundles that Miniflare runs, with wrangler itself: what runs here is what would be deployed.
 * Called by emulator/platform.ts. A bundle is kept in `.sallyport/build/<name>` and made again when one of its inputs changed.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import path from "node:path"

export const ROOT = path.dirname(import.meta.dirname)
const BUILD_DIR = path.join(ROOT, ".sallyport", "build")

/** wrangler without questions, telemetry or a look for updates. */
export const QUIET_WRANGLER = {
  CI: "1",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  NO_COLOR: "1",
} as const

/** One Worker, ready for Miniflare. */
export interface BuiltWorker {
  /** `name` of its wrangler.toml. */
  readonly name: string
  /** Bindings, compatibility and assets of its wrangler.toml, in Miniflare's words. */
  readonly options: Readonly<Record<string, unknown>>
  readonly modules: readonly { type: ModuleType; path: string; contents: string | Uint8Array<ArrayBuffer> }[]
}
type ModuleType = "ESModule" | "CompiledWasm" | "Text" | "Data"

/** What was read for a bundle: it is still good while these are unchanged. */
interface BuildRecord {
  readonly name: string
  readonly main: string
  readonly options: Readonly<Record<string, unknown>>
  /** Relative to the repository, sorted. */
  readonly inputs: readonly string[]
  readonly digest: string
}

/**
 * The bundle of one wrangler.toml, given relative to the repository. Rejects with wrangler's own message when the code does not build.
 * `onBuild` is called when a bundle has to be made.
 */
export async function buildWorker(configFile: string, onBuild: () => void = () => {}): Promise<BuiltWorker> {
  const folder = path.join(BUILD_DIR, configFile.replaceAll(/[\\/]/g, "-").replace(/\.toml$/, ""))
  let record = await readRecord(folder)
  if (record === null || record.digest !== (await digestOf(record.inputs))) {
    onBuild()
    record = await bundle(configFile, folder)
  }
  return { name: record.name, options: record.options, modules: await readModules(folder, record.main) }
}

/** Made beside its place and then moved there: another starter may read the old one at this moment. */
async function bundle(configFile: string, folder: string): Promise<BuildRecord> {
  const temporary = `${folder}.${process.pid}`
  try {
    await mkdir(temporary, { recursive: true })
    const record = await bundleInto(temporary, configFile)
    await rm(folder, { recursive: true, force: true })
    await rename(temporary, folder)
    return record
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function bundleInto(folder: string, configFile: string): Promise<BuildRecord> {
  const config = path.join(ROOT, configFile)
  const metafile = path.join(folder, "bundle-meta.json")
  // In the folder of the file: a build command's paths are relative to where wrangler runs.
  const cwd = path.dirname(config)
  const startedAt = Date.now()
  await runWrangler(["deploy", "--dry-run", "--env=", "-c", config, "--outdir", folder, `--metafile=${metafile}`], {
    cwd,
  })

  // Loaded only here: it takes longer to load than all the rest of a second start.
  const { unstable_getMiniflareWorkerOptions, unstable_readConfig } = await import("wrangler")
  const read = unstable_readConfig({ config })
  const { workerOptions, main } = unstable_getMiniflareWorkerOptions(read)
  // The bundle says itself what its modules are; Miniflare refuses rules beside it.
  const { modulesRules: _rules, ...options } = workerOptions
  const meta = JSON.parse(await readFile(metafile, "utf8")) as { inputs: Record<string, unknown> }
  const inputs = [
    configFile,
    "package-lock.json",
    ...Object.keys(meta.inputs).map((file) => path.relative(ROOT, path.resolve(cwd, file))),
    // Without a build command of its own, everything that counts is in the metafile.
    ...(read.build.command === undefined ? [] : await filesBelow(read.build.watch_dir)),
  ]
  const ownInputs = [...new Set(inputs)].filter((file) => isOwn(file)).sort()
  const record: BuildRecord = {
    name: String(read.name),
    main: `${path.parse(main ?? "index.js").name}.js`,
    options: options as Readonly<Record<string, unknown>>,
    inputs: ownInputs,
    // What was saved while wrangler read it may not be what is in the bundle: then it is made again next time.
    digest: (await changedSince(startedAt, ownInputs)) ? "" : await digestOf(ownInputs),
  }
  await writeFile(path.join(folder, "build.json"), JSON.stringify(record, null, 2))
  return record
}

/** Packages are covered by package-lock.json, and what does not exist as a file was made by the bundler. */
function isOwn(file: string): boolean {
  return !file.includes("node_modules") && !file.startsWith("..") && existsSync(path.join(ROOT, file))
}

async function filesBelow(watched: string | string[] | undefined): Promise<string[]> {
  const folders = watched === undefined ? [] : [watched].flat()
  const lists = await Promise.all(
    folders.map(async (folder) => {
      const entries = await readdir(path.resolve(folder), { recursive: true, withFileTypes: true })
      const files = entries.filter((entry) => entry.isFile())
      return files.map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    }),
  )
  return lists.flat()
}

async function changedSince(timeMs: number, inputs: readonly string[]): Promise<boolean> {
  const own = inputs.filter((file) => !file.includes("/dist/"))
  const stats = await Promise.all(own.map((file) => stat(path.join(ROOT, file))))
  return stats.some((each) => each.mtimeMs >= timeMs)
}

async function digestOf(inputs: readonly string[]): Promise<string> {
  const digest = createHash("sha256")
  for (const file of inputs) {
    const content = await readFile(path.join(ROOT, file)).catch(() => "")
    digest.update(`${file}\n`).update(createHash("sha256").update(content).digest())
  }
  return digest.digest("hex")
}

async function readRecord(folder: string): Promise<BuildRecord | null> {
  try {
    return JSON.parse(await readFile(path.join(folder, "build.json"), "utf8")) as BuildRecord
  } catch {
    return null
  }
}

const MODULE_TYPES: Readonly<Record<string, ModuleType>> = {
  ".js": "ESModule",
  ".mjs": "ESModule",
  ".wasm": "CompiledWasm",
  ".txt": "Text",
  ".html": "Text",
  ".sql": "Text",
  ".bin": "Data",
}

/** The main module comes first, as Miniflare wants it. */
async function readModules(folder: string, main: string): Promise<BuiltWorker["modules"]> {
  const entries = await readdir(folder, { recursive: true })
  const names = entries.filter((name) => MODULE_TYPES[path.extname(name)] !== undefined && name !== main)
  return Promise.all(
    [main, ...names.sort()].map(async (name) => {
      const type = MODULE_TYPES[path.extname(name)] ?? "ESModule"
      const bytes = await readFile(path.join(folder, name))
      const isText = type === "ESModule" || type === "Text"
      return { type, path: name, contents: isText ? bytes.toString("utf8") : new Uint8Array(bytes) }
    }),
  )
}

/** Runs the wrangler of this repository; resolves with what it printed, rejects with the same when it fails. */
export async function runWrangler(
  parameters: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const child = spawn(
    process.execPath,
    [path.join(ROOT, "node_modules", "wrangler", "bin", "wrangler.js"), ...parameters],
    {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...QUIET_WRANGLER, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  )
  const output: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk))
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (exitCode) => resolve(exitCode ?? 1))
  })
  const text = Buffer.concat(output).toString("utf8").trim()
  if (code !== 0) throw new WranglerError(parameters, text)
  return text
}

export class WranglerError extends Error {
  override readonly name = "WranglerError"
  /** All that wrangler printed. */
  readonly output: string

  constructor(parameters: readonly string[], output: string) {
    super(`wrangler ${parameters.slice(0, 2).join(" ")} failed:\n\n${output}\n`)
    this.output = output
  }
}
