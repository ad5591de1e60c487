/**
 * `npm start`: the platform with the example company, its Workers uploaded by real wrangler through the control plane.
 * Ends when it is told to stop (Ctrl-C), and takes everything down with it. `npm start -- --help` says what can be chosen.
 */
import path from "node:path"
import { parseArgs } from "node:util"
import { ROOT, WranglerError } from "./build.ts"
import { ApiError } from "./control-plane-client.ts"
import { writeEnvironmentFiles } from "./environment-files.ts"
import { type StartedOrigins, startExampleOrigins } from "./example-origins.ts"
import { type Platform, startPlatform } from "./platform.ts"
import {
  chooseAllPorts,
  ORIGIN_PORT_NAMES,
  ORIGIN_PORTS,
  type OriginPorts,
  PORT_NAMES,
  PORTS,
  type Ports,
  PortTakenError,
  portOption,
} from "./ports.ts"
import { loadSecrets } from "./secrets.ts"
import { seedPolicy, seedRoutes } from "./seed.ts"
import { addresses, commands, table } from "./show-platform.ts"
import { StateInUseError } from "./state-lock.ts"
import { uploadExamples } from "./upload.ts"
import { type VerifiedRow, verifyHostnames } from "./verify-hostnames.ts"

const HELP = `Starts the whole platform on this machine, on loopback ports only.

  npm start                                   everything, with the example teams and Workers
  npm start -- --port-edge 9000               the edge on another port
  npm start -- --state ../other --port-edge 0 --port-control-plane 0 …
                                              a second platform beside the first; 0 takes any free port

Options
  --state <folder>                 databases, artifacts, secrets, logs; default .sallyport/state
  --no-examples                    no example teams, routes and Workers
${Object.entries({ ...PORTS, ...ORIGIN_PORTS })
  .map(
    ([name, { what, default: port }]) =>
      `  ${`${portOption(name as keyof typeof PORTS)} <port>`.padEnd(33)}${what}; default ${port}`,
  )
  .join("\n")}
  --help

Delete the state folder to begin afresh.`

/** Without the examples nothing listens there: any free one will do. */
const NO_ORIGIN_PORTS = Object.fromEntries(ORIGIN_PORT_NAMES.map((name) => [name, 0]))

const startedAt = performance.now()
const say = (line: string) => console.log(`${seconds().padStart(6)} s  ${line}`)
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)

const options = readOptions(process.argv.slice(2))
let platform: Platform | null = null
let origins: StartedOrigins | null = null
let stopping = false
listenForSignals()
// scripts/run.mjs holds the other end: when it is killed outright, this is all that tells us.
process.on("disconnect", () => void stop(0))
process.channel?.unref()

try {
  const { stateDir, examples } = options
  const ports = await chooseAllPorts(examples ? options.ports : { ...options.ports, ...NO_ORIGIN_PORTS })
  if (examples) origins = await startExampleOrigins(ports)
  const traced = origins === null ? {} : { otlpEndpoint: origins.traces.url }
  platform = await startPlatform({ stateDir, ports, onProgress: say, ...traced })
  // Miniflare installs handlers that end the process on the spot; ours lets it finish what it writes.
  listenForSignals()
  // A signal may have come while it started.
  if (stopping) await platform.dispose()
  else await populate(platform, origins)
} catch (error) {
  if (!stopping) {
    console.error(`\n${explain(error)}`)
    await stop(1)
  }
}

async function populate(running: Platform, started: StartedOrigins | null): Promise<void> {
  let rows: VerifiedRow[] = []
  const examples = started === null ? null : await started.join(running, await loadSecrets(running.stateDir))
  if (examples !== null) {
    say("example stores, services, identity provider and mailbox listen")
    const seeded = await seedPolicy(running, examples)
    await writeEnvironmentFiles(running, seeded.tokens)
    const uploaded = await uploadExamples(running, seeded, examples, (script, team) =>
      say(`uploading ${script} as team ${team}: wrangler deploy --dispatch-namespace production`),
    )
    say(uploaded.length > 0 ? `uploaded ${uploaded.join(", ")}` : "example Workers are uploaded and unchanged")
    await seedRoutes(running)
    rows = await verifyHostnames(running)
    say("one request per hostname verified")
  }
  const parts =
    examples === null
      ? [addresses(running, null)]
      : [table(rows), addresses(running, examples), commands(running, examples)]
  console.log(`\n${parts.join("\n\n")}\n\nReady after ${seconds()} s. Ctrl-C stops everything.`)
  if (rows.some((row) => row.fault !== null)) process.exitCode = 1
}

function listenForSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.removeAllListeners(signal)
    process.on(signal, () => void stop(0))
  }
}

/** Once; a second Ctrl-C that comes more than a second later does not wait. */
async function stop(code: number): Promise<void> {
  if (stopping) return
  stopping = true
  setTimeout(() => process.once("SIGINT", () => process.exit(130)), 1_000).unref()
  if (platform !== null) {
    console.log("\nStopping …")
    await platform.dispose()
    console.log("Stopped.")
  }
  await origins?.stop()
  process.exit(code === 0 ? (process.exitCode ?? 0) : code)
}

/** What a person needs to know; a stack only for what nobody foresaw. */
function explain(error: unknown): string {
  if (error instanceof PortTakenError || error instanceof StateInUseError) return error.message
  if (error instanceof WranglerError || error instanceof ApiError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

interface StartOptions {
  readonly stateDir: string
  readonly ports: Partial<Ports & OriginPorts>
  readonly examples: boolean
}

function readOptions(parameters: string[]): StartOptions {
  const names = [...PORT_NAMES, ...ORIGIN_PORT_NAMES]
  const portOptions = names.map((name) => [portOption(name).slice(2), { type: "string" }] as const)
  let values: Readonly<Record<string, string | boolean | undefined>>
  try {
    values = parseArgs({
      args: parameters,
      options: {
        help: { type: "boolean", short: "h" },
        state: { type: "string" },
        "no-examples": { type: "boolean" },
        ...Object.fromEntries(portOptions),
      },
    }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    process.exit(2)
  }
  if (values.help === true) {
    console.log(HELP)
    process.exit(0)
  }
  const chosen: Partial<Ports & OriginPorts> = {}
  for (const name of names) {
    const text = values[portOption(name).slice(2)]
    if (text === undefined) continue
    const port = Number(text)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      console.error(`${portOption(name)} takes a port, 0–65535, not "${text}".`)
      process.exit(2)
    }
    chosen[name] = port
  }
  const stateDir = typeof values.state === "string" ? values.state : path.join(ROOT, ".sallyport", "state")
  return { stateDir, ports: chosen, examples: values["no-examples"] !== true }
}
