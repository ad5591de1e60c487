/** The one way in which a stored script changes: a new etag over everything that decides its behaviour, the row, then word to the namespace. */
import type { Dependencies } from "../dependencies.ts"
import { canonicalJson, sha256Hex } from "../sha256.ts"
import type { NamespaceRow } from "../store/namespaces.ts"
import { type ScriptDocument, saveScript } from "../store/scripts.ts"

/** Metadata that says where an upload came from, not what it does. */
const WITHOUT_EFFECT = new Set(["annotations", "package_dependencies"])

/** Hash over code, configuration and assets; 64 hex. Equal content gives equal etags, whoever uploads it. */
export async function etagOf(script: Pick<ScriptDocument, "metadata" | "modules" | "assets">): Promise<string> {
  const metadata = Object.entries(script.metadata).filter(([key]) => !WITHOUT_EFFECT.has(key))
  const { modules, assets } = script
  return await sha256Hex(canonicalJson({ metadata: Object.fromEntries(metadata), modules, assets }))
}

/** Saves a change of configuration and waits until the namespace knows of it. The script as saved. */
export async function saveChanged(
  namespace: NamespaceRow,
  script: ScriptDocument,
  deps: Dependencies,
): Promise<ScriptDocument> {
  const etag = await etagOf(script)
  const saved = { ...script, etag, modifiedOn: new Date(deps.clock.now()).toISOString() }
  saveScript(deps.sql, namespace.id, saved)
  await deps.namespace?.changed(namespace.name, script.name)
  return saved
}
