/** The API reference: static files made by web/copy-reference.mjs, sent with a policy under which they can do nothing but draw `/openapi.json`. */
import { refuse } from "../../kit/problem.ts"

/** The renderer styles elements as it draws, hence inline styles; scripts come from files of this origin only. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ")

/** Throws `api.not-found` for a file that is not part of the reference. */
export async function answerReference(request: Request, assets: Fetcher): Promise<Response> {
  const url = new URL(request.url)
  if (url.pathname === "/docs" || url.pathname === "/docs/") url.pathname = "/docs/index.html"
  const found = await assets.fetch(new Request(url, { method: request.method }))
  if (!found.ok) throw refuse("api.not-found")
  const response = new Response(found.body, found)
  response.headers.set("content-security-policy", CONTENT_SECURITY_POLICY)
  response.headers.set("cache-control", "public, max-age=300")
  return response
}
