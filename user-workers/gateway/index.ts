/**
 * The gateway: the last Worker before a cell, one script for all zones. The zone comes from its passport: the route named it, or the router did.
 */
import type { Context } from "hono"
import type { PlatformApi } from "../../contracts/platform.ts"
import { REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { AudienceDirectory, type Origins } from "../../kit/audience-origins.ts"
import { circuitBreaker } from "../../kit/circuit-breaker.ts"
import { COMPANY_HEADER, decideCompany } from "../../kit/company-detection.ts"
import { announceDeprecation, parseDeprecations } from "../../kit/deprecation.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { checkCompany } from "../../kit/require-valid-company.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { methodOf, requireCompanyInZone, revisionOf, ZoneDirectory } from "../../kit/zone-resolution.ts"
import { proxyToCell } from "./proxy-to-cell.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  /** Milliseconds until the cell's response headers must be there, over all tries. */
  readonly CELL_TIMEOUT_MS: string
  /** Milliseconds that a response body may stand still on the cell's side; `0`: for ever. */
  readonly CELL_IDLE_TIMEOUT_MS: string
  /** JSON, see kit/deprecation.ts; `[]` for none. */
  readonly DEPRECATIONS: string
}

/** An origin that refuses connections fails all it gets, however well it did before; one that fails now and then does not. */
const health = circuitBreaker({ minimumCalls: 20, failureRate: 0.5, consecutiveFailures: 3, openMs: 5_000 })
const cells = new AudienceDirectory()
const directory = new ZoneDirectory()

const app = worker<Env, PassportVariables>({ log: writeLog })
app.use(tracing({ service: "gateway" }))
app.use(requirePassport({ script: "gateway" }))
app.all("*", carryToCell)
export default app

async function carryToCell(c: Context<{ Bindings: Env; Variables: PassportVariables }>): Promise<Response> {
  const { passport } = c.var
  const { PLATFORM, CELL_TIMEOUT_MS, CELL_IDLE_TIMEOUT_MS, DEPRECATIONS } = c.env
  const { headers, url } = c.req.raw
  const timeouts = { timeoutMs: milliseconds(CELL_TIMEOUT_MS, 1), idleMs: milliseconds(CELL_IDLE_TIMEOUT_MS, 0) }
  const deprecations = parseDeprecations(DEPRECATIONS)
  const { zone, host } = passport
  if (zone === undefined) throw refuse("zone.missing")
  const { pathname, search } = new URL(url)
  // A credential that is bound to a company names it on every request, and no other.
  const company = decideCompany(headers.get(COMPANY_HEADER), pathname, search) ?? passport.company ?? null
  if (company !== null) checkCompany(company, passport, false)
  const revision = revisionOf(headers)
  if (company !== null) {
    const ask = (id: string, atLeast: number) => askPlatform(() => PLATFORM.zoneOf(id, atLeast))
    requireCompanyInZone(await directory.zoneOf(company, revision, ask), zone, methodOf(c.req.raw), passport)
  }
  const audience = `cell:${zone}`
  const origins = await originsOfCell(audience, revision, PLATFORM)
  const subject = passport.kind === "anonymous" ? null : passport.sub
  const stickyKey = company ?? subject ?? headers.get(REQUEST_ID_HEADER) ?? ""
  const send = (outgoing: Request) => fetch(outgoing)
  const way = { ...timeouts, audience, origins, zone, host, stickyKey, health, fetch: send, log: writeLog }
  return announceDeprecation(await proxyToCell(c.req.raw, way), pathname, deprecations)
}

/** A zone that ops have not put in place is no 404 to a client: what it asked for may well be there. */
async function originsOfCell(audience: string, revision: number | null, platform: PlatformApi): Promise<Origins> {
  try {
    return await cells.originsOf(audience, revision, (name) => askPlatform(() => platform.originsOf(name)))
  } catch (cause) {
    if (cause instanceof Refusal && cause.code === "platform.audience-unknown")
      throw refuse("zone.unavailable", { cause, log: { audience } })
    throw cause
  }
}

/** Throws TypeError: a variable that cannot be read stops the Worker rather than being overlooked, and a canary shows it. */
function milliseconds(text: unknown, least: number): number {
  if (typeof text === "string" && /^[0-9]{1,7}$/.test(text) && Number(text) >= least) return Number(text)
  throw new TypeError(`A timeout must be a whole number of milliseconds, at least ${least}`)
}
