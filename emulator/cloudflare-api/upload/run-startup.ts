/**
 * Starts an upload once, without network, as production does before it accepts one: finds syntax errors, missing imports and errors
 * at global scope, and learns which handlers and classes the code exports. A fresh isolate each time; nothing of it is kept.
 * Not checked: Python (its runtime is not here), and the one second of CPU that production allows (nothing here measures CPU).
 */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { fail } from "../envelope.ts"
import type { NamedHandlers } from "../store/scripts.ts"
import type { SentMetadata, UploadedModule } from "./read-upload.ts"

export interface Startup {
  readonly handlers: readonly string[]
  readonly namedHandlers: readonly NamedHandlers[]
  /** Exported classes; null when the code was not run. */
  readonly classes: readonly string[] | null
}

const NOT_RUN: Startup = { handlers: ["fetch"], namedHandlers: [], classes: null }
const NO_CODE: Startup = { handlers: [], namedHandlers: [], classes: [] }
/** Long before the oldest date that the loader refuses, and what production assumes when none is sent. */
const DEFAULT_DATE = "2021-11-02"
const REPORTER = "sallyport-startup-report.js"
const LISTENERS = "sallyport-startup-listeners.js"

/** @throws ApiFailure validation with the runtime's message, noHandlers when nothing could ever call the code. */
export async function runStartup(
  loader: WorkerLoader,
  metadata: SentMetadata,
  modules: readonly UploadedModule[],
  bindings: readonly StoredBinding[],
): Promise<Startup> {
  const main = metadata.main_module ?? metadata.body_part
  if (main === undefined) return NO_CODE
  const runnable = modules.filter(({ type }) => type !== "application/source-map")
  if (runnable.some(({ type }) => type.startsWith("text/x-python"))) return NOT_RUN
  const code: WorkerLoaderWorkerCode = {
    compatibilityDate: String(metadata.compatibility_date ?? DEFAULT_DATE),
    compatibilityFlags: [...((metadata.compatibility_flags as string[] | undefined) ?? [])],
    mainModule: REPORTER,
    modules: {
      ...Object.fromEntries(runnable.map((module) => [module.name, loaderModule(module)])),
      [LISTENERS]: { js: listenersSource() },
      [REPORTER]: { js: reporterSource(main) },
    },
    env: startupEnv(bindings),
    globalOutbound: null,
  }
  const found = await report(loader, code)
  if (found.handlers.length === 0 && found.namedHandlers.length === 0) throw fail("noHandlers")
  return found
}

async function report(loader: WorkerLoader, code: WorkerLoaderWorkerCode): Promise<Startup> {
  try {
    const response = await loader
      .get(null, () => code)
      .getEntrypoint()
      .fetch("http://startup.invalid/")
    return (await response.json()) as Startup
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    // This machine's runtime is older than the date: production's is not. The date was checked against the calendar before.
    const newest = /newest date supported by this server binary is "(\d{4}-\d{2}-\d{2})"/.exec(message)?.[1]
    if (newest !== undefined && newest < code.compatibilityDate)
      return await report(loader, { ...code, compatibilityDate: newest })
    throw fail("validation", { message: startupMessage(message) })
  }
}

function startupMessage(message: string): string {
  return message.replace(/^Failed to start Worker:\n/, "").trim()
}

function loaderModule({ type, body }: UploadedModule): WorkerLoaderModule {
  const text = () => new TextDecoder().decode(body)
  switch (type) {
    case "application/javascript+module":
    case "text/javascript+module":
      return { js: text() }
    // A script in service-worker syntax calls addEventListener at its top, which a module may do as well.
    case "application/javascript":
    case "text/javascript":
      return /\b(?:module\.exports|exports\.|require\()/.test(text()) ? { cjs: text() } : { js: text() }
    case "text/plain":
      return { text: text() }
    case "application/json":
      return { json: JSON.parse(text()) as unknown }
    case "application/wasm":
      return { wasm: body.slice().buffer }
    default:
      return { data: body.slice().buffer }
  }
}

/** Values that code may read at global scope; a resource is an empty object, since using one there is not allowed anyway. */
function startupEnv(bindings: readonly StoredBinding[]): Record<string, unknown> {
  return Object.fromEntries(
    bindings.map((binding) => {
      if (binding.type === "plain_text" || binding.type === "secret_text") return [binding.name, binding.text]
      return [binding.name, binding.type === "json" ? binding.json : {}]
    }),
  )
}

/** Imported before the code, so that it sees which events a service-worker script listens to. */
function listenersSource(): string {
  return `export const events = new Set()
const add = globalThis.addEventListener
globalThis.addEventListener = (type, ...rest) => { events.add(type); return add(type, ...rest) }`
}

function reporterSource(main: string): string {
  const specifier = JSON.stringify(main.startsWith("./") ? main : `./${main}`)
  return `import { events } from "./${LISTENERS}"
import * as code from ${specifier}
const KNOWN = ["fetch", "scheduled", "queue", "email", "tail", "tailStream", "trace", "connect"]
const handlersOf = (value) => {
  const target = typeof value === "function" ? value.prototype : value
  if (target === null || target === undefined || typeof target !== "object") return []
  return KNOWN.filter((name) => typeof target[name] === "function")
}
const isClass = (value) => typeof value === "function" && value.prototype !== undefined
const named = Object.entries(code).filter(([name, value]) => name !== "default" && value !== null && value !== undefined && (isClass(value) || handlersOf(value).length > 0))
const answer = {
  handlers: [...new Set([...handlersOf(code.default), ...events])],
  namedHandlers: named.map(([name, value]) => ({ name, handlers: isClass(value) && handlersOf(value).length === 0 ? ["class"] : handlersOf(value) })),
  classes: named.filter(([, value]) => isClass(value)).map(([name]) => name),
}
export default { fetch() { return Response.json(answer) } }`
}
