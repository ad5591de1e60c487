/** The `ASSETS` binding of a user Worker: its own assets, never its code. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { ScriptProps } from "../doors.ts"
import { type LocalEnv, namespaceOf } from "../local-isolate.ts"

export class AssetsDoor extends WorkerEntrypoint<LocalEnv, ScriptProps> {
  override async fetch(request: Request): Promise<Response> {
    const { namespace, script } = this.ctx.props
    const assets = await namespaceOf(this.env, namespace).assetsOf(script)
    return assets === null ? new Response("Not Found", { status: 404 }) : assets.fetch(request)
  }
}
