/**
 * As much of a browser as an attack needs: a cookie jar by RFC 6265bis (tough-cookie, with the `__Host-` rule), Fetch Metadata, and one request at a time.
 * Requests to the platform's hostnames go to its edge; everything else to where it says. Redirects are followed by hand, so that a test can step in.
 */
import { CookieJar } from "tough-cookie"
import { edgeRequest } from "../../../emulator/edge-request.ts"

export interface Page {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Absolute, or null when the answer sends nowhere. */
  readonly location: string | null
}

export interface Visit {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Origin of the page that makes the request; absent: typed into the address bar. */
  readonly from?: string
  /** Sends these cookies instead of the jar's; "" sends none. */
  readonly cookie?: string
}

export class Browser {
  jar = new CookieJar(undefined, { prefixSecurity: "strict", rejectPublicSuffixes: false })
  readonly #edgeUrl: string
  readonly #hostnames: readonly string[]

  constructor(edgeUrl: string, hostnames: readonly string[]) {
    this.#edgeUrl = edgeUrl
    this.#hostnames = hostnames
  }

  /** One navigation; its answer's cookies are kept as a browser keeps them. */
  async visit(url: string, visit: Visit = {}): Promise<Page> {
    const { hostname, origin } = new URL(url)
    const isEdge = this.#hostnames.includes(hostname)
    const isCrossSite = visit.from !== undefined && !isSameSite(visit.from, url)
    const isUnsafe = visit.method !== undefined && visit.method !== "GET"
    // Lax: a top-level navigation that comes from elsewhere carries cookies when it is safe (RFC 6265bis §5.8.3).
    const context = isCrossSite ? (isUnsafe ? "none" : "lax") : "strict"
    const cookie = visit.cookie ?? (await this.jar.getCookieString(url, { sameSiteContext: context }))
    const init = {
      method: visit.method ?? "GET",
      headers: {
        accept: "text/html,application/xhtml+xml,*/*;q=0.8",
        "user-agent": "Mozilla/5.0 (test)",
        "sec-fetch-dest": "document",
        "sec-fetch-mode": "navigate",
        "sec-fetch-site": siteOf(visit.from, url),
        ...(isUnsafe && visit.from !== undefined ? { origin: visit.from } : {}),
        ...(visit.body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
        ...(cookie === "" ? {} : { cookie }),
        ...visit.headers,
      },
      ...(visit.body === undefined ? {} : { body: visit.body }),
    }
    const response = isEdge
      ? await edgeRequest(this.#edgeUrl, url, init)
      : await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(20_000) })
    for (const line of response.headers.getSetCookie())
      await this.jar.setCookie(line, url, { ignoreError: true, sameSiteContext: context })
    const to = response.headers.get("location")
    const text = await response.text()
    const location = to === null ? null : URL.canParse(to, origin) ? new URL(to, url).href : to
    return { url, status: response.status, headers: response.headers, text, location }
  }

  /** Follows redirects while `goesOn` says so; the last page that was fetched. */
  async follow(url: string, goesOn: (location: string) => boolean = () => true, visit: Visit = {}): Promise<Page> {
    let page = await this.visit(url, visit)
    for (let hops = 0; page.location !== null && goesOn(page.location) && hops < 10; hops++)
      page = await this.visit(page.location, { from: new URL(page.url).origin })
    return page
  }

  /** The value of a cookie that would go to this URL, or null. */
  async cookie(url: string, name: string): Promise<string | null> {
    const found = (await this.jar.getCookies(url)).find((each) => each.key === name)
    return found?.value ?? null
  }
}

/** Sites here are one registrable domain of two labels, or an address. */
function isSameSite(a: string, b: string): boolean {
  const siteName = (url: string) => {
    const { hostname } = new URL(url)
    return /^[\d.]+$/.test(hostname) ? hostname : hostname.split(".").slice(-2).join(".")
  }
  return siteName(a) === siteName(b)
}

function siteOf(from: string | undefined, url: string): string {
  if (from === undefined) return "none"
  if (new URL(from).origin === new URL(url).origin) return "same-origin"
  return isSameSite(from, url) ? "same-site" : "cross-site"
}
