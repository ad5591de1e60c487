/**
 * The Workers of the platform as Miniflare runs them: each as its own wrangler.toml says, plus what only the starter knows
 * (ports, secrets, addresses). Called by emulator/platform.ts. No binding is repeated here that a wrangler.toml could hold.
 * `node emulator/workers.ts` only bundles them, which `npm test` does before its tests.
 */
import { createHash } from "node:crypto"
import type { MiniflareOptions, V4MiniflareOptions } from "miniflare"
import { convertV4MiniflareOptions } from "miniflare"
import { type BuiltWorker, buildWorker } from "./build.ts"
import type { Ports } from "./ports.ts"
import type { Secrets } from "./secrets.ts"

/** Cloudflare account id of every local platform. */
export const ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
/** The dispatch namespace. */
export const NAMESPACE = "production"
export const CONFIG_FILES = {
  dispatcher: "emulator/namespace/wrangler.toml",
  controlPlane: "control-plane/wrangler.toml",
  revocations: "revocations/wrangler.toml",
  cloudflareApi: "emulator/cloudflare-api/wrangler.toml",
} as const
export type WorkerKey = keyof typeof CONFIG_FILES
export const WORKER_KEYS = Object.keys(CONFIG_FILES) as readonly WorkerKey[]
export type BuiltWorkers = Readonly<Record<WorkerKey, BuiltWorker>>

/** Both sides of the dispatch config meet in one namespace, whatever ids stand in the two files for production. */
const CONFIG_STORE_ID = "sallyport-config"
/** Binding by which Node reaches that namespace; no Worker reads it. */
export const CONFIG_STORE = "SALLYPORT_CONFIG_STORE"

export interface WorkerSettings {
  readonly ports: Ports
  readonly secrets: Secrets
  readonly stateDir: string
  /** More variables, or other values, per Worker. */
  readonly vars?: Partial<Record<WorkerKey, Readonly<Record<string, string>>>>
  /** Workers to leave out. */
  readonly without?: readonly WorkerKey[]
  /** Where the dispatcher reads its config instead of the local KV; see emulator/config-gate.ts. */
  readonly configGate?: { readonly url: URL }
  /** Further isolates of the dispatcher, one per port: what is true at several places at once can be tested on one machine. */
  readonly moreEdges?: readonly number[]
  /** A module in place of the revocations Worker, for tests of what happens while that fails. It exports `Revocations`, `RevocationLog` and `RevocationRelay`. */
  readonly revocationsStandIn?: string
}

/** Bundles all of them at once; `onBuild` hears the file of each that has to be made. */
export async function buildWorkers(onBuild: (configFile: string) => void): Promise<BuiltWorkers> {
  const build = (key: WorkerKey) => buildWorker(CONFIG_FILES[key], () => onBuild(CONFIG_FILES[key]))
  const [dispatcher, controlPlane, revocations, cloudflareApi] = await Promise.all([
    build("dispatcher"),
    build("controlPlane"),
    build("revocations"),
    build("cloudflareApi"),
  ])
  return { dispatcher, controlPlane, revocations, cloudflareApi }
}

/** `iss` of the passports, as the control plane's wrangler.toml names it. */
export function passportIssuerOf(workers: BuiltWorkers, vars: WorkerSettings["vars"]): string {
  const configured = bindingsOf(workers.controlPlane).PASSPORT_ISSUER
  return vars?.controlPlane?.PASSPORT_ISSUER ?? String(configured)
}

/** Everything but the log handlers, which the caller adds. */
export function miniflareOptions(workers: BuiltWorkers, settings: WorkerSettings): MiniflareOptions {
  const { ports, secrets } = settings
  const extra: Record<WorkerKey, Record<string, string>> = {
    dispatcher: {
      ENVIRONMENT: "local",
      PASSPORT_KEYS: JSON.stringify(secrets.passportKeys),
      PIN_KEY: secrets.pinKey,
      SESSION_KEYS: secrets.sessionKeys,
      RING_KEY: secrets.ringKey,
      // Far apart from production's. Changes by the control plane are seen at once (FRONT); this is for what others write.
      CONFIG_REFRESH_MS: "200",
      CONFIG_MAX_STALE_MS: "500",
    },
    controlPlane: {
      ENVIRONMENT: "local",
      PIN_KEY: secrets.pinKey,
      SESSION_KEYS: secrets.sessionKeys,
      RING_KEY: secrets.ringKey,
      ARTIFACT_KEY: secrets.artifactKey,
      CLOUDFLARE_API_TOKEN: secrets.cloudflareApiToken,
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${ports.cloudflareApi}/client/v4`,
      CLOUDFLARE_ACCOUNT_ID: ACCOUNT_ID,
      // As good as none, like the local API's own RATE_LIMIT.
      CLOUDFLARE_CALL_LIMIT: "1000000",
      DISPATCH_NAMESPACE: NAMESPACE,
      DISPATCHER_SERVICE: workers.dispatcher.name,
      BOOTSTRAP_TOKEN_HASH: createHash("sha256").update(secrets.opsToken).digest("hex"),
    },
    revocations: { ENVIRONMENT: "local" },
    cloudflareApi: { ACCOUNT_ID, API_TOKEN: secrets.cloudflareApiToken },
  }
  const notify = { NAMESPACE: { name: workers.dispatcher.name, entrypoint: "NamespaceMemory" } }
  const own: Record<WorkerKey, object> = {
    dispatcher: {
      kvNamespaces: { CONFIG: configStore(settings.configGate?.url), [CONFIG_STORE]: configStore(undefined) },
    },
    controlPlane: { kvNamespaces: { CONFIG: configStore(undefined) } },
    revocations: {},
    cloudflareApi: { serviceBindings: { ...record(workers.cloudflareApi.options.serviceBindings), ...notify } },
  }
  const worker = (key: WorkerKey) => ({
    ...workers[key].options,
    ...own[key],
    name: workers[key].name,
    modules: [...workers[key].modules],
    bindings: { ...bindingsOf(workers[key]), ...extra[key], ...settings.vars?.[key] },
    ...socketOf(key, ports),
    ...(key === "revocations" ? standIn(settings.revocationsStandIn) : {}),
  })
  const front = settings.without?.includes("controlPlane") ? [] : [controlPlaneFront(workers, ports)]
  // The bundles' options come from a file; the conversion checks them with a schema of its own.
  const options = {
    host: "127.0.0.1",
    port: 0,
    // Otherwise Miniflare asks the internet for an example of `request.cf`.
    cf: false,
    resourcePersistencePath: settings.stateDir,
    workers: [
      ...WORKER_KEYS.filter((key) => !settings.without?.includes(key)).map((key) => worker(key)),
      ...(settings.moreEdges ?? []).map((port, index) => ({
        ...worker("dispatcher"),
        name: `${workers.dispatcher.name}-${index + 2}`,
        ...socket(port),
      })),
      ...front,
      revocationsDoor(workers),
    ],
  }
  return convertV4MiniflareOptions(options as V4MiniflareOptions)
}

/** The control plane has its front's; revocations are reached by bindings alone. */
function socketOf(key: WorkerKey, ports: Ports): object {
  if (key === "dispatcher") return socket(ports.edge)
  return key === "cloudflareApi" ? socket(ports.cloudflareApi) : {}
}

function socket(port: number): object {
  return { unsafeDirectSockets: [{ host: "127.0.0.1", port }] }
}

/**
 * Stands before the control plane and tells the edge of every change before the client hears of it, so that the first request after a deploy sees it.
 * In production nobody does: there the edge finds out from KV, in its own time.
 */
const FRONT = `export default {
  async fetch(request, env) {
    const response = await env.CONTROL_PLANE.fetch(request)
    if (request.method !== "GET" && request.method !== "HEAD") await env.EDGE.changed()
    return response
  },
}`

function controlPlaneFront({ controlPlane, dispatcher }: BuiltWorkers, ports: Ports): object {
  return {
    name: "sallyport-control-plane-front",
    modules: [{ type: "ESModule", path: "front.js", contents: FRONT }],
    compatibilityDate: "2026-10-01",
    serviceBindings: {
      CONTROL_PLANE: controlPlane.name,
      EDGE: { name: dispatcher.name, entrypoint: "ConfigMemory" },
    },
    ...socket(ports.controlPlane),
  }
}

function standIn(contents: string | undefined): object {
  return contents === undefined ? {} : { modules: [{ type: "ESModule", path: "stand-in.js", contents }] }
}

/** By which Node reaches the entrypoint of the revocations Worker: `[method, ...arguments]` as JSON. */
const DOOR = `export default {
  async fetch(request, env) {
    const [method, ...given] = await request.json()
    try {
      return Response.json({ value: await env.REVOCATIONS[method](...given) })
    } catch (failure) {
      return Response.json({ error: failure.message })
    }
  },
}`
export const REVOCATIONS_DOOR = "sallyport-revocations-door"

function revocationsDoor({ revocations }: BuiltWorkers): object {
  return {
    name: REVOCATIONS_DOOR,
    modules: [{ type: "ESModule", path: "door.js", contents: DOOR }],
    compatibilityDate: "2026-10-01",
    serviceBindings: { REVOCATIONS: { name: revocations.name, entrypoint: "Revocations" } },
  }
}

function configStore(gate: URL | undefined): object {
  return gate === undefined ? { id: CONFIG_STORE_ID } : { id: CONFIG_STORE_ID, remoteProxyConnectionString: gate }
}

function bindingsOf(worker: BuiltWorker): Record<string, unknown> {
  return record(worker.options.bindings)
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}
}

if (process.argv[1] === import.meta.filename) await buildWorkers(() => {})
