/** A script as the API shows it. Secrets show their name and type, never their value. */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import type { ScriptDocument } from "../store/scripts.ts"

const SECRET_FIELDS = new Set(["text", "key_base64", "key_jwk"])

export function describeScript(script: ScriptDocument): Record<string, unknown> {
  const { metadata } = script
  return {
    id: script.name,
    tag: script.tag,
    etag: script.etag,
    tags: metadata.tags ?? [],
    handlers: script.handlers,
    named_handlers: script.namedHandlers,
    has_assets: script.assets !== null,
    has_modules: metadata.main_module !== undefined,
    compatibility_date: metadata.compatibility_date ?? "",
    compatibility_flags: metadata.compatibility_flags ?? [],
    ...optional(metadata, ["observability", "placement", "cache_options"]),
    ...(script.migrationTag === null ? {} : { migration_tag: script.migrationTag }),
    logpush: metadata.logpush === true,
    tail_consumers: metadata.tail_consumers ?? null,
    usage_model: "standard",
    last_deployed_from: "api",
    created_on: script.createdOn,
    modified_on: script.modifiedOn,
  }
}

export function describeSettings(script: ScriptDocument): Record<string, unknown> {
  const { metadata } = script
  return {
    bindings: describeBindings(metadata.bindings),
    compatibility_date: metadata.compatibility_date ?? "",
    compatibility_flags: metadata.compatibility_flags ?? [],
    tags: metadata.tags ?? [],
    tail_consumers: metadata.tail_consumers ?? null,
    logpush: metadata.logpush === true,
    usage_model: "standard",
    ...optional(metadata, ["limits", "observability", "placement", "cache_options"]),
  }
}

export function describeBindings(bindings: readonly StoredBinding[]): Record<string, unknown>[] {
  return bindings.map((binding) => (isSecret(binding) ? withoutValue(binding) : { ...binding }))
}

export function isSecret({ type }: StoredBinding): boolean {
  return type === "secret_text" || type === "secret_key"
}

function withoutValue(binding: StoredBinding): Record<string, unknown> {
  return Object.fromEntries(Object.entries(binding).filter(([field]) => !SECRET_FIELDS.has(field)))
}

function optional(metadata: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => metadata[key] != null).map((key) => [key, metadata[key]]))
}
