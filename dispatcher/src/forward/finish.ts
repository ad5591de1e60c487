/**
 * Stage "finish": the Worker's response as the client may see it. A team's Worker speaks for its route and for nothing else:
 * not for the whole site, not for the gateway, and an authenticated answer is private unless it says something stricter.
 * Those that begin sessions set the gateway's cookies too, in the form that keeps them to this host.
 */
import type { SubjectKind } from "../../../contracts/passport.ts"
import {
  CONFIG_HEADER,
  isReservedResponseHeader,
  RELEASE_HEADER,
  REQUEST_ID_HEADER,
} from "../../../contracts/reserved-headers.ts"
import { keptCookies } from "./kept-cookies.ts"

/** The same response, body untouched, with the headers that it may not set removed and ours added. `release.placedName` is `<script>--v<version>`; `passport` is the one it was given, which it may not hand on to the client. */
export function finish(
  response: Response,
  inbound: { readonly requestId: string; readonly hostname: string },
  release: { readonly placedName: string; readonly beginsSessions: boolean },
  configRevision: number,
  subjectKind: SubjectKind,
  passport: string,
): Response {
  const finished = response.webSocket === null ? new Response(response.body, response) : new Response(null, response)
  const { headers } = finished
  let hasCookies = false
  let cacheControl: string | null = null
  const refused: string[] = []
  headers.forEach((value, name) => {
    if (name === "set-cookie") hasCookies = true
    else if (isReservedResponseHeader(name) || value.includes(passport)) refused.push(name)
    else if (name === "cache-control") cacheControl = value
  })
  for (const name of refused) headers.delete(name)
  if (hasCookies) keepCookies(headers, inbound.hostname, release.beginsSessions, passport)
  if (subjectKind !== "anonymous") keepPrivate(headers, cacheControl)
  headers.set(REQUEST_ID_HEADER, inbound.requestId)
  headers.set(CONFIG_HEADER, String(configRevision))
  headers.set(RELEASE_HEADER, release.placedName)
  return finished
}

function keepCookies(headers: Headers, hostname: string, maySetGateways: boolean, passport: string): void {
  const kept = keptCookies(headers.getSetCookie(), hostname, maySetGateways)
  headers.delete("set-cookie")
  for (const cookie of kept) if (!cookie.includes(passport)) headers.append("set-cookie", cookie)
}

function keepPrivate(headers: Headers, cacheControl: string | null): void {
  if (cacheControl === null) {
    headers.set("cache-control", "private")
    return
  }
  const directives = cacheControl.split(",").map((each) => each.trim())
  const names = directives.map((each) => each.toLowerCase())
  if (names.includes("private") || names.includes("no-store")) {
    if (!names.some((each) => each === "public" || each.startsWith("s-maxage"))) return
  }
  const rest = directives.filter((each) => !/^(public|private|s-maxage\b.*)$/i.test(each))
  headers.set("cache-control", ["private", ...rest].join(", "))
}
