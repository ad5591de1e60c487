/**
 * Uploads a script: read the form, check it as production does, start it once, store the bytes, then the row in one step.
 * Nothing is written before every check has passed, and nothing is visible before the row. Runs alone among the namespace's writes.
 */
import type { StoredBinding } from "../../namespace/stored-script.ts"
import type { Operation } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { ok } from "../envelope.ts"
import type { NamespaceRow } from "../store/namespaces.ts"
import { findScript, type ModuleEntry, type ScriptDocument, saveScript } from "../store/scripts.ts"
import { checkBindings } from "../upload/check-bindings.ts"
import { checkMetadata } from "../upload/check-metadata.ts"
import { checkSize } from "../upload/check-size.ts"
import { applyMigrations, type Reconciliation, reconcileExports } from "../upload/durable-classes.ts"
import { readUpload, type SentMetadata, type Upload, type UploadedModule } from "../upload/read-upload.ts"
import { resolveBindings } from "../upload/resolve-bindings.ts"
import { runStartup, type Startup } from "../upload/run-startup.ts"
import { accountFacts } from "./account-facts.ts"
import { resolveAssets } from "./assets.ts"
import { describeScript } from "./describe-script.ts"
import { requireNamespace } from "./namespaces.ts"
import { etagOf } from "./save-changed.ts"

/** Instructions to the API, carried out when an upload is stored: not part of what a script is. */
const INSTRUCTIONS = new Set(["keep_bindings", "keep_assets", "assets", "bindings"])

interface Target {
  readonly namespace: NamespaceRow
  readonly name: string
  readonly upload: Upload
  readonly strict: boolean
}

export const putScript: Operation = async (call, deps) => {
  const namespace = requireNamespace(call, deps)
  const upload = await readUpload(call.request)
  checkMetadata(upload.metadata, deps.clock.now())
  await checkSize(upload.modules)
  const strict = call.query.get("bindings_inherit") === "strict"
  const before = findScript(deps.sql, namespace.id, call.param("script"))
  const target = { namespace, name: call.param("script"), upload, strict }
  const { script, reconciliation } = await prepare(target, before, deps)
  saveScript(deps.sql, namespace.id, script)
  await deps.namespace?.changed(namespace.name, script.name)
  return ok({
    ...describeScript(script),
    entry_point: script.metadata.main_module ?? script.metadata.body_part ?? "",
    startup_time_ms: script.startupTimeMs,
    deployment_id: deps.ids.hex32(),
    ...(reconciliation === null ? {} : { exports_reconciliation: reconciliation }),
  })
}

interface Placed {
  readonly script: ScriptDocument
  readonly reconciliation: Reconciliation | null
}

async function prepare(target: Target, before: ScriptDocument | null, deps: Dependencies): Promise<Placed> {
  const { upload, name, namespace } = target
  const bindings = bindingsAfter(target, before)
  const startup = await runStartup(deps.loader, upload.metadata, upload.modules, bindings)
  const { durable, reconciliation } = checkTargets(target, { bindings, startup, before }, deps)
  const assets = await resolveAssets(upload.metadata, { namespace, script: name, before }, deps)
  const modules = await storeModules(upload.modules, deps)
  const content = { metadata: { ...storedMetadata(upload.metadata), bindings }, modules, assets }
  const now = new Date(deps.clock.now()).toISOString()
  const script = {
    ...content,
    name,
    tag: before?.tag ?? deps.ids.hex32(),
    etag: await etagOf(content),
    handlers: startup.handlers,
    namedHandlers: startup.namedHandlers,
    durableClasses: durable.classes,
    migrationTag: durable.tag,
    startupTimeMs: 1,
    createdOn: before?.createdOn ?? now,
    modifiedOn: now,
  }
  return { script, reconciliation }
}

function bindingsAfter({ upload, strict }: Target, before: ScriptDocument | null): StoredBinding[] {
  const keep = upload.metadata.keep_bindings
  return resolveBindings(before?.metadata.bindings ?? [], {
    bindings: upload.metadata.bindings ?? [],
    keepTypes: Array.isArray(keep) ? keep.map(String) : [],
    strict,
  })
}

function checkTargets(
  { upload, name, namespace }: Target,
  found: {
    readonly bindings: readonly StoredBinding[]
    readonly startup: Startup
    readonly before: ScriptDocument | null
  },
  deps: Dependencies,
) {
  const { bindings, startup, before } = found
  const earlier = { classes: before?.durableClasses ?? [], tag: before?.migrationTag ?? null }
  const migrated = applyMigrations(earlier, upload.metadata.migrations)
  const reconciled = reconcileExports(migrated.classes, upload.metadata.exports, startup.classes)
  const durable = { classes: reconciled?.classes ?? migrated.classes, tag: migrated.tag }
  const own = { script: name, exported: startup.classes, durable: durable.classes }
  checkBindings(bindings, accountFacts(namespace, deps), own)
  return { durable, reconciliation: reconciled?.reconciliation ?? null }
}

async function storeModules(modules: readonly UploadedModule[], { blobs }: Dependencies): Promise<ModuleEntry[]> {
  return await Promise.all(
    modules.map(async ({ name, type, body }) => {
      return { name, type, sha256: await blobs.put(body), sizeBytes: body.byteLength }
    }),
  )
}

function storedMetadata(metadata: SentMetadata): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !INSTRUCTIONS.has(key)))
}
