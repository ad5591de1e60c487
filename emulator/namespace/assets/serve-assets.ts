/**
 * Static assets of a user Worker, by Cloudflare's own code: its router Worker decides between assets and code, its asset Worker answers.
 * Both run as classes inside this isolate, with the script's manifest and a KV-like reader over the store, so that they cost no hop.
 */
import { AssetWorkerInner } from "miniflare/dist/src/workers/assets/assets.worker.js"
import { RouterInnerEntrypoint } from "miniflare/dist/src/workers/assets/router.worker.js"
import type { ScriptStore } from "../stored-script.ts"
import { AssetCache } from "./asset-cache.ts"
import type { PreparedAssets } from "./prepare-assets.ts"

const cache = new AssetCache()

/** `worker` is null for an assets-only script, and for the `ASSETS` binding, which never leads back to the code. */
export function serveWithAssets(
  assets: PreparedAssets,
  worker: Fetcher | null,
  store: ScriptStore,
  namespace: string,
): Fetcher {
  const assetWorker = new AssetWorkerInner(CONTEXT, {
    CONFIG: assets.assetConfig,
    ASSETS_MANIFEST: assets.manifest,
    ASSETS_KV_NAMESPACE: reader(assets, store, namespace),
  })
  if (worker === null)
    return { fetch: (input: RequestInfo, init?: RequestInit) => assetWorker.fetch(new Request(input, init)) } as Fetcher
  const router = new RouterInnerEntrypoint(CONTEXT, {
    CONFIG: assets.routerConfig,
    ASSET_WORKER: assetWorker,
    USER_WORKER: worker,
  })
  // RPC on the default entrypoint goes to the code, whatever its assets.
  return new Proxy(worker, {
    get: (target, property) =>
      property === "fetch"
        ? (input: RequestInfo, init?: RequestInit) => router.fetch(new Request(input, init))
        : Reflect.get(target, property, target),
  })
}

/** Neither class uses more of its context than this. */
const CONTEXT = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} }

/** `KVNamespace.getWithMetadata` over the store, as the asset Worker calls it. */
function reader({ contentTypes }: PreparedAssets, store: ScriptStore, namespace: string) {
  return {
    async getWithMetadata(hash: string) {
      const body = await cache.read(`${namespace}/${hash}`, async () => (await store.getAsset(namespace, hash))?.body)
      const contentType = contentTypes.get(hash)
      return {
        value: body === undefined ? null : new Response(body).body,
        metadata: contentType === undefined ? null : { contentType },
      }
    },
  }
}
