/**
 * What the loader is given for a stored script: its own modules, and before them a generated entry that makes the local runtime look like production's:
 * `request.cf` gone, named caches, and clients in place of the bindings' doors. The entry costs nothing per request: it only runs once, at start.
 */
import { type BoundEnv, bindEnv } from "./bind-env.ts"
import { CLIENT_MODULES } from "./clients.generated.ts"
import type { NamespaceOptions } from "./create-namespace.ts"
import type { OutboundParameters } from "./parameter-keys.ts"
import type { ScriptRecord } from "./script-memory.ts"
import type { StoredModule, UploadMetadata } from "./stored-script.ts"

/**
 * The newest compatibility date that the installed workerd takes (a week past its own release); a test asks it.
 * Production knows newer ones, so a newer date in an upload is lowered to this.
 */
export const NEWEST_COMPATIBILITY_DATE = "2026-11-09"
/** Production's oldest, for uploads that name none. */
const OLDEST_COMPATIBILITY_DATE = "2021-11-02"
/** Folder of the generated modules, inside the user Worker's own name space. */
const OURS = "sallyport-local"

/** Throws what the runtime would say at the first request: a module that cannot be read, a binding that leads nowhere. */
export function workerCode(
  record: ScriptRecord,
  parameters: OutboundParameters,
  options: NamespaceOptions,
): WorkerLoaderWorkerCode {
  const { metadata, modules } = record.script
  const bound = bindEnv(record, parameters, options)
  return {
    compatibilityDate: clampDate(metadata.compatibility_date),
    compatibilityFlags: flagsFor(metadata),
    mainModule: `${OURS}/entry.js`,
    modules: {
      ...Object.fromEntries(modules.filter(isLoaded).map((each) => [each.name, asLoaderModule(each)])),
      ...Object.fromEntries(Object.entries(CLIENT_MODULES).map(([name, js]) => [`${OURS}/clients/${name}`, { js }])),
      [`${OURS}/start.js`]: { js: startModule(bound) },
      [`${OURS}/entry.js`]: { js: entryModule(metadata) },
      ...serviceWorkerBody(metadata, modules),
    },
    env: bound.env,
    globalOutbound: options.exports.Outbound({ props: { parameters } }),
  }
}

export function clampDate(date: string | undefined): string {
  if (date === undefined) return OLDEST_COMPATIBILITY_DATE
  return date > NEWEST_COMPATIBILITY_DATE ? NEWEST_COMPATIBILITY_DATE : date
}

/** Flags that the generated entry needs, where an old date would leave them off. None changes what user code can do in a way it would notice. */
function flagsFor(metadata: UploadMetadata): string[] {
  const flags = new Set(metadata.compatibility_flags ?? [])
  const date = metadata.compatibility_date ?? OLDEST_COMPATIBILITY_DATE
  if (date < "2022-01-31") flags.add("workers_api_getters_setters_on_prototype")
  if (date < "2024-04-03") flags.add("rpc")
  if (metadata.main_module === undefined && date < "2025-06-01") flags.add("allow_eval_during_startup")
  return [...flags]
}

/** Source maps are stored by production and never loaded. */
function isLoaded(module: StoredModule): boolean {
  return !module.type.startsWith("application/source-map")
}

function asLoaderModule(module: StoredModule): WorkerLoaderModule {
  const text = () => new TextDecoder().decode(module.body)
  switch (module.type.split(";")[0]?.trim()) {
    case "application/javascript+module":
    case "text/javascript+module":
      return { js: text() }
    case "application/javascript":
    case "text/javascript":
      return { cjs: text() }
    case "application/wasm":
      return { wasm: module.body }
    case "application/json":
      return { json: JSON.parse(text()) }
    case "text/plain":
      return { text: text() }
    case "text/x-python":
      return { py: text() }
    default:
      return { data: module.body }
  }
}

/** Runs before the first line of user code, because the entry imports it first. */
function startModule(bound: BoundEnv): string {
  return `import { env } from "cloudflare:workers"
import { install } from "./clients/install.ts"
install(env, ${JSON.stringify(bound.plan)})
`
}

function entryModule(metadata: UploadMetadata): string {
  const start = `import "./start.js"\n`
  if (metadata.main_module === undefined) {
    // A service worker is a classic script, so it is evaluated as one; start-up is the one moment at which the runtime allows it.
    return `${start}import source from "./body.txt"\n;(0, eval)(source)\n`
  }
  const main = JSON.stringify(`../${metadata.main_module.replace(/^\.\//, "")}`)
  return `${start}import * as main from ${main}\nexport * from ${main}\nexport default main.default\n`
}

function serviceWorkerBody(
  metadata: UploadMetadata,
  modules: readonly StoredModule[],
): Record<string, WorkerLoaderModule> {
  if (metadata.main_module !== undefined) return {}
  const body = modules.find((each) => each.name === metadata.body_part)
  if (body === undefined) throw new Error(`No such module "${metadata.body_part}".`)
  return { [`${OURS}/body.txt`]: { text: new TextDecoder().decode(body.body) } }
}
