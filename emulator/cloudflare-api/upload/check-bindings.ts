/**
 * Whether what a script's bindings name exists in the emulated account, with the codes and words of the live API.
 * Runs after inheritance is resolved. Kinds of resources that the account cannot have here are never found.
 */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import { fail } from "../envelope.ts"
import type { ErrorName } from "../error-codes.ts"

/** What the check asks of the account. */
export interface AccountFacts {
  hasResource(kind: "kv" | "r2" | "d1" | "queue", idOrName: string): boolean
  hasNamespace(name: string): boolean
  /** In the namespace of the upload. */
  hasSibling(script: string): boolean
  isPlatformWorker(name: string): boolean
  /** Durable Object classes configured on another script of a namespace; null when there is no such script. */
  durableClassesOf(namespace: string, script: string): readonly string[] | null
}

export interface OwnClasses {
  /** Name of the script being uploaded, for messages. */
  readonly script: string
  /** Null when the code was not run, so that nothing is known. */
  readonly exported: readonly string[] | null
  /** Made Durable Objects by migrations or declared exports. */
  readonly durable: readonly string[]
}

/** @throws ApiFailure with the code of the first binding whose target is missing. */
export function checkBindings(bindings: readonly StoredBinding[], account: AccountFacts, own: OwnClasses): void {
  for (const binding of bindings) checkBinding(binding, account, own)
}

function checkBinding(binding: StoredBinding, account: AccountFacts, own: OwnClasses): void {
  const text = (field: string): string => String(binding[field] ?? "")
  const missing = (kind: ErrorName, message: string) => fail(kind, { message })
  switch (binding.type) {
    case "kv_namespace":
      if (account.hasResource("kv", text("namespace_id"))) return
      throw missing(
        "kvNamespaceNotBound",
        `KV namespace '${text("namespace_id")}' not found. Verify the namespace exists in your account and that the namespace_id is correct.`,
      )
    case "r2_bucket":
      if (account.hasResource("r2", text("bucket_name"))) return
      throw missing(
        "bucketNotBound",
        `R2 bucket '${text("bucket_name")}' not found. Verify the bucket exists in your account and that the bucket_name is correct.`,
      )
    case "d1": {
      const id = text("database_id") || text("id")
      if (id === "")
        throw missing("validation", `binding ${binding.name} of type d1 must have a valid \`id\` specified`)
      if (account.hasResource("d1", id)) return
      throw missing("databaseNotBound", `D1 binding '${binding.name}' references database '${id}' which was not found.`)
    }
    case "queue":
      if (account.hasResource("queue", text("queue_name"))) return
      throw missing("queueNotBound", `Queue '${text("queue_name")}' not found. Please verify it exists and try again.`)
    case "service":
      checkService(binding, account)
      return
    case "dispatch_namespace":
      if (account.hasNamespace(text("namespace"))) return
      throw missing("namespaceNotBound", "The specified dispatch namespace does not exist on this account.")
    case "durable_object_namespace":
      checkDurableObject(binding, account, own)
      return
    case "hyperdrive":
      throw missing(
        "hyperdriveNotBound",
        `Hyperdrive binding '${binding.name}' references config '${text("id")}' which was not found.`,
      )
    case "vectorize":
      throw missing(
        "vectorizeNotBound",
        `Vectorize binding '${binding.name}' references index '${text("index_name")}' which was not found.`,
      )
    case "mtls_certificate":
      throw missing("certificateNotBound", `mTLS certificate '${text("certificate_id")}' not found.`)
    case "secrets_store_secret":
      throw missing(
        "secretStoreNotBound",
        `Secrets Store binding '${binding.name}' references store '${text("store_id")}' and secret '${text("secret_name")}' which were not found.`,
      )
  }
}

/** Service bindings resolve among account Workers only: a sibling in the namespace is as good as missing. */
function checkService(binding: StoredBinding, account: AccountFacts): void {
  const service = String(binding.service ?? "")
  if (account.isPlatformWorker(service)) return
  if (account.hasSibling(service))
    throw fail("siblingNotBound", {
      message: `Service binding '${binding.name}' references Worker '${service}' which was not found.`,
    })
  const environment = String(binding.environment ?? "production")
  throw fail("serviceNotBound", {
    message: `Service binding '${binding.name}' references environment '${environment}' on Worker '${service}' which was not found.`,
  })
}

function checkDurableObject(binding: StoredBinding, account: AccountFacts, own: OwnClasses): void {
  const className = String(binding.class_name ?? "")
  const script = binding.script_name
  if (typeof script === "string" && script !== own.script) {
    const namespace = binding.dispatch_namespace
    const classes = typeof namespace === "string" ? account.durableClassesOf(namespace, script) : null
    if (classes?.includes(className)) return
    throw fail("classMissing", {
      message: `Cannot create binding for class '${className}' that is not exported by script '${script}'.`,
    })
  }
  if (own.exported !== null && !own.exported.includes(className))
    throw fail("classMissing", {
      message: `Cannot create binding for class '${className}' that is not exported by script '${own.script}'.`,
    })
  if (!own.durable.includes(className))
    throw fail("classMissing", {
      message: `Cannot create binding for class '${className}' because it is not currently configured to implement Durable Objects. Ensure a --new-class migration has been applied to it.`,
    })
}
