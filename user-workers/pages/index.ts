/**
 * The web client: a single-page application under `/webclients/*`, from static assets, with a strict content security policy by header.
 */
import type { PlatformApi } from "../../contracts/platform.ts"
import { refuse } from "../../kit/problem.ts"
import { passportRequirement } from "../../kit/require-passport.ts"
import { serve } from "../../kit/serve.ts"
import { writeLog } from "../../kit/write-log.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  readonly ASSETS: Fetcher
}

/** Nothing inline, nothing from elsewhere, no frame around it. */
const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  [
    "content-security-policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  ],
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "same-origin"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  ["permissions-policy", "camera=(), geolocation=(), microphone=()"],
]

const requirePassport = passportRequirement({ script: "pages" })

export default serve<Env>(
  async (request, env) => {
    const url = new URL(request.url)
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw refuse("edge.method-not-allowed", { headers: { allow: "GET, HEAD" } })
    }
    if (url.pathname === "/webclients/request.json") return describeRequest(request, env)
    return withSecurityHeaders(await asset(request, url, env))
  },
  { log: writeLog },
)

/** What the passport says of this request, so that a browser can see it; never the passport itself. */
async function describeRequest(request: Request, env: Env): Promise<Response> {
  const { route, kind, hops, facts } = await requirePassport(request, env.PLATFORM)
  const response = Response.json({ route, kind, hops, ...facts }, { headers: { "cache-control": "no-store" } })
  return withSecurityHeaders(response)
}

/** The application's page answers for every path that no file has, but not for a missing file: a script must not turn out to be HTML. */
async function asset(request: Request, url: URL, env: Env): Promise<Response> {
  const response = await env.ASSETS.fetch(request)
  const isPage = response.headers.get("content-type")?.startsWith("text/html") === true
  const namesFile = /\.[^/]*$/.test(url.pathname)
  if (isPage && namesFile) throw refuse("route.not-found", { detail: "There is no such file." })
  return response
}

function withSecurityHeaders(response: Response): Response {
  const secured = new Response(response.body, response)
  for (const [name, value] of SECURITY_HEADERS) secured.headers.set(name, value)
  return secured
}
