/**
 * No way to another origin in the redirects that the dispatcher itself makes of what a request says: to the login, and to the same place without a session that is over.
 * Whatever path and query come, both lead nowhere but to this origin; each as the edge reads it, from collections that no one here made.
 */
import { describe, expect, it } from "vitest"
import type { RouteAuth } from "../../contracts/dispatch-config.ts"
import { type Inbound, readInbound } from "../../dispatcher/src/edge/read-inbound.ts"
import { loginOf, orLogin } from "../../dispatcher/src/identity/login-redirect.ts"
import { Refusal, refuse } from "../../kit/problem.ts"
import { readCorpus } from "./corpora.ts"

const ORIGIN = "https://app.procore.com"
const redirects = readCorpus("redirects.txt")
const traversal = readCorpus("traversal.txt")
const urls = readCorpus("urltestdata.json")

/** As a URL parser hands it over, and as it stands: a client need not be a browser. */
function readings(payload: string): Inbound[] {
  const glued = [
    `${ORIGIN}/${payload}`,
    `${ORIGIN}${payload.startsWith("/") ? "" : "/"}${payload}`,
    `${ORIGIN}/?${payload}`,
  ]
  const parsed = glued.map((url) => URL.parse(url)?.href ?? null)
  return [...glued, ...parsed].flatMap((url) => {
    if (url === null || !url.startsWith(`${ORIGIN}/`) || !/^[\x21-\x7e]+$/.test(url)) return []
    const headers = new Headers({ "sec-fetch-mode": "navigate", cookie: "__Host-sallyport-session=a.b.c" })
    try {
      return [readInbound({ url, method: "GET", headers, body: null } as unknown as Request, "r")]
    } catch (thrown) {
      if (thrown instanceof Refusal) return []
      throw thrown
    }
  })
}

function locationOf(inbound: Inbound, mode: RouteAuth["mode"]): string {
  const auth: RouteAuth = { mode, issuers: ["idp"], scopes: [], accept: ["session"], login: "/login/start" }
  const refusal = refuse("auth.session-expired")
  const answer = orLogin(refusal, loginOf(inbound, auth))
  return (answer as Refusal).options.headers?.location ?? ""
}

describe.each<[string, readonly string[] | null]>([
  ["redirects.txt", redirects?.split("\n").filter((line) => line !== "") ?? null],
  ["traversal.txt", traversal?.split("\n").filter((line) => line !== "") ?? null],
  [
    "urltestdata.json",
    urls === null
      ? null
      : (JSON.parse(urls) as (string | { readonly input: string })[]).flatMap((each) =>
          typeof each === "string" ? [] : [each.input],
        ),
  ],
])("%s", (_file, payloads) => {
  it.skipIf(payloads === null)("leads no browser off the origin", () => {
    const wrong: string[] = []
    let followed = 0
    for (const payload of payloads ?? [])
      for (const inbound of readings(payload))
        for (const mode of ["required", "optional"] as const) {
          const location = locationOf(inbound, mode)
          followed += 1
          const isOwn = URL.parse(location, `${ORIGIN}/a/b`)?.origin === ORIGIN && /^\/(?![/\\])/.test(location)
          const isSame =
            mode === "required" || URL.parse(location, ORIGIN)?.pathname === URL.parse(inbound.path, ORIGIN)?.pathname
          if (!isOwn || !isSame) wrong.push(`${payload} → ${location}`)
        }
    expect(wrong).toEqual([])
    expect(followed).toBeGreaterThan(100)
    process.stderr.write(`${followed} redirects followed, none off the origin\n`)
  })
})
