/** The same Worker behind everything that the kit puts before a handler, in the order in which a team's Worker has it; the handler asks one flag. */
import type { PlatformApi } from "../../contracts/platform.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { type CompanyVariables, companyDetection } from "../../kit/company-detection.ts"
import { cors } from "../../kit/cors.ts"
import { type FlagsVariables, flags, platformFlags } from "../../kit/flags.ts"
import { type RequestIdVariables, requestId } from "../../kit/request-id.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { requireValidCompany } from "../../kit/require-valid-company.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { type ZoneVariables, zoneResolution } from "../../kit/zone-resolution.ts"
import { ANSWER, FLAG, ORIGIN, PATH, SCRIPT } from "./answer.ts"

interface Env {
  readonly PLATFORM: PlatformApi
}
type Variables = RequestIdVariables & PassportVariables & CompanyVariables & ZoneVariables & FlagsVariables

const app = worker<Env, Variables>()
app.use(tracing({ service: SCRIPT }))
app.use(requestId())
app.use(cors({ origins: [ORIGIN], credentials: true }))
app.use(requirePassport({ script: SCRIPT }))
app.use(companyDetection())
app.use(requireValidCompany())
app.use(
  zoneResolution<Env>({ ask: (company, atLeast, env) => askPlatform(() => env.PLATFORM.zoneOf(company, atLeast)) }),
)
app.use(flags((env: Env) => platformFlags(env.PLATFORM)))
app.get(PATH, async (c) => {
  if (!(await c.var.flags.boolean(FLAG, false)) || c.var.zone === null) return c.notFound()
  return c.body(ANSWER, 200, { "content-type": "application/json" })
})

export default app
