/**
 * Turns the Workers of the platform into bundles that Miniflare runs, with wrangler itself: what runs here is what would be deployed.
 * Called by emulator/platform.ts. A bundle is kept as `.sallyport/build/<name>.json` and made again when one of its inputs changed. It is one file,
 * put in its place by a rename: several starters may build and read at once, and each has the old bundle whole or the new one.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
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

/** A bundle as it is kept. It is still good while the files that were read for it are unchanged. */
interface Bundle {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  /** Relative to the repository, sorted. */
  readonly inputs: readonly string[]
  readonly digest: string
  /** The main module first, as Miniflare wants it; `contents` of "CompiledWasm" and "Data" in Base64. */
  readonly modules: readonly { readonly type: ModuleType; readonly path: string; readonly contents: string }[]
}

/**
 * The bundle of one wrangler.toml, given relative to the repository. Rejects with wrangler's own message when the code does not build.
 * `onBuild` is called when a bundle has to be made; `buildDir` is where bundles are kept.
 */
export async function buildWorker(
  configFile: string,
  onBuild: () => void = () => {},
  buildDir: string = BUILD_DIR,
): Promise<BuiltWorker> {
  const file = path.join(buildDir, `${configFile.replaceAll(/[\\/]/g, "-").replace(/\.toml$/, "")}.json`)
  let bundle = await readBundle(file)
  if (bundle === null || bundle.digest !== (await digestOf(bundle.inputs))) {
    onBuild()
    bundle = await makeBundle(configFile, file)
  }
  const modules = bundle.modules.map(({ type, path, contents }) => ({
    type,
    path,
    contents: isText(type) ? contents : new Uint8Array(Buffer.from(contents, "base64")),
  }))
  return { name: bundle.name, options: bundle.options, modules }
}

async function makeBundle(configFile: string, file: string): Promise<Bundle> {
  await mkdir(path.dirname(file), { recursive: true })
  const temporary = await mkdtemp(`${file}-`)
  try {
    const bundle = await bundleInto(temporary, configFile)
    const whole = path.join(temporary, "bundle.json")
    await writeFile(whole, JSON.stringify(bundle))
    await rename(whole, file)
    return bundle
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function bundleInto(folder: string, configFile: string): Promise<Bundle> {
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
  return {
    name: String(read.name),
    options: options as Readonly<Record<string, unknown>>,
    inputs: ownInputs,
    // What was saved while wrangler read it may not be what is in the bundle: then it is made again next time.
    digest: (await changedSince(startedAt, ownInputs)) ? "" : await digestOf(ownInputs),
    modules: await readModules(folder, `${path.parse(main ?? "index.js").name}.js`),
  }
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

async function readBundle(file: string): Promise<Bundle | null> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Bundle
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

async function readModules(folder: string, main: string): Promise<Bundle["modules"]> {
  const entries = await readdir(folder, { recursive: true })
  const names = entries.filter((name) => MODULE_TYPES[path.extname(name)] !== undefined && name !== main)
  return Promise.all(
    [main, ...names.sort()].map(async (name) => {
      const type = MODULE_TYPES[path.extname(name)] ?? "ESModule"
      return { type, path: name, contents: await readFile(path.join(folder, name), isText(type) ? "utf8" : "base64") }
    }),
  )
}

function isText(type: ModuleType): boolean {
  return type === "ESModule" || type === "Text"
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
