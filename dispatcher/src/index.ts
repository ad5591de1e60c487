/**
 * The dispatcher Worker: gateway paths, then the request line. Also the entrypoints that other Workers bind to.
 */
import { type Dependencies, dependenciesOf } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { answerGatewayPath, isGatewayPath } from "./gateway-endpoints.ts"
import { handle } from "./handle.ts"

export { Explain } from "./explain.ts"
export { PassportExchange } from "./passport-exchange.ts"
export { Platform } from "./platform.ts"

export default {
  fetch(request, env, context): Response | Promise<Response> {
    const deps = dependenciesOf(env)
    return deps instanceof Promise
      ? deps.then((made) => answer(request, context, made))
      : answer(request, context, deps)
  },
} satisfies ExportedHandler<Env>

function answer(request: Request, context: ExecutionContext, deps: Dependencies): Response | Promise<Response> {
  const waitUntil = (work: Promise<unknown>) => context.waitUntil(work)
  deps.revocations.at(request.cf?.colo)
  if (isGatewayPath(request.url)) return answerGatewayPath(request, deps, waitUntil)
  return handle(request, { waitUntil }, deps)
}
