/**
 * What Cloudflare's asset Worker reads, made once per script version: its configuration, and the manifest in its binary form
 * (20 bytes of head, then per file 16 bytes of the path's SHA-256, 16 bytes of the content's hash, 8 spare, ordered by path hash).
 * @see cloudflare/workers-sdk packages/workers-shared/asset-worker/src/assets-manifest.ts
 */
import type { StoredScript } from "../stored-script.ts"
import { parseHeaderRules } from "./parse-header-rules.ts"
import { parseRedirectRules } from "./parse-redirect-rules.ts"

export interface PreparedAssets {
  readonly manifest: ArrayBuffer
  /** Content-Type by asset hash; absent for none. */
  readonly contentTypes: ReadonlyMap<string, string>
  /** `env.CONFIG` of the asset Worker. */
  readonly assetConfig: Readonly<Record<string, unknown>>
  /** `env.CONFIG` of the router Worker. */
  readonly routerConfig: Readonly<Record<string, unknown>>
}

const HEAD_BYTES = 20
const ENTRY_BYTES = 40
const HASH_BYTES = 16

/** `script.assets` must be there. */
export async function prepareAssets(script: StoredScript): Promise<PreparedAssets> {
  const { manifest, config } = script.assets ?? { manifest: {}, config: {} }
  const files = Object.entries(manifest)
  const hasWorker = (script.metadata.main_module ?? script.metadata.body_part) !== undefined
  const router = routerConfigOf(config.run_worker_first, hasWorker)
  return {
    manifest: await encodeManifest(files.map(([path, { hash }]) => [path, hash])),
    contentTypes: new Map(
      files.flatMap(([, { hash, contentType }]) => (contentType === null ? [] : [[hash, contentType] as const])),
    ),
    assetConfig: {
      compatibility_date: script.metadata.compatibility_date ?? "2021-11-02",
      compatibility_flags: script.metadata.compatibility_flags ?? [],
      html_handling: config.html_handling,
      not_found_handling: config.not_found_handling,
      redirects: parseRedirectRules(textOf(config._redirects), textOf(config.html_handling)),
      headers: parseHeaderRules(textOf(config._headers)),
      has_static_routing: router.static_routing !== undefined,
    },
    routerConfig: router,
  }
}

/** `run_worker_first` is a boolean, or patterns of which those beginning with `!` go to the assets. */
function routerConfigOf(runWorkerFirst: unknown, hasWorker: boolean): Record<string, unknown> {
  if (!Array.isArray(runWorkerFirst))
    return { has_user_worker: hasWorker, invoke_user_worker_ahead_of_assets: runWorkerFirst === true && hasWorker }
  const rules = runWorkerFirst.filter((rule) => typeof rule === "string")
  return {
    has_user_worker: hasWorker,
    static_routing: {
      user_worker: rules.filter((rule) => rule.startsWith("/")),
      asset_worker: rules.filter((rule) => rule.startsWith("!/")).map((rule) => rule.slice(1)),
    },
  }
}

async function encodeManifest(files: readonly (readonly [path: string, hash: string])[]): Promise<ArrayBuffer> {
  const entries = await Promise.all(
    files.map(async ([path, hash]) => ({ pathHash: await pathHashOf(path), contentHash: bytesOf(hash) })),
  )
  entries.sort((a, b) => compare(a.pathHash, b.pathHash))
  const bytes = new Uint8Array(HEAD_BYTES + entries.length * ENTRY_BYTES)
  for (const [index, { pathHash, contentHash }] of entries.entries()) {
    bytes.set(pathHash, HEAD_BYTES + index * ENTRY_BYTES)
    bytes.set(contentHash, HEAD_BYTES + index * ENTRY_BYTES + HASH_BYTES)
  }
  return bytes.buffer
}

async function pathHashOf(path: string): Promise<Uint8Array> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path))
  return new Uint8Array(digest, 0, HASH_BYTES)
}

function bytesOf(hex: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/i.test(hex)) throw new Error("An asset hash must be 32 hex digits.")
  return Uint8Array.from({ length: HASH_BYTES }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16))
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (const [index, byte] of a.entries()) {
    const difference = byte - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined
}
