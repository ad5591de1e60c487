/**
 * The router: the API's front door. Finds the company, its zone, and goes to that zone's gateway without a public hop.
 * Answers `GET /company_base_url` itself.
 */
import type { PlatformApi } from "../../contracts/platform.ts"
import { COMPANY_HEADER, companyOf } from "../../kit/company-detection.ts"
import { dispatchSibling, type SiblingDoor } from "../../kit/dispatch-sibling.ts"
import { refuse } from "../../kit/problem.ts"
import { passportRequirement } from "../../kit/require-passport.ts"
import { serve } from "../../kit/serve.ts"
import { writeLog } from "../../kit/write-log.ts"
import { legacyProblem } from "./legacy-problem.ts"
import { ZoneDirectory } from "./zone-directory.ts"

interface Env {
  readonly PLATFORM: PlatformApi & SiblingDoor
  readonly DEFAULT_ZONE: string
}

/** They list what the caller can see anywhere, so they belong to no company. */
const WITHOUT_COMPANY: ReadonlySet<string> = new Set(["/rest/v1.0/me", "/rest/v1.0/companies"])
const BASE_URL_QUERIES: ReadonlySet<string> = new Set(["/company_base_url", "/rest/v1.0/company_base_url"])

const requirePassport = passportRequirement({ script: "router" })
const directory = new ZoneDirectory()

export default serve<Env>(
  async (request, env) => {
    await requirePassport(request, env.PLATFORM)
    const url = new URL(request.url)
    const company = companyNamed(request, url)
    if (BASE_URL_QUERIES.has(url.pathname)) return answerBaseUrl(request, company, env)
    return dispatchSibling(env.PLATFORM, "gateway", request, { zone: await zoneFor(company, url, env) })
  },
  { render: legacyProblem, log: writeLog },
)

/** Null when the request names none; a header that is there but no company id is refused rather than overlooked. */
function companyNamed(request: Request, url: URL): string | null {
  const header = request.headers.get(COMPANY_HEADER)
  const company = companyOf(header, url.pathname, url.search)
  if (header !== null && company === null) throw refuse("company.required")
  return company
}

async function zoneFor(company: string | null, url: URL, env: Env): Promise<string> {
  if (company !== null) return (await directory.zoneOf(company, env.PLATFORM)).zone
  if (WITHOUT_COMPANY.has(url.pathname)) return env.DEFAULT_ZONE
  throw refuse("company.required")
}

/** Where the company's zone is to be found: `{ web_base_url, zone }`, as the API publishes it. */
async function answerBaseUrl(request: Request, company: string | null, env: Env): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw refuse("edge.method-not-allowed", { headers: { allow: "GET, HEAD" } })
  }
  if (company === null) throw refuse("company.required")
  const { zone, baseUrl } = await directory.zoneOf(company, env.PLATFORM)
  return Response.json({ web_base_url: baseUrl, zone }, { headers: { "cache-control": "private, max-age=60" } })
}
