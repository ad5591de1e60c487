/** `npm start` as a person uses it: its own process, what it prints, a second start on the same state, taken ports, Ctrl-C. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { choosePorts, ORIGIN_PORT_NAMES, PORT_NAMES, PortTakenError, portOption } from "../../emulator/ports.ts"
import { anyPorts, eventually, ROOT } from "../harness.ts"

let state: string
beforeAll(async () => {
  state = await mkdtemp(path.join(tmpdir(), "sallyport-start-"))
})
const children: ChildProcess[] = []
afterAll(async () => {
  // Only after a failed test is there one left.
  for (const child of children) if (child.exitCode === null) child.kill("SIGTERM")
  for (const folder of [state, `${state}-npm`]) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

interface Started {
  readonly child: ChildProcess
  output(): string
  /** Exit code. */
  readonly ended: Promise<number | null>
}

function start(...options: string[]): Started {
  const child = spawn(process.execPath, [path.join(ROOT, "scripts", "run.mjs"), "start", ...options], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  })
  children.push(child)
  let text = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()))
  return { child, output: () => text, ended: new Promise((resolve) => child.once("exit", resolve)) }
}

async function startOn(folder: string, ports: readonly string[]): Promise<Started> {
  const started = start("--state", folder, ...ports)
  await eventually(120_000, async () => {
    if (started.child.exitCode !== null) throw new Error(started.output())
    return started.output().includes("Ready after") ? true : null
  })
  return started
}
/** Of the platform any; of the edge and the origins the same at each start, because the example Workers are told where they are. */
const platformPorts = PORT_NAMES.flatMap((name) => [portOption(name), "0"])
const chosen = await anyPorts()
const originPorts = ORIGIN_PORT_NAMES.flatMap((name) => [portOption(name), String(chosen[name])])
const otherOriginPorts = ORIGIN_PORT_NAMES.flatMap((name) => [portOption(name), "0"])
const somePorts = [...platformPorts, portOption("edge"), String(chosen.edge), ...originPorts]

async function stop(started: Started) {
  started.child.kill("SIGINT")
  expect(await started.ended, started.output()).toBe(0)
  expect(started.output()).toContain("Stopped.")
}
const addressOf = (output: string, what: string) =>
  new RegExp(`^${what}\\s+(http://127\\.0\\.0\\.1:\\d+)`, "m").exec(output)?.[1] ?? ""

describe("npm start", () => {
  // Ctrl-C reaches every process of a terminal; these reach npm alone, as from a supervisor or a script.
  it.each(["SIGINT", "SIGHUP", "SIGKILL"] as const)(
    "leaves nothing listening when %s ends npm alone",
    async (signal) => {
      const ports = await choosePorts(Object.fromEntries(PORT_NAMES.map((name) => [name, 0])))
      const options = PORT_NAMES.flatMap((name) => [portOption(name), String(ports[name])])
      const npm = spawn("npm", ["start", "--", "--no-examples", "--state", `${state}-npm`, ...options], {
        cwd: ROOT,
        stdio: ["ignore", "pipe", "inherit"],
      })
      children.push(npm)
      let output = ""
      npm.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      await eventually(120_000, async () => (output.includes("Ready after") ? true : null))
      await expect(choosePorts(ports)).rejects.toThrow(PortTakenError)
      expect(npm.kill(signal)).toBe(true)
      await eventually(15_000, () =>
        choosePorts(ports).then(
          () => true,
          () => null,
        ),
      )
    },
  )

  it("comes up with one verified request per hostname, stops on Ctrl-C, and leaves nothing listening", async () => {
    const started = await startOn(state, somePorts)
    const output = started.output()
    for (const row of ["api.procore.com", "app.procore.com", "us02.procore.com", "app.uk01.procore.com"])
      expect(output).toMatch(new RegExp(`^${row.replaceAll(".", "\\.")} .* 200 `, "m"))
    expect(output).toContain("npx wrangler deploy --dispatch-namespace production")
    // Commands are pasted and logs are shown around: tokens stay in files that only their owner reads.
    expect(output).not.toMatch(/spt_|eyJ/)
    for (const file of ["secrets.json", "seed.json", "web.env", "ops.env"])
      expect((await stat(path.join(state, file))).mode & 0o077).toBe(0)
    const edge = addressOf(output, "edge")
    await stop(started)
    await expect(fetch(edge)).rejects.toThrow()
  })

  it("is up again with its data and uploads nothing", async () => {
    const started = await startOn(state, somePorts)
    expect(started.output()).toContain("example Workers are uploaded and unchanged")
    expect(started.output()).toMatch(/^app\.procore\.com +\/webclients\/ +pages +v1 +200/m)
    await stop(started)
  })

  it("names the taken port and the option that moves it, before anything is started", async () => {
    const first = await startOn(state, somePorts)
    const edge = new URL(addressOf(first.output(), "edge")).port
    const second = start("--state", `${state}-other`, ...platformPorts, ...otherOriginPorts, "--port-edge", edge)
    expect(await second.ended).toBe(1)
    expect(second.output()).toContain(`port ${edge} of the edge; move it with --port-edge <port>`)
    expect(second.output()).not.toContain("bundling")
    const third = start("--state", state, ...platformPorts, ...otherOriginPorts)
    expect(await third.ended).toBe(1)
    expect(third.output()).toContain("--state")
    await stop(first)
  })

  it.each([
    [["--help"], 0, "--port-control-plane <port>"],
    [["--port-edge", "many"], 2, "--port-edge takes a port"],
    [["--unknown"], 2, "--unknown"],
  ])("answers %j", async (options, code, text) => {
    const started = start(...options)
    expect(await started.ended).toBe(code)
    expect(started.output()).toContain(text)
  })
})
