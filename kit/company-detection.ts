/**
 * Which company a request is for. Used by the dispatcher on every request (sticky releases) and by the router (zones),
 * so it allocates nothing on the way to "none", and its answer stays text: ids exceed 53 bits.
 */
import type { MiddlewareHandler } from "hono"
import { refuse } from "./problem.ts"

/** Header that API clients send; names are compared without case. */
export const COMPANY_HEADER = "procore-company-id"

const COMPANY_ID = /^[0-9]{1,20}$/
const PATH_MARK = "/companies/"
const QUERY_NAME = "company_id="
const NONE: readonly string[] = []

/**
 * The company id, 1–20 decimal digits, from the first of these that names one: the header, the path (`…/companies/{id}…`), the query (`company_id`).
 * Null when none does, and also when the header or the query holds something that is not exactly one id: a malformed one never falls
 * through to the next, so that a request cannot mean two companies. A path segment that is not a number (`/companies/search`) names none.
 * `header`: value of {@link COMPANY_HEADER}. `path` without query; `query` with or without its `?`.
 */
export function companyOf(header: string | null, path: string, query: string): string | null {
  if (header !== null) return COMPANY_ID.test(header) ? header : null
  return companyInPath(path) ?? companyInQuery(query)
}

export interface CompanyVariables {
  /** 1–20 decimal digits, never a number; null when the request names no company. */
  readonly company: string | null
}

export interface CompanyDetectionOptions {
  /** Where a company may be named. `header`: there alone, as the public API has it. Default `anywhere`, in the order of {@link companyOf}. */
  readonly from?: "header" | "anywhere"
}

/**
 * Sets `company`. Refuses `company.required` for a header that is there but is no id, and `company.ambiguous` when path or query name another company than the header:
 * whoever decides by the one must not be made to act on the other.
 *
 * ```ts
 * app.use(companyDetection())
 * app.get("/zone", (c) => c.json({ company: c.var.company }))
 * ```
 */
export function companyDetection(
  options: CompanyDetectionOptions = {},
): MiddlewareHandler<{ Variables: CompanyVariables }> {
  const isHeaderOnly = options.from === "header"

  return async function companyDetection(c, next) {
    const header = c.req.header(COMPANY_HEADER) ?? null
    const [path, query] = pathAndQueryOf(c.req.url)
    if (header !== null && !COMPANY_ID.test(header)) throw refuse("company.required")
    if (header !== null && namesAnother(header, path, query)) throw refuse("company.ambiguous")
    c.set("company", isHeaderOnly ? header : companyOf(header, path, query))
    await next()
  }
}

/** True when path or query name a company, and not `company`. What is no id names none. */
export function namesAnother(company: string, path: string, query: string): boolean {
  const inPath = companyInPath(path)
  if (inPath !== null && inPath !== company) return true
  return valuesInQuery(query).some((value) => COMPANY_ID.test(value) && value !== company)
}

/** Without a URL object, which costs ten times as much. */
function pathAndQueryOf(url: string): [path: string, query: string] {
  const fragment = url.indexOf("#")
  const end = fragment === -1 ? url.length : fragment
  const start = url.indexOf("/", url.indexOf("//") + 2)
  const query = url.indexOf("?", start)
  return query === -1 || query > end ? [url.slice(start, end), ""] : [url.slice(start, query), url.slice(query, end)]
}

function companyInPath(path: string): string | null {
  const at = path.indexOf(PATH_MARK)
  if (at === -1) return null
  const start = at + PATH_MARK.length
  const slash = path.indexOf("/", start)
  const segment = slash === -1 ? path.slice(start) : path.slice(start, slash)
  return COMPANY_ID.test(segment) ? segment : null
}

function companyInQuery(query: string): string | null {
  let found: string | null = null
  for (const value of valuesInQuery(query)) {
    if (!COMPANY_ID.test(value) || (found !== null && found !== value)) return null
    found = value
  }
  return found
}

/** Every value that the query gives to the name, as it is written. */
function valuesInQuery(query: string): readonly string[] {
  let at = query.indexOf(QUERY_NAME)
  if (at === -1) return NONE
  const values: string[] = []
  for (; at !== -1; at = query.indexOf(QUERY_NAME, at + 1)) {
    const before = query[at - 1]
    if (before !== undefined && before !== "?" && before !== "&") continue
    const start = at + QUERY_NAME.length
    const end = query.indexOf("&", start)
    values.push(end === -1 ? query.slice(start) : query.slice(start, end))
  }
  return values
}
