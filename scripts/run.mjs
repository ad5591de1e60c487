/**
 * What `npm start`, `npm test` and the other scripts of package.json call: `node scripts/run.mjs <command> [options]`.
 * Installs what is missing, once, then runs the command on the Node.js that the package `node` brings.
 * Plain JavaScript for any Node.js from 20 on, without a dependency: it runs before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const MODULES = path.join(ROOT, "node_modules")
const RUNTIME = path.join(MODULES, "node", "bin", process.platform === "win32" ? "node.exe" : "node")
/** Holds the fingerprint of what is installed; lies in node_modules so that it goes with it. */
const STAMP = path.join(MODULES, ".sallyport-installed")
const LOCK = path.join(ROOT, ".sallyport", "installing")

const COMMANDS = {
  start: "emulator/start.ts",
  test: "scripts/test.ts",
  check: "scripts/check.ts",
  bench: "benchmarks/run.ts",
  deploy: "scripts/deploy.ts",
  sallyport: "cli/index.ts",
}

const [command = "", ...options] = process.argv.slice(2)
const script = COMMANDS[command]
if (script === undefined) {
  console.error(`There is no command "${command}". Commands: ${Object.keys(COMMANDS).join(", ")}.`)
  process.exit(2)
}
await install()
run(script, options)

async function install() {
  if (isInstalled()) return
  await whileLocked(() => {
    if (isInstalled()) return
    const fresh = !existsSync(path.join(MODULES, ".package-lock.json"))
    const startedAt = Date.now()
    console.log(`${fresh ? "Installing" : "Updating"} the packages that package-lock.json names (only this once) …`)
    // `ci` empties node_modules first, which would pull it from under a platform that is running already.
    npm(fresh ? ["ci"] : ["install", "--no-save"])
    const broken = brokenBinaries()
    if (broken.length > 0) npm(["rebuild", "node", "esbuild", "workerd", "--foreground-scripts"])
    const stillBroken = brokenBinaries()
    if (stillBroken.length > 0) {
      console.error(
        `These do not run after the installation: ${stillBroken.join(", ")}. npm was probably told not to run install scripts` +
          " (`npm config get ignore-scripts`); `npm ci --ignore-scripts=false` runs them.",
      )
      process.exit(1)
    }
    writeFileSync(STAMP, fingerprint())
    console.log(`Installed in ${((Date.now() - startedAt) / 1000).toFixed(0)} s.\n`)
  })
}

function isInstalled() {
  return existsSync(RUNTIME) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === fingerprint()
}

function fingerprint() {
  return createHash("sha256")
    .update(`${process.platform} ${process.arch}\n`)
    .update(readFileSync(path.join(ROOT, "package-lock.json")))
    .digest("hex")
}

/** Several commands may be started at once on a fresh clone: one installs, the others wait for it. */
async function whileLocked(work) {
  mkdirSync(path.dirname(LOCK), { recursive: true })
  const own = `${LOCK}.${process.pid}`
  writeFileSync(own, `${process.pid} ${startOf(process.pid) ?? ""}`)
  try {
    for (let waitsFor = 0; ; ) {
      // A link appears with its content: nobody reads a lock that is half written.
      if (tryLink(own)) break
      const [pid, start] = readHolder()
      if (!isRunning(pid, start)) rmSync(LOCK, { force: true })
      else {
        if (pid !== waitsFor) console.log(`Waiting for process ${pid}, which installs the packages …`)
        waitsFor = pid
        await wait(500)
      }
    }
  } finally {
    rmSync(own, { force: true })
  }
  const release = () => rmSync(LOCK, { force: true })
  process.once("exit", release)
  try {
    work()
  } finally {
    release()
  }
}

function tryLink(own) {
  try {
    linkSync(own, LOCK)
    return true
  } catch (error) {
    if (error.code === "EEXIST") return false
    throw error
  }
}

function readHolder() {
  try {
    const [pid, start] = readFileSync(LOCK, "utf8").split(/ (.*)/)
    return [Number(pid), start ?? ""]
  } catch {
    return [0, ""]
  }
}

/** A pid alone says little: after a restart of the machine it may be anybody's. emulator/state-lock.ts does the same for a state folder. */
function isRunning(pid, start) {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error.code !== "EPERM") return false
  }
  const actual = startOf(pid)
  return actual === null || actual === start
}

/** When a process began, as text to compare; null when that cannot be known, and "ended" for one that its parent has yet to notice. */
function startOf(pid) {
  if (process.platform !== "linux") {
    const { status, stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" })
    return status === 0 ? stdout.trim() : null
  }
  try {
    // proc(5): after the name, which may hold anything, field 3 is the state and field 22 the start in ticks since boot.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    return fields[0] === "Z" ? "ended" : (fields[19] ?? null)
  } catch {
    return null
  }
}

function npm(parameters) {
  // Warnings are left out: they are about Node.js versions, and these packages will not run on the one that installs them.
  const result = spawnSync("npm", [...parameters, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, PATH: pathWithout(MODULES) },
    shell: process.platform === "win32",
  })
  if (result.status === 0) return
  console.error(`\nThe installation failed (npm ${parameters[0]}); its message is above.`)
  process.exit(result.status ?? 1)
}

/** npm puts node_modules/.bin first on the PATH, and with it the very Node.js that is about to be replaced. */
function pathWithout(folder) {
  const entries = (process.env.PATH ?? "").split(path.delimiter)
  return entries.filter((entry) => !entry.startsWith(folder)).join(path.delimiter)
}

/** The three packages that fetch or check a binary when they are installed. */
function brokenBinaries() {
  const binaries = {
    node: RUNTIME,
    esbuild: path.join(MODULES, "esbuild", "bin", "esbuild"),
    workerd: path.join(MODULES, "workerd", "bin", "workerd"),
  }
  return Object.keys(binaries).filter(
    (name) => spawnSync(binaries[name], ["--version"], { stdio: "ignore" }).status !== 0,
  )
}

function run(file, parameters) {
  const entry = path.join(ROOT, file)
  if (!existsSync(entry)) {
    console.error(`${file} is missing from this checkout.`)
    process.exit(1)
  }
  const binaries = [path.dirname(RUNTIME), path.join(MODULES, ".bin"), process.env.PATH ?? ""]
  // What is compiled once, of wrangler above all, the next process takes from here: a third of wrangler's time (https://nodejs.org/api/module.html#module-compile-cache).
  const compiled = process.env.NODE_COMPILE_CACHE ?? path.join(MODULES, ".compiled")
  // The channel carries no messages: the child sees it close when this process is killed, and stops too.
  const child = spawn(RUNTIME, [entry, ...parameters], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, PATH: binaries.join(path.delimiter), NODE_COMPILE_CACHE: compiled },
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  if (process.env.npm_lifecycle_event !== undefined) stopWithParent(child)
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)))
}

/**
 * The parent is npm itself: the scripts of package.json begin with `exec`, since dash, as npm's shell, would neither pass npm's signals on
 * nor end with npm. When the parent is gone, so is the one who wanted the command.
 */
function stopWithParent(child) {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) child.kill("SIGTERM")
  }, 500).unref()
}
