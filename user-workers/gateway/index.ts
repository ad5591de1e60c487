/**
 * The gateway: the last Worker before a cell, one script for all zones. The zone comes from its passport: the route named it, or the router did.
 */
import type { PlatformApi } from "../../contracts/platform.ts"
import { PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { refuse } from "../../kit/problem.ts"
import { passportRequirement } from "../../kit/require-passport.ts"
import { serve } from "../../kit/serve.ts"
import { writeLog } from "../../kit/write-log.ts"
import { CellPassports } from "./cell-passport.ts"
import { proxyToCell } from "./proxy-to-cell.ts"

interface Env {
  readonly PLATFORM: PlatformApi
  readonly CELL_TIMEOUT_MS: string
}

const requirePassport = passportRequirement({ script: "gateway" })
const cells = new CellPassports()

export default serve<Env>(
  async (request, env) => {
    const { zone, host } = await requirePassport(request, env.PLATFORM)
    if (zone === undefined) throw refuse("zone.missing")
    const cell = await cells.accessTo(zone, request.headers.get(PASSPORT_HEADER) ?? "", env.PLATFORM)
    const timeoutMs = Number(env.CELL_TIMEOUT_MS)
    return proxyToCell(request, cell, { host, fetch: (outgoing) => fetch(outgoing), timeoutMs })
  },
  { log: writeLog },
)
