/**
 * The whole platform in this process and one workerd: dispatcher, control plane, local Cloudflare API, example cells and token issuer.
 * Used by `npm start` (emulator/start.ts), by `sallyport/testing` and by the benchmarks. It knows nothing of teams or routes: emulator/seed.ts adds those.
 */
import { createWriteStream } from "node:fs"
import path from "node:path"
import { Log, LogLevel, Miniflare } from "miniflare"
import type { RevocationsApi } from "../contracts/revocation.ts"
import type { EgressRecord, TripRecord } from "../contracts/trip.ts"
import { ROOT } from "./build.ts"
import { startCell } from "./cells/cell.ts"
import { type Issuer, startIssuer, type TokenRequest } from "./cells/issuer.ts"
import type { ConfigGate } from "./config-gate.ts"
import { applyMigrations, type MigratableDatabase } from "./migrations.ts"
import { choosePorts, freePorts, type Ports } from "./ports.ts"
import { loadSecrets } from "./secrets.ts"
import { lockState } from "./state-lock.ts"
import {
  ACCOUNT_ID,
  type BuiltWorkers,
  buildWorkers,
  CONFIG_STORE,
  miniflareOptions,
  NAMESPACE,
  passportIssuerOf,
  REVOCATIONS_DOOR,
  type WorkerSettings,
} from "./workers.ts"

export const ZONES = ["us01", "us02", "uk01"] as const
export type Zone = (typeof ZONES)[number]
/** By this hostname the cells ask the edge for its key set. */
const KEY_SET_HOSTNAME = "api.procore.com"
const MINUTE_MS = 60_000

export interface PlatformOptions extends Pick<WorkerSettings, "vars" | "without" | "revocationsStandIn"> {
  /** Isolates of the dispatcher, each with an address of its own; default 1. The first alone is told at once of what changes. */
  readonly edges?: number
  /** Between the dispatcher and its config KV, for tests that make it fail. */
  readonly configGate?: ConfigGate
  /** Where databases, artifacts, secrets and logs are kept; default `.sallyport/state` of the repository. */
  readonly stateDir?: string
  /** 0 takes any free port. */
  readonly ports?: Partial<Ports>
  readonly onProgress?: (line: string) => void
  /** Base URL of an OpenTelemetry collector, to which the dispatcher and the cells send their spans; without it, nothing. */
  readonly otlpEndpoint?: string
}

export interface TripQuery {
  readonly requestId?: string
  /** At most this many, newest first; the platform keeps 1 000. */
  readonly limit?: number
}

/** The KV namespace that holds the published dispatch configs, for tests that tamper with it. */
export interface ConfigStore {
  get(key: string): Promise<string | null>
  put(key: string, value: string): Promise<void>
}

/** URLs are `http://127.0.0.1:<port>` without a path. */
export interface Platform {
  readonly edgeUrl: string
  /** Of each isolate of the dispatcher; the first is `edgeUrl`. */
  readonly edgeUrls: readonly string[]
  readonly controlPlaneUrl: string
  readonly cloudflareApiUrl: string
  readonly cells: Readonly<Record<Zone, string>>
  readonly issuerUrl: string
  readonly issuerJwks: Issuer["jwks"]
  readonly accountId: string
  /** A token of the role `ops` for the control plane. */
  readonly opsToken: string
  /** `iss` of the passports. */
  readonly passportIssuer: string
  readonly stateDir: string
  /** File to which the Workers' console output goes. */
  readonly logFile: string
  readonly configStore: ConfigStore
  /** Past the control plane, for tests and benchmarks of what comes after it. */
  readonly revocations: RevocationsApi
  /** Runs one statement in the control plane's database, past it: for tests of what takes days. */
  changeRegistry(sql: string): Promise<void>
  issueToken(request: TokenRequest): string
  trips(query?: TripQuery): Promise<TripRecord[]>
  egress(query?: TripQuery): Promise<EgressRecord[]>
  /** Runs the control plane's schedule once, beside what its minute clock does; resolves when that has ended, which may take most of a minute. */
  runSchedule(): Promise<void>
  /** Starts workerd again on the same state and ports, with or without some of the Workers. */
  restart(changes: Pick<PlatformOptions, "without" | "vars" | "revocationsStandIn">): Promise<void>
  /** Stops everything and waits for it; safe to call twice. */
  dispose(): Promise<void>
}

/**
 * Starts the platform; resolves when every port answers. Several may run on one machine, each with a `stateDir` of its own and ports 0.
 * Rejects, with nothing left running, with PortTakenError, StateInUseError, or WranglerError when a Worker does not build.
 */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const progress = options.onProgress ?? (() => {})
  const stateDir = path.resolve(options.stateDir ?? path.join(ROOT, ".sallyport", "state"))
  const ports = await choosePorts(options.ports ?? {})
  const cleanups: (() => unknown)[] = [await lockState(stateDir)]
  const dispose = once(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })
  try {
    const secrets = await loadSecrets(stateDir)
    const workers = await buildWorkers((file) => progress(`bundling ${path.dirname(file)} with wrangler`))
    const issuer = await startIssuer({ privateJwk: secrets.issuerKey, port: ports.issuer })
    cleanups.push(issuer.stop)
    const edgeUrl = urlOf(ports.edge)
    const passportIssuer = passportIssuerOf(workers, options.vars)
    const { otlpEndpoint } = options
    for (const zone of ZONES) {
      const cell = { zone, port: ports[zone], issuer: passportIssuer, edgeUrl, hostname: KEY_SET_HOSTNAME }
      cleanups.push((await startCell(otlpEndpoint === undefined ? cell : { ...cell, otlpEndpoint })).stop)
    }
    progress(`example cells ${ZONES.join(", ")} and token issuer listen`)

    const traced = otlpEndpoint === undefined ? {} : { OTLP_ENDPOINT: otlpEndpoint }
    const vars = { ...options.vars, dispatcher: { ...traced, ...options.vars?.dispatcher } }
    const moreEdges = await freePorts((options.edges ?? 1) - 1, Object.values(ports))
    const settings: WorkerSettings = { ...options, vars, ports, moreEdges, secrets, stateDir }
    const logFile = path.join(stateDir, "platform.log")
    const runtime = await startRuntime(workers, settings, logFile)
    cleanups.push(runtime.stop)
    options.configGate?.connect(runtime.configStore)
    progress("workerd runs the dispatcher, the control plane and the local Cloudflare API")
    // Before the schedule first looks at it.
    await ensureNamespace(urlOf(ports.cloudflareApi), secrets.cloudflareApiToken)
    const migrated = await runtime.prepare()
    if (migrated.length > 0) progress(`database prepared: ${migrated.join(", ")}`)

    return {
      edgeUrl,
      edgeUrls: [edgeUrl, ...moreEdges.map(urlOf)],
      controlPlaneUrl: urlOf(ports.controlPlane),
      cloudflareApiUrl: urlOf(ports.cloudflareApi),
      cells: { us01: urlOf(ports.us01), us02: urlOf(ports.us02), uk01: urlOf(ports.uk01) },
      issuerUrl: issuer.url,
      issuerJwks: issuer.jwks,
      accountId: ACCOUNT_ID,
      opsToken: secrets.opsToken,
      passportIssuer,
      stateDir,
      logFile,
      configStore: runtime.configStore,
      revocations: runtime.revocations,
      changeRegistry: runtime.changeRegistry,
      issueToken: issuer.issueToken,
      trips: (query) => readRing<TripRecord>(edgeUrl, "trips", query),
      egress: (query) => readRing<EgressRecord>(edgeUrl, "egress", query),
      runSchedule: runtime.runSchedule,
      restart: (changes) => runtime.restart({ ...settings, ...changes }),
      dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** What an operator does once in a real account: `wrangler dispatch-namespace create production`. */
async function ensureNamespace(cloudflareApiUrl: string, token: string): Promise<void> {
  const namespaces = `${cloudflareApiUrl}/client/v4/accounts/${ACCOUNT_ID}/workers/dispatch/namespaces`
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
  const found = await fetch(`${namespaces}/${NAMESPACE}`, { headers })
  if (found.ok) return
  const made = await fetch(namespaces, { method: "POST", headers, body: JSON.stringify({ name: NAMESPACE }) })
  if (!made.ok) throw new Error(`The dispatch namespace could not be made: ${made.status} ${await made.text()}`)
}

/** Miniflare with its log file, database and minute clock. */
async function startRuntime(workers: BuiltWorkers, settings: WorkerSettings, logFile: string) {
  const log = createWriteStream(logFile, { flags: "a" })
  const optionsFor = (current: WorkerSettings) => ({
    ...miniflareOptions(workers, current),
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: (entry: { timestamp: number; level: string; message: string }) =>
      void log.write(`${new Date(entry.timestamp).toISOString()} ${entry.level} ${entry.message}\n`),
  })
  const miniflare = new Miniflare(optionsFor(settings))
  const clock = cronClock(miniflare, workers)
  const stop = async () => {
    clock.stop()
    await miniflare.dispose()
    await new Promise((resolve) => log.end(resolve))
  }
  try {
    await miniflare.ready
  } catch (error) {
    await stop()
    throw error
  }
  const hasControlPlane = !settings.without?.includes("controlPlane")
  return {
    stop,
    runSchedule: clock.tick,
    prepare: async () => {
      if (!hasControlPlane) return []
      const database = await miniflare.getD1Database("DB", workers.controlPlane.name)
      // Two descriptions of one interface: Miniflare's carries more than is used here.
      const applied = await applyMigrations(
        database as unknown as MigratableDatabase,
        path.join(ROOT, "control-plane", "migrations"),
      )
      clock.start()
      return applied
    },
    restart: async (changed: WorkerSettings) => {
      clock.stop()
      await miniflare.setOptions(optionsFor(changed))
      await miniflare.ready
      if (!changed.without?.includes("controlPlane")) clock.start()
    },
    configStore: configStore(miniflare, workers.dispatcher.name),
    revocations: revocationsOf(miniflare),
    changeRegistry: async (sql: string) => {
      const database = await miniflare.getD1Database("DB", workers.controlPlane.name)
      await database.prepare(sql).run()
    },
  }
}

/** Over the door that emulator/workers.ts puts before the revocations Worker. */
function revocationsOf(miniflare: Miniflare): RevocationsApi {
  const call = async <T>(...line: readonly unknown[]): Promise<T> => {
    const door = await miniflare.getWorker(REVOCATIONS_DOOR)
    const response = await door.fetch("http://revocations", { method: "POST", body: JSON.stringify(line) })
    const { value, error } = (await response.json()) as { value: T; error?: string }
    if (error !== undefined) throw new Error(error)
    return value
  }
  return {
    append: (revocations, actor) => call("append", revocations, actor),
    list: (query) => call("list", query),
    status: () => call("status"),
  }
}

/** By a binding of its own: the dispatcher's CONFIG may lead through a gate. */
function configStore(miniflare: Miniflare, worker: string): ConfigStore {
  return {
    get: async (key) => (await miniflare.getKVNamespace(CONFIG_STORE, worker)).get(key, "text"),
    put: async (key, value) => (await miniflare.getKVNamespace(CONFIG_STORE, worker)).put(key, value),
  }
}

/** Runs the control plane's scheduled handler every minute, as its cron trigger does in production: workerd alone has no clock for it. */
function cronClock(miniflare: Miniflare, workers: BuiltWorkers) {
  const crons = workers.controlPlane.options.cronTriggers
  const cron = Array.isArray(crons) ? String(crons[0]) : null
  let timer: NodeJS.Timeout | undefined
  const tick = async () => {
    if (cron === null) return
    try {
      const worker = await miniflare.getWorker(workers.controlPlane.name)
      await worker.scheduled({ cron, scheduledTime: new Date() })
    } catch {
      // The platform is stopping, or the handler failed and said so in its own log; the next minute tries again.
    }
  }
  return {
    tick,
    start: () => {
      void tick()
      timer = setInterval(() => void tick(), MINUTE_MS)
      timer.unref()
    },
    stop: () => clearInterval(timer),
  }
}

async function readRing<Entry>(edgeUrl: string, ring: "trips" | "egress", query: TripQuery = {}): Promise<Entry[]> {
  const url = new URL(`/.sallyport/local/${ring}`, edgeUrl)
  if (query.requestId !== undefined) url.searchParams.set("requestId", query.requestId)
  if (query.limit !== undefined) url.searchParams.set("limit", String(query.limit))
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url.pathname} answered ${response.status}`)
  const body: unknown = await response.json()
  if (Array.isArray(body)) return body as Entry[]
  return (body as { items: Entry[] }).items
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= work()
    return running
  }
}
