/**
 * Which company a request is for. Used by the dispatcher on every request (sticky releases) and by the router (zones),
 * so it allocates nothing on the way to "none", and its answer stays text: ids exceed 53 bits.
 */

/** Header that API clients send; names are compared without case. */
export const COMPANY_HEADER = "procore-company-id"

const COMPANY_ID = /^[0-9]{1,20}$/
const PATH_MARK = "/companies/"
const QUERY_NAME = "company_id="

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
  for (let at = query.indexOf(QUERY_NAME); at !== -1; at = query.indexOf(QUERY_NAME, at + 1)) {
    const before = query[at - 1]
    if (before !== undefined && before !== "?" && before !== "&") continue
    const start = at + QUERY_NAME.length
    const end = query.indexOf("&", start)
    const value = end === -1 ? query.slice(start) : query.slice(start, end)
    if (!COMPANY_ID.test(value) || (found !== null && found !== value)) return null
    found = value
  }
  return found
}
