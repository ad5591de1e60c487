/** Configuration of a script without its code. PATCH is a form with a JSON part `settings`; keys that it does not name stay. */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import type { Operation } from "../call.ts"
import { ok } from "../envelope.ts"
import { checkBindings } from "../upload/check-bindings.ts"
import { checkMetadata } from "../upload/check-metadata.ts"
import { applyMigrations } from "../upload/durable-classes.ts"
import { parseMultipart } from "../upload/parse-multipart.ts"
import { jsonPart } from "../upload/read-upload.ts"
import { resolveBindings } from "../upload/resolve-bindings.ts"
import { accountFacts } from "./account-facts.ts"
import { describeBindings, describeSettings } from "./describe-script.ts"
import { saveChanged } from "./save-changed.ts"
import { requireScript } from "./scripts.ts"

/** What PATCH may change; other keys are accepted and ignored, as they would change nothing in production either. */
const EDITABLE = [
  "compatibility_date",
  "compatibility_flags",
  "limits",
  "logpush",
  "observability",
  "placement",
  "tags",
  "tail_consumers",
  "usage_model",
  "cache_options",
]

export const read: Operation = (call, deps) => ok(describeSettings(requireScript(call, deps).script))

export const readBindings: Operation = (call, deps) =>
  ok(describeBindings(requireScript(call, deps).script.metadata.bindings))

export const edit: Operation = async (call, deps) => {
  const { namespace, script } = requireScript(call, deps)
  const body = new Uint8Array(await call.request.arrayBuffer())
  const parts = parseMultipart(body, call.request.headers.get("content-type") ?? "")
  const settings = jsonPart(parts, "settings")
  checkMetadata(settings, deps.clock.now())
  const sent = settings.bindings as readonly StoredBinding[] | undefined
  const bindings =
    sent === undefined
      ? script.metadata.bindings
      : resolveBindings(script.metadata.bindings, { bindings: sent, keepTypes: [], strict: true })
  const durable = applyMigrations({ classes: script.durableClasses, tag: script.migrationTag }, settings.migrations)
  const own = { script: script.name, exported: null, durable: durable.classes }
  checkBindings(bindings, accountFacts(namespace, deps), own)
  const edited = Object.fromEntries(EDITABLE.filter((key) => key in settings).map((key) => [key, settings[key]]))
  const changed = {
    ...script,
    metadata: { ...script.metadata, ...edited, bindings },
    durableClasses: durable.classes,
    migrationTag: durable.tag,
  }
  return ok(describeSettings(await saveChanged(namespace, changed, deps)))
}
