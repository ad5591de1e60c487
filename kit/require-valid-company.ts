/**
 * That a request names a company, and one for which its caller may speak. Stands behind the passport check and company detection, and before whatever
 * looks the company up: who may not use it learns nothing of it, and fills no cache.
 */
import type { MiddlewareHandler } from "hono"
import type { PassportClaims } from "../contracts/passport.ts"
import { refuse } from "./problem.ts"

export interface ValidCompanyOptions<Bindings> {
  /** Requests that belong to no company. A service account must name one there too: it acts for one company at a time. Default none. */
  readonly except?: (request: Request) => boolean
  /** Asks a directory; for Workers that need no zone, whose lookup says the same. Default: every company counts as known. */
  readonly isKnown?: (company: string, bindings: Bindings) => Promise<boolean>
}

interface Variables {
  readonly company: string | null
  readonly passport: PassportClaims
}

const STANDS_BEHIND = "requireValidCompany() stands behind"
const ORDER = "app.use(requirePassport(…), companyDetection(), requireValidCompany())"

/**
 * Refuses `company.required` when there is none, and `company.unknown` for one that is not the passport's own, where that names one, for one that its subject is no member of, where that is
 * known, and for one that the directory does not know:
 * the same answer, so that it cannot be used to find out which companies there are. Sets nothing. Where the passport check or company detection does not stand before it, every request ends
 * with a TypeError: "not looked for" is not "none".
 *
 * ```ts
 * app.use(requirePassport({ script: "example" }), companyDetection(), requireValidCompany())
 * ```
 */
export function requireValidCompany<Bindings extends object = object>(
  options: ValidCompanyOptions<Bindings> = {},
): MiddlewareHandler<{ Bindings: Bindings; Variables: Variables }> {
  const except = options.except ?? (() => false)

  return async function requireValidCompany(c, next) {
    const { company, passport } = c.var
    if (company === undefined)
      throw new TypeError(`${STANDS_BEHIND} companyDetection(), which sets "company": ${ORDER}`)
    if (passport === undefined)
      throw new TypeError(`${STANDS_BEHIND} requirePassport(), which sets "passport": ${ORDER}`)
    checkCompany(company, passport, except(c.req.raw))
    if (company !== null && options.isKnown !== undefined && !(await options.isKnown(company, c.env)))
      throw refuse("company.unknown")
    await next()
  }
}

/** The decision. `isExempt`: the request belongs to no company. Throws `company.required`, `company.unknown`. */
export function checkCompany(
  company: string | null,
  passport: Pick<PassportClaims, "kind" | "company" | "companies">,
  isExempt: boolean,
): void {
  if (company === null) {
    if (isExempt && passport.kind !== "service") return
    throw refuse("company.required")
  }
  const isBoundElsewhere = passport.company !== undefined && passport.company !== company
  const isMember = passport.companies === undefined || passport.companies.includes(company)
  if (isBoundElsewhere || !isMember) throw refuse("company.unknown")
}
