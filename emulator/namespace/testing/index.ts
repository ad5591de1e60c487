// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's entrypoints by the exports of its main file
/** Entry of the tests' Worker: the doors as in dispatcher-local.ts, and doubles for what lies beyond this folder. */
import { WorkerEntrypoint } from "cloudflare:workers"

export { AssetsDoor } from "../doors/assets-door.ts"
export { BrakeDoor } from "../doors/brake-door.ts"
export { CacheDoor } from "../doors/cache-door.ts"
export { ObjectDoor } from "../doors/object-door.ts"
export { ObjectHost } from "../doors/object-host.ts"
export { Outbound } from "../doors/outbound-door.ts"
export { ResourceDoor } from "../doors/resource-door.ts"
export { TestResources } from "./test-resources.ts"
export { TestStore } from "./test-store.ts"

/** Says who asks, and sends requests on as the real one does. */
export class Platform extends WorkerEntrypoint<unknown, { readonly script: string }> {
  whoami(): string {
    return this.ctx.props.script
  }
  override async fetch(request: Request): Promise<Response> {
    return new Response(`${this.ctx.props.script} asks for ${new URL(request.url).pathname}`)
  }
}

/** Makes what can be recognised, and refuses what a test calls `refused`. */
export class PassportExchange extends WorkerEntrypoint {
  exchange(own: string, audience: string, caller: { readonly script: string }) {
    if (audience === "refused") throw new Error("zone.country-refused")
    return { header: "x-passport", token: `${audience} for ${caller.script} and ${own.length}`, expiresS: 1e11 }
  }
}

export default { fetch: () => new Response("only entrypoints here", { status: 404 }) }
