/**
 * The two Workers that serve static assets at Cloudflare, as Miniflare ships them (packages/workers-shared of cloudflare/workers-sdk, MIT).
 * Declared as far as serve-assets.ts uses them.
 */
declare module "miniflare/dist/src/workers/assets/assets.worker.js" {
  export class AssetWorkerInner {
    constructor(context: unknown, env: unknown)
    fetch(request: Request): Promise<Response>
    unstable_canFetch(request: Request): Promise<boolean>
  }
}
declare module "miniflare/dist/src/workers/assets/router.worker.js" {
  export class RouterInnerEntrypoint {
    constructor(context: unknown, env: unknown)
    fetch(request: Request): Promise<Response>
  }
}
