/**
 * The bindings of an uploaded script as a dynamic Worker's `env`: plain values as they are, everything else as a door
 * that clients/install.ts replaces, inside the user Worker and before its code runs, by a client with production's interface.
 */
import { isRecord } from "../../contracts/is-record.ts"
import type { ClientPlan } from "./clients/plan.ts"
import type { NamespaceOptions } from "./create-namespace.ts"
import type { OutboundParameters } from "./parameter-keys.ts"
import type { ScriptRecord } from "./script-memory.ts"
import type { StoredBinding } from "./stored-script.ts"

export interface BoundEnv {
  readonly env: Record<string, unknown>
  readonly plan: ClientPlan
}

/** Name under which the cache door travels; install.ts takes it out of `env` again. */
const CACHES = "sallyport-local:caches"

type Binder = (binding: StoredBinding, into: BoundInto) => void
interface BoundInto {
  readonly record: ScriptRecord
  readonly parameters: OutboundParameters
  readonly options: NamespaceOptions
  readonly env: Record<string, unknown>
  readonly clients: Record<string, ClientPlan["clients"][string]>
}

/** Throws for a service binding whose target is no platform Worker: production refuses the upload with code 10144. */
export function bindEnv(record: ScriptRecord, parameters: OutboundParameters, options: NamespaceOptions): BoundEnv {
  const scope = { namespace: options.namespace, script: record.name }
  const env: Record<string, unknown> = { [CACHES]: options.exports.CacheDoor({ props: scope }) }
  const clients: Record<string, ClientPlan["clients"][string]> = {}
  const into = { record, parameters, options, env, clients }
  for (const binding of record.script.metadata.bindings ?? []) {
    const bind = Object.hasOwn(BINDERS, binding.type) ? BINDERS[binding.type] : undefined
    if (bind === undefined) clients[binding.name] = { kind: "unavailable", type: binding.type }
    else bind(binding, into)
  }
  const isServiceWorker = record.script.metadata.main_module === undefined
  return { env, plan: { clients, caches: CACHES, globals: isServiceWorker } }
}

const BINDERS: Readonly<Record<string, Binder>> = {
  plain_text: ({ name, text }, { env }) => {
    env[name] = text
  },
  secret_text: ({ name, text }, { env }) => {
    env[name] = text
  },
  json: ({ name, json }, { env }) => {
    env[name] = json
  },
  version_metadata: ({ name }, { env, record }) => {
    env[name] = { id: record.script.etag, tag: "", timestamp: "" }
  },
  service: (binding, { env, options }) => {
    const target = [binding.service, binding.entrypoint].filter(Boolean).join("#")
    const open = Object.hasOwn(options.services, target) ? options.services[target] : undefined
    if (open === undefined)
      throw new Error(`Service binding '${binding.name}' references Worker '${target}' which was not found.`)
    env[binding.name] = open(isRecord(binding.props) ? binding.props : {})
  },
  assets: ({ name }, { env, options, record }) => {
    env[name] = options.exports.AssetsDoor({ props: { namespace: options.namespace, script: record.name } })
  },
  kv_namespace: resource("kv", "namespace_id"),
  r2_bucket: resource("r2", "bucket_name"),
  d1: resource("d1", "id", "database_id"),
  queue: resource("queue", "queue_name"),
  durable_object_namespace: (binding, { env, clients, options, record, parameters }) => {
    const script = text(binding, "script_name") ?? record.name
    const className = text(binding, "class_name") ?? ""
    const props = { namespace: options.namespace, script, className, parameters }
    env[binding.name] = options.exports.ObjectDoor({ props })
    clients[binding.name] = { kind: "objects", scope: `${options.namespace}/${script}/${className}` }
  },
  ratelimit: (binding, { env, clients, options }) => {
    const simple = isRecord(binding.simple) ? binding.simple : {}
    const props = {
      id: String(binding.namespace_id),
      limit: Number(simple.limit),
      periodS: Number(simple.period),
    }
    env[binding.name] = options.exports.BrakeDoor({ props })
    clients[binding.name] = { kind: "ratelimit" }
  },
  analytics_engine: ({ name }, { clients }) => {
    clients[name] = { kind: "analytics" }
  },
}

function resource(kind: "kv" | "r2" | "d1" | "queue", ...idFields: string[]): Binder {
  return (binding, { env, clients, options }) => {
    const id = idFields.map((field) => text(binding, field)).find((value) => value !== undefined) ?? ""
    env[binding.name] = options.exports.ResourceDoor({ props: { kind, id } })
    clients[binding.name] = { kind }
  }
}

function text(binding: StoredBinding, field: string): string | undefined {
  const value = binding[field]
  return typeof value === "string" ? value : undefined
}
