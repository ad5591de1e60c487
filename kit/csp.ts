/**
 * A Content-Security-Policy for a Worker's responses, by nonce or by hash, enforced or only reported (to kit/csp-reports.ts).
 * The base allows nothing from elsewhere, nothing inline and no frame; an app adds what it needs, by name. Options are checked when they are given,
 * so that a policy that says less than it seems to never gets as far as a browser.
 * @see https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/reporting-1/
 */
import type { MiddlewareHandler } from "hono"

/** Directives that an app may set; `default-src`, `script-src`, `object-src` and `base-uri` are not among them. */
export type CspDirective = keyof typeof BASE

export interface CspPolicy {
  /**
   * Which scripts run. `self`: files of the own origin. A list of hashes (`sha256-…`, see {@link cspHash}): these inline scripts as well; pages stay cacheable.
   * `nonce`: what carries the response's nonce, and what that loads; such pages are never stored.
   */
  readonly scripts: "self" | "nonce" | readonly string[]
  /** Source lists that replace the base's; `[]` is `'none'`. */
  readonly directives?: Partial<Readonly<Record<CspDirective, readonly string[]>>>
}

export interface CspOptions {
  /** What browsers hold pages to. */
  readonly enforce?: CspPolicy
  /** What browsers only report: the policy to be, tried beside the one in force. */
  readonly reportOnly?: CspPolicy
  /** Path on the own origin that takes reports (kit/csp-reports.ts); needed for `reportOnly`. */
  readonly reportPath?: string
  /** Further headers for every response, set in the same copy. */
  readonly headers?: Readonly<Record<string, string>>
}

const SELF = ["'self'"]
const NONE: readonly string[] = []
const BASE = {
  "style-src": SELF,
  "img-src": SELF,
  "font-src": SELF,
  "connect-src": SELF,
  "media-src": NONE,
  "manifest-src": SELF,
  "worker-src": NONE,
  "frame-src": NONE,
  "form-action": NONE,
  "frame-ancestors": NONE,
} satisfies Readonly<Record<string, readonly string[]>>
/** Schemes without a host say nothing of who wrote the content: only where it cannot run. */
const SCHEMES: Partial<Readonly<Record<CspDirective, readonly string[]>>> = {
  "img-src": ["data:", "blob:"],
  "font-src": ["data:"],
  "media-src": ["blob:"],
}
const HOST_SOURCE =
  /^(https|wss):\/\/((\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+)(:\d{1,5})?(\/[\w\-./~%]*)?$/
const HASH = /^(?:sha256-[A-Za-z0-9+/]{43}=|sha384-[A-Za-z0-9+/]{64}|sha512-[A-Za-z0-9+/]{86}==)$/
const REPORT_PATH = /^(?:\/[A-Za-z0-9_.~-]+)+$/
/** Characters of one policy: what every server and proxy on the way takes in a header. */
const MAX_POLICY_CHARS = 4096
const NONCE_BYTES = 18
/** Stands in a text that is made once, where no random values are to be had, for the nonce of each response. */
const NONCE_PLACE = "A".repeat(24)
/** Name of the endpoint in `Reporting-Endpoints`. */
const ENDPOINT = "csp"

/**
 * The policy as header text. Throws TypeError for a source or directive that is unknown, misspelt or would let anybody's script in.
 * `nonce` is needed for a policy by nonce.
 */
export function policyText(policy: CspPolicy, context: { nonce?: string; reportPath?: string } = {}): string {
  const { reportPath } = context
  const directives: [string, readonly string[]][] = [
    ["default-src", NONE],
    ["script-src", scriptSources(policy.scripts, context.nonce)],
    ["object-src", NONE],
    ["base-uri", NONE],
  ]
  for (const name of Object.keys(policy.directives ?? {}))
    if (!Object.hasOwn(BASE, name)) throw new TypeError(`An app cannot set the directive ${name}`)
  for (const [name, base] of Object.entries(BASE) as [CspDirective, readonly string[]][]) {
    const sources = policy.directives?.[name] ?? base
    directives.push([name, sources.map((source) => sourceText(name, source))])
  }
  directives.push(["require-trusted-types-for", ["'script'"]])
  if (reportPath !== undefined) {
    if (!REPORT_PATH.test(reportPath)) throw new TypeError(`${reportPath} is no path for reports`)
    // Browsers that know report-to pass over report-uri.
    directives.push(["report-uri", [reportPath]], ["report-to", [ENDPOINT]])
  }
  const text = directives
    .map(([name, sources]) => [name, ...(sources.length > 0 ? sources : ["'none'"])].join(" "))
    .join("; ")
  if (text.length > MAX_POLICY_CHARS) throw new TypeError(`The policy has more than ${MAX_POLICY_CHARS} characters`)
  return text
}

function scriptSources(scripts: CspPolicy["scripts"], nonce: string | undefined): readonly string[] {
  if (scripts === "self") return SELF
  // 'self' is for browsers that do not know 'strict-dynamic'; the others pass over it.
  if (scripts === "nonce") {
    if (nonce === undefined || !/^[A-Za-z0-9+/]{22,}={0,2}$/.test(nonce))
      throw new TypeError("A policy by nonce needs one")
    return [`'nonce-${nonce}'`, "'strict-dynamic'", "'self'"]
  }
  if (!Array.isArray(scripts) || scripts.length === 0) throw new TypeError("scripts must be self, nonce or hashes")
  return ["'self'", ...scripts.map(requireHash)]
}

function requireHash(hash: string): string {
  if (!HASH.test(hash)) throw new TypeError(`${hash} is no hash of a script`)
  return `'${hash}'`
}

function sourceText(directive: CspDirective, source: string): string {
  if (directive === "style-src" && HASH.test(source)) return `'${source}'`
  if (source === "'self'" || HOST_SOURCE.test(source) || SCHEMES[directive]?.includes(source) === true) return source
  throw new TypeError(`${directive} cannot have the source ${source}`)
}

/** `sha256-…` of an inline script or style: of the exact text between its tags. */
export async function cspHash(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))
  return `sha256-${btoa(String.fromCharCode(...digest))}`
}

/**
 * Makes what puts a policy on a response, checked once. Throws TypeError as {@link policyText}, and for options without a policy.
 *
 * Of HTML under a policy by nonce, the elements that carry a `nonce` attribute get the response's nonce. It is for pages of the own build: HTML that a
 * server fills with others' text could bring such elements of its own. Its ETag and its length are removed, for HEAD too, and it is not to be stored: a stored page holds a nonce that the next
 * response's policy does not name. For the same reason a 304 keeps the policy that it was stored with.
 */
export function policyApplier(options: CspOptions): (response: Response) => Response {
  const { enforce, reportOnly, reportPath, headers = {} } = options
  if (enforce === undefined && reportOnly === undefined) throw new TypeError("csp needs a policy")
  if (reportOnly !== undefined && reportPath === undefined) throw new TypeError("reportOnly needs a reportPath")
  const context = reportPath === undefined ? {} : { reportPath }
  const policies = [
    ["content-security-policy", enforce],
    ["content-security-policy-report-only", reportOnly],
  ] as const
  const fixed = new Headers(headers)
  if (reportPath !== undefined) fixed.set("reporting-endpoints", `${ENDPOINT}="${reportPath}"`)
  const byNonce: (readonly [name: string, text: string])[] = []
  for (const [name, policy] of policies) {
    if (policy === undefined) continue
    const text = policyText(policy, { ...context, nonce: NONCE_PLACE })
    if (policy.scripts === "nonce") byNonce.push([name, text])
    else fixed.set(name, text)
  }
  const always = [...fixed]

  return function applyPolicy(response) {
    if (response.webSocket !== null) return response
    const secured = new Response(response.body, response)
    for (const [name, value] of always) secured.headers.set(name, value)
    if (byNonce.length === 0 || response.status === 304) return secured
    const nonce = makeNonce()
    for (const [name, text] of byNonce) secured.headers.set(name, text.replace(NONCE_PLACE, nonce))
    return isHtml(secured) ? withNonce(secured, nonce) : secured
  }
}

/**
 * The policy on every response that passes, refusals included.
 *
 * ```ts
 * app.use(csp({ enforce: { scripts: "self" }, reportOnly: { scripts: "nonce" }, reportPath: "/csp-reports" }))
 * app.post("/csp-reports", cspReports({ log: writeLog }))
 * ```
 */
export function csp(options: CspOptions): MiddlewareHandler {
  const applyPolicy = policyApplier(options)
  return async function csp(c, next) {
    await next()
    const secured = applyPolicy(c.res)
    // Hono would otherwise merge the former response's headers back in, those taken off included.
    c.res = undefined
    c.res = secured
  }
}

function makeNonce(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(NONCE_BYTES))))
}

function isHtml(response: Response): boolean {
  return /^(text\/html|application\/xhtml\+xml)\s*(;|$)/i.test(response.headers.get("content-type") ?? "")
}

function withNonce(page: Response, nonce: string): Response {
  page.headers.set("cache-control", "no-store")
  page.headers.delete("etag")
  page.headers.delete("last-modified")
  // Of the page as it was. An answer to HEAD has no body that would be measured anew.
  page.headers.delete("content-length")
  if (page.body === null) return page
  const mark = { element: (element: Element) => void element.setAttribute("nonce", nonce) }
  return new HTMLRewriter().on("script[nonce], style[nonce], link[nonce]", mark).transform(page)
}
