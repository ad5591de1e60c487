/** An account of one script, as Worker code: speaks emulator/namespace/stored-script.ts to the namespaces of both arms. */

/** The user Worker of both arms: what the gateway costs is seen best when the Worker costs nothing. */
const EMPTY_WORKER = `export default { fetch() { return new Response("ok") } }`

export const ACCOUNT_NAME = "sallyport-cloudflare-api"
export const ACCOUNT_MODULE = `
import { WorkerEntrypoint } from "cloudflare:workers"
const body = new TextEncoder().encode(${JSON.stringify(EMPTY_WORKER)}).buffer
const script = {
  etag: "empty",
  metadata: { main_module: "index.js", compatibility_date: "2026-10-01" },
  modules: [{ name: "index.js", type: "application/javascript+module", body }],
  assets: null,
}
export class ScriptStore extends WorkerEntrypoint {
  getScript(namespace, name) { return name === "empty--v1" ? script : null }
  getAsset() { return null }
}
export class Resources extends WorkerEntrypoint {}
export default { fetch: () => new Response(null, { status: 404 }) }
`
