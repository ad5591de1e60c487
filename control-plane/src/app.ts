/**
 * The control plane as one Hono app: what surrounds every request stands here, and which paths there are.
 * What decides stands elsewhere: api/serve.ts for `/v1`, cloudflare-api/ for wrangler's door.
 */
import { type Context, Hono } from "hono"
import { REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { asRefusal, problemResponse, refuse } from "../../kit/problem.ts"
import { describe } from "./api/openapi.ts"
import type { AnyOperation } from "./api/operation.ts"
import { operations } from "./api/operations.ts"
import { serve } from "./api/serve.ts"
import { cloudflareApiWith } from "./cloudflare-api/app.ts"
import { type Dependencies, dependenciesOf } from "./dependencies.ts"
import type { Env } from "./env.ts"
import { answerAlive, answerReady, answerVersion, describeProblem } from "./health.ts"
import { answerMetrics } from "./metrics.ts"
import { answerReference } from "./reference.ts"

/** `requestId` is for messages and logs; nothing is decided by it. */
export interface AppEnv {
  Bindings: Env
  Variables: { requestId: string }
}

const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
} as const

/** `make` gives the dependencies of a request's environment; tests bring their own. */
export function controlPlane(make: (env: Env) => Dependencies = dependenciesOf): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  const depsOf = (c: Context<AppEnv>) => make(c.env)

  app.use(async (c, next) => {
    c.set("requestId", crypto.randomUUID())
    await next()
    c.res.headers.set(REQUEST_ID_HEADER, c.get("requestId"))
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) c.res.headers.set(name, value)
  })
  app.onError((thrown, c) => renderProblem(thrown, c, depsOf(c)))
  app.notFound((c) => renderProblem(refuse("api.not-found"), c, depsOf(c)))

  app.get("/", (c) => c.redirect("/docs"))
  app.get("/health/alive", () => answerAlive())
  app.get("/health/ready", (c) => answerReady(depsOf(c)))
  app.get("/metrics", (c) => answerMetrics(c.req.raw, depsOf(c)))
  app.get("/version", (c) => answerVersion(depsOf(c)))
  app.get("/.sallyport/problems/:code", (c) => describeProblem(c.req.param("code")))
  app.get("/openapi.json", () => answerDescription())
  app.get("/docs", (c) => answerReference(c.req.raw, depsOf(c).assets))
  app.get("/docs/*", (c) => answerReference(c.req.raw, depsOf(c).assets))

  for (const operation of operations)
    app.on(operation.method, honoPath(operation), (c) => serve(operation, c.req.raw, c.req.param(), depsOf(c)))
  for (const [path, allow] of allowedMethods())
    app.all(path, () => {
      throw refuse("api.method-not-allowed", { headers: { allow } })
    })

  app.route("/client/v4", cloudflareApiWith(make))
  return app
}

let description: string | undefined

/** Made when first asked for: it takes longer than any request should wait at start-up. */
function answerDescription(): Response {
  description ??= JSON.stringify(describe(operations))
  return new Response(description, {
    headers: { "content-type": "application/json", "cache-control": "public, max-age=60" },
  })
}

function renderProblem(thrown: unknown, c: Context<AppEnv>, deps: Dependencies): Response {
  const refusal = asRefusal(thrown)
  const requestId = c.get("requestId")
  if (refusal.status >= 500)
    deps.log({
      event: "request.failed",
      requestId,
      method: c.req.method,
      path: c.req.path,
      code: refusal.code,
      cause: refusal.cause instanceof Error ? (refusal.cause.stack ?? String(refusal.cause)) : String(refusal.cause),
      ...refusal.options.log,
    })
  return problemResponse(refusal, { requestId, instance: c.req.path })
}

/** `/v1/teams/{team}` in Hono's spelling. */
function honoPath({ path }: AnyOperation): string {
  return path.replaceAll(/\{([a-z]+)\}/g, ":$1")
}

function allowedMethods(): Map<string, string> {
  const allowed = new Map<string, string>()
  for (const operation of operations) {
    const path = honoPath(operation)
    const methods = operation.method === "GET" ? "GET, HEAD" : operation.method
    allowed.set(path, allowed.has(path) ? `${allowed.get(path)}, ${methods}` : methods)
  }
  return allowed
}
