/**
 * Which company a request is for. Used by the dispatcher on every request (sticky releases, {@link companyOf}) and by router and gateway (zones, {@link decideCompany}),
 * so it allocates nothing on the way to "none", and its answer stays text: ids exceed 53 bits.
 */
import type { MiddlewareHandler } from "hono"
import { refuse } from "./problem.ts"

/** Header that API clients send; names are compared without case. */
export const COMPANY_HEADER = "procore-company-id"

const COMPANY_ID = /^[0-9]{1,20}$/
/** As ids are written. With zeros in front it is another text, and to whoever reads a number the same company. */
const PLAIN_COMPANY_ID = /^(?:0|[1-9][0-9]{0,19})$/
const PATH_MARK = "/companies/"
const QUERY_NAME = "company_id="
const NONE: readonly string[] = []

/**
 * The company id, 1–20 decimal digits, from the first of these that names one: the header, the path (`…/companies/{id}…`), the query (`company_id`).
 * Null when none does, and also when the header or the query holds something that is not exactly one id, or the path names two: that never falls
 * through to the next, so that a request cannot mean two companies. A path segment that is not a number (`/companies/search`) names none.
 * `header`: value of {@link COMPANY_HEADER}. `path` without query; `query` with or without its `?`.
 */
export function companyOf(header: string | null, path: string, query: string): string | null {
  if (header !== null) return COMPANY_ID.test(header) ? header : null
  const inPath = segmentsInPath(path).filter((segment) => COMPANY_ID.test(segment))
  const [first] = inPath
  if (first === undefined) return companyInQuery(query)
  return inPath.every((each) => each === first) ? first : null
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
 * Sets `company`. Refuses as {@link decideCompany}.
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
    const company = decideCompany(header, path, query)
    c.set("company", isHeaderOnly ? header : company)
    await next()
  }
}

/**
 * The one company that a request may be acted on for, wherever it is named; null when it names none. For whoever lets a request go by its company, since whoever gets it may read another place:
 * `company.required` for a header that is there but is no id, `company.ambiguous` when header, path and query do not all name the same, or write it with zeros in front: the path wherever it says
 * `/companies/{id}`, since which of two counts is its reader's to say. What names one is read as
 * generously as servers do: escaped or not, between `&` or `;`, in brackets, and by the number that it begins with. What begins with none names none. Arguments as those of {@link companyOf}.
 */
export function decideCompany(header: string | null, path: string, query: string): string | null {
  if (header !== null && !PLAIN_COMPANY_ID.test(header)) throw refuse("company.required")
  let company = header
  for (const named of companiesNamed(path, query)) {
    if (!PLAIN_COMPANY_ID.test(named) || (company !== null && named !== company)) throw refuse("company.ambiguous")
    company = named
  }
  return company
}

/** Every company in path and query, as whoever decodes them may read it: `to_i` of Ruby takes `901-acme` for 901. */
function companiesNamed(path: string, query: string): readonly string[] {
  const segments = segmentsInPath(unescaped(path))
  if (segments.length === 0 && !QUERY_MAY_NAME.test(query)) return NONE
  const values = [...segments]
  for (const pair of query.replace(/^\?/, "").split(/[&;]/)) {
    const [name = "", ...value] = pair.split("=")
    if (READ_AS_QUERY_NAME.test(unescaped(name))) values.push(unescaped(value.join("=")).replaceAll("+", " "))
  }
  return values.flatMap((value) => LEADING_NUMBER.exec(value)?.[1] ?? [])
}

const QUERY_MAY_NAME = /company_id|%/
/** Rack up to its version 2 reads `[company_id]` as the plain name. `company_id[]` is a list, and no company. */
const READ_AS_QUERY_NAME = /^[[\]]*company_id\]*$/
/** With what makes more of it to some: `9_01` is 901 to Ruby and Python, `9e2` 900 to JavaScript. */
const LEADING_NUMBER = /^[\s+]*([0-9]+(?:(?:[_.]|\.?e[+-]?)[0-9]+)*)/i

/** Whatever else is wrong with it: a text of which one escape is malformed is no less decoded by others. */
function unescaped(text: string): string {
  if (!text.includes("%")) return text
  return text.replace(/%([0-7][0-9a-f])/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** Without a URL object, which costs ten times as much. */
function pathAndQueryOf(url: string): [path: string, query: string] {
  const fragment = url.indexOf("#")
  const end = fragment === -1 ? url.length : fragment
  const start = url.indexOf("/", url.indexOf("//") + 2)
  const query = url.indexOf("?", start)
  return query === -1 || query > end ? [url.slice(start, end), ""] : [url.slice(start, query), url.slice(query, end)]
}

/** What stands behind each {@link PATH_MARK}, in their order. */
function segmentsInPath(path: string): readonly string[] {
  let at = path.indexOf(PATH_MARK)
  if (at === -1) return NONE
  const segments: string[] = []
  while (at !== -1) {
    const start = at + PATH_MARK.length
    const slash = path.indexOf("/", start)
    segments.push(slash === -1 ? path.slice(start) : path.slice(start, slash))
    // The slash that ends one mark may begin the next.
    at = path.indexOf(PATH_MARK, start - 1)
  }
  return segments
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
