/**
 * The dispatcher Worker: gateway paths, then the request line. Also the two entrypoints that other Workers bind to.
 */
import { dependenciesOf } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { answerGatewayPath, isGatewayPath } from "./gateway-endpoints.ts"
import { handle } from "./handle.ts"

export { Explain } from "./explain.ts"
export { Platform } from "./platform.ts"

export default {
  async fetch(request, env, context): Promise<Response> {
    const deps = await dependenciesOf(env)
    const waitUntil = (work: Promise<unknown>) => context.waitUntil(work)
    if (isGatewayPath(request.url)) return answerGatewayPath(request, deps, waitUntil)
    return handle(request, { waitUntil }, deps)
  },
} satisfies ExportedHandler<Env>
