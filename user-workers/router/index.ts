/**
 * The router: the API's front door. Finds the company, its zone, and goes to that zone's gateway without a public hop.
 * Answers `GET /company_base_url` itself.
 * @see developers.procore.com, "Working with Multiple Procore Regions": which requests must name their company, and how
 */
import type { Context } from "hono"
import type { PlatformApi } from "../../contracts/platform.ts"
import { RELEASE_HEADER } from "../../contracts/reserved-headers.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { type CompanyVariables, companyDetection } from "../../kit/company-detection.ts"
import { dispatchSibling, type SiblingDoor } from "../../kit/dispatch-sibling.ts"
import { refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { requireValidCompany } from "../../kit/require-valid-company.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { type ZoneVariables, zoneResolution } from "../../kit/zone-resolution.ts"
import { legacyProblem } from "./legacy-problem.ts"

interface Env {
  readonly PLATFORM: PlatformApi & SiblingDoor
  readonly DEFAULT_ZONE: string
}
type Variables = PassportVariables & CompanyVariables & ZoneVariables
type RouterContext = Context<{ Bindings: Env; Variables: Variables }>

/** They list what the caller can see anywhere, so they belong to no company. */
const WITHOUT_COMPANY: ReadonlySet<string> = new Set(["/rest/v1.0/me", "/rest/v1.0/companies"])
const BASE_URL_QUERIES = ["/company_base_url", "/rest/v1.0/company_base_url"] as const

const resolveZone = zoneResolution<Env>({
  ask: (company, atLeast, { PLATFORM }) => askPlatform(() => PLATFORM.zoneOf(company, atLeast)),
})

const app = worker<Env, Variables>({ render: legacyProblem, log: writeLog })
app.use(tracing({ service: "router" }))
app.use(requirePassport({ script: "router" }))
for (const path of BASE_URL_QUERIES) {
  app.get(path, companyDetection(), requireValidCompany(), resolveZone, answerBaseUrl)
  app.all(path, refuseMethod)
}
app.use(companyDetection({ from: "header" }))
app.use(requireValidCompany({ except: needsNoCompany }))
app.use(resolveZone)
app.all("*", goToGateway)
export default app

function needsNoCompany(request: Request): boolean {
  return (request.method === "GET" || request.method === "HEAD") && WITHOUT_COMPANY.has(new URL(request.url).pathname)
}

/** Where the company's zone is to be found: `{ web_base_url, zone }`, as the API publishes it. Kept by nobody: a company may move. */
function answerBaseUrl(c: RouterContext): Response {
  const { zone } = c.var
  if (zone === null) throw refuse("company.required")
  const headers = { "cache-control": "private, no-store" }
  return Response.json({ web_base_url: zone.baseUrl, zone: zone.zone }, { headers })
}

function refuseMethod(): never {
  throw refuse("edge.method-not-allowed", { headers: { allow: "GET, HEAD" } })
}

async function goToGateway(c: RouterContext): Promise<Response> {
  const zone = c.var.zone?.zone ?? c.env.DEFAULT_ZONE
  const response = await dispatchSibling(c.env.PLATFORM, "gateway", c.req.raw, { zone })
  if (await saysZoneUnknown(response)) throw refuse("zone.unavailable", { log: { zone } })
  return response
}

/** The platform knows no such zone (any more). To the client that is no 404: the thing it asked for may well be there. What a release answered is left unread, however it looks. */
async function saysZoneUnknown(response: Response): Promise<boolean> {
  if (response.status !== 404 || response.headers.has(RELEASE_HEADER)) return false
  if (!response.headers.get("content-type")?.startsWith("application/problem")) return false
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => null)
  return (
    typeof problem === "object" && problem !== null && "code" in problem && problem.code === "platform.zone-unknown"
  )
}
