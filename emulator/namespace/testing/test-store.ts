/** A script store that tests fill, and the short way to a stored script. In the tests' isolate, so that tests see what was read. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ScriptStore, StoredAsset, StoredBinding, StoredScript, UploadMetadata } from "../stored-script.ts"

const scripts = new Map<string, StoredScript>()
const assetBodies = new Map<string, ArrayBuffer>()
/** Every read of a script, in order, as `namespace/name`. */
export const reads: string[] = []
let uploads = 0

export class TestStore extends WorkerEntrypoint implements ScriptStore {
  async getScript(namespace: string, name: string): Promise<StoredScript | null> {
    reads.push(`${namespace}/${name}`)
    return scripts.get(`${namespace}/${name}`) ?? null
  }
  async getAsset(_namespace: string, hash: string) {
    const body = assetBodies.get(hash)
    return body === undefined ? null : { body, contentType: null }
  }
}

export interface TestScript {
  /** Source of the main module; null for assets only. */
  readonly code?: string | null
  readonly modules?: readonly { name: string; type: string; body: string | Uint8Array<ArrayBuffer> }[]
  readonly bindings?: readonly StoredBinding[]
  readonly metadata?: Partial<UploadMetadata>
  /** Text by path. */
  readonly assets?: Readonly<Record<string, string>>
  readonly assetConfig?: Readonly<Record<string, unknown>>
}

/** Puts a script into the store as an upload would. Callers say `forget` themselves, as the API says `changed`. */
export async function upload(name: string, script: TestScript, namespace = "production"): Promise<void> {
  const { code = "export default {}", modules = [], bindings = [], metadata = {} } = script
  const main = { name: "index.js", type: "application/javascript+module", body: code ?? "" }
  scripts.set(`${namespace}/${name}`, {
    etag: `etag-${++uploads}`,
    metadata: {
      ...(code === null ? {} : { main_module: "index.js" }),
      compatibility_date: "2026-10-01",
      bindings,
      ...metadata,
    },
    modules: [...(code === null ? [] : [main]), ...modules].map((each) => ({ ...each, body: bytesOf(each.body) })),
    assets:
      script.assets === undefined
        ? null
        : { manifest: await storeAssets(script.assets), config: script.assetConfig ?? {} },
  })
}

export function remove(name: string, namespace = "production"): void {
  scripts.delete(`${namespace}/${name}`)
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
}

async function storeAssets(files: Readonly<Record<string, string>>): Promise<Record<string, StoredAsset>> {
  const manifest: Record<string, StoredAsset> = {}
  for (const [path, text] of Object.entries(files)) {
    const body = bytesOf(text)
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(`${path}\0${text}`)), 0, 16)
    const hash = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    assetBodies.set(hash, body)
    manifest[path] = { hash, size: body.byteLength, contentType: CONTENT_TYPES[path.split(".").at(-1) ?? ""] ?? null }
  }
  return manifest
}

function bytesOf(body: string | Uint8Array<ArrayBuffer>): ArrayBuffer {
  return typeof body === "string" ? new TextEncoder().encode(body).slice().buffer : body.slice().buffer
}
