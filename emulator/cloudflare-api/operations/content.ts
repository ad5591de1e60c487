/** The code of a script without its configuration: read it, or replace it. */
import type { Operation } from "../call.ts"
import { fail, ok } from "../envelope.ts"
import { checkBindings } from "../upload/check-bindings.ts"
import { checkSize } from "../upload/check-size.ts"
import { readUpload, type SentMetadata } from "../upload/read-upload.ts"
import { runStartup } from "../upload/run-startup.ts"
import { accountFacts } from "./account-facts.ts"
import { describeScript } from "./describe-script.ts"
import { saveChanged } from "./save-changed.ts"
import { requireScript } from "./scripts.ts"

/** One module as its bytes; several as a form, with the entry point's name in `cf-entrypoint`. */
export const read: Operation = async (call, deps) => {
  const { script } = requireScript(call, deps)
  const entry = script.metadata.main_module ?? script.metadata.body_part ?? ""
  const headers = { etag: script.etag, "cf-entrypoint": entry }
  const [only, ...others] = script.modules
  if (only !== undefined && others.length === 0)
    return new Response(await deps.blobs.get(only.sha256), { headers: { ...headers, "content-type": only.type } })
  const form = new FormData()
  for (const { name, type, sha256 } of script.modules)
    form.append(name, new File([await deps.blobs.get(sha256)], name, { type }))
  return new Response(form, { headers })
}

export const replace: Operation = async (call, deps) => {
  const { namespace, script } = requireScript(call, deps)
  const { metadata: entry, modules } = await readUpload(call.request, namedEntry(call.request))
  await checkSize(modules)
  const { main_module: _main, body_part: _body, ...kept } = script.metadata
  const merged = {
    ...kept,
    ...(entry.main_module === undefined ? {} : { main_module: entry.main_module }),
    ...(entry.body_part === undefined ? {} : { body_part: entry.body_part }),
  }
  const startup = await runStartup(deps.loader, merged, modules, merged.bindings)
  const own = { script: script.name, exported: startup.classes, durable: script.durableClasses }
  checkBindings(merged.bindings, accountFacts(namespace, deps), own)
  const stored = await Promise.all(
    modules.map(async ({ name, type, body }) => {
      return { name, type, sha256: await deps.blobs.put(body), sizeBytes: body.byteLength }
    }),
  )
  const { handlers, namedHandlers } = startup
  const changed = { ...script, metadata: merged, modules: stored, handlers, namedHandlers }
  return ok(describeScript(await saveChanged(namespace, changed, deps)))
}

/** The entry point may be named by a header instead of the metadata. */
function namedEntry(request: Request): SentMetadata | null {
  const main = request.headers.get("cf-worker-main-module-part")
  const body = request.headers.get("cf-worker-body-part")
  if (main !== null && body !== null)
    throw fail("validation", { message: "name a main module or a body part, not both" })
  if (main !== null) return { main_module: main }
  return body === null ? null : { body_part: body }
}
