/** What a request may do here depends on who sent it: a page of our own, or another's. */
import { refuse } from "../../kit/problem.ts"

/** Refuses `auth.cross-site` unless one of our own pages sent it: by Fetch Metadata, or by `Origin` where a browser does not say that. `publicOrigin`: empty for none but the request's own. */
export function requireSameOrigin({ headers, url }: Request, publicOrigin: string): void {
  const site = headers.get("sec-fetch-site")
  if (site === "same-origin") return
  const origin = headers.get("origin")
  const isOwn = origin === new URL(url).origin || (publicOrigin !== "" && origin === publicOrigin)
  if (site === null && isOwn) return
  throw refuse("auth.cross-site")
}
