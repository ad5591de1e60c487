/**
 * Single-page applications under `/webclients/*`, from static assets. An address of an app answers the app's page, a file answers the file or nothing:
 * a script must not turn out to be HTML. What each app may do in a browser is said in apps.ts.
 */
import type { PlatformApi } from "../../contracts/platform.ts"
import { csp } from "../../kit/csp.ts"
import { cspReports } from "../../kit/csp-reports.ts"
import { refuse } from "../../kit/problem.ts"
import { requirePassport } from "../../kit/require-passport.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { APPS, type App, appOf, REPORT_PATH, ROOT } from "./apps.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  readonly ASSETS: Fetcher
}

const policies = new Map(APPS.map((each) => [each, csp(each.csp)]))

const app = worker<Env>({ log: writeLog })

app.use(tracing({ service: "pages" }))
app.use(`${ROOT}/*`, async (c, next) => {
  const policy = policies.get(ownerOf(c.req.path))
  return policy === undefined ? next() : policy(c, next)
})
app.post(REPORT_PATH, cspReports({ log: writeLog }))
app.all(REPORT_PATH, () => {
  throw refuse("edge.method-not-allowed", { headers: { allow: "POST" } })
})
/** What the passport says of this request, so that a browser can see it; never the passport itself. */
app.get(`${ROOT}/request.json`, requirePassport({ script: "pages" }), (c) => {
  const { route, kind, hops, facts } = c.var.passport
  return c.json({ route, kind, hops, ...facts }, 200, { "cache-control": "no-store" })
})
app.get(`${ROOT}/*`, (c) => serve(c.req.raw, c.req.path, c.env.ASSETS))
app.all(`${ROOT}/*`, () => {
  throw refuse("edge.method-not-allowed", { headers: { allow: "GET, HEAD" } })
})

export default app

/** Whatever has an extension in its last segment, or lies among an app's hashed files, is a file; all else is an address of the app. */
async function serve(request: Request, path: string, assets: Fetcher): Promise<Response> {
  const { base } = ownerOf(path)
  const isFile = /\.[^/]*$/.test(path) || path.startsWith(`${base}/assets/`)
  const response = await assets.fetch(
    isFile ? request : new Request(new URL(`${base}/index.html`, request.url), request),
  )
  if (response.status === 404) throw refuse("route.not-found", { detail: "There is no such file." })
  return response
}

function ownerOf(path: string): App {
  const owner = appOf(path)
  if (owner === null) throw refuse("route.not-found")
  return owner
}
