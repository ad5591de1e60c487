/** What only the local platform serves, on every hostname: the last trips and the last calls of user Workers, newest first, as JSON arrays. */
import { egressRing, tripRing } from "./rings.ts"

const PREFIX = "/.sallyport/local/"
const LOOPBACK = /^(127\.0\.0\.1|\[::1\]|([a-z0-9-]+\.)*localhost)$/
const DEFAULT_LIMIT = 100

/** Cheap: called for every request. */
export function isLocalPath(url: string): boolean {
  const start = url.indexOf("/", 8)
  return start >= 0 && url.startsWith(PREFIX, start)
}

/** `trips` and `egress`, narrowed by `?requestId=`, `?script=`, `?hostname=` (trips) and `?limit=` (1–1000). */
export function answerLocalPath(url: string): Response {
  const { hostname, pathname, searchParams } = new URL(url)
  // A page of a foreign site whose name was made to lead here must not read what went through (DNS rebinding).
  if (!LOOPBACK.test(hostname)) return new Response("Ask 127.0.0.1 or localhost.\n", { status: 421 })
  const limit = Math.min(Math.max(Number(searchParams.get("limit") ?? DEFAULT_LIMIT) || DEFAULT_LIMIT, 1), 1000)
  const matches = (record: object) =>
    ["requestId", "script", "hostname"].every((field) => {
      const wanted = searchParams.get(field)
      return wanted === null || Reflect.get(record, field) === wanted
    })
  switch (pathname.slice(PREFIX.length)) {
    case "trips":
      return Response.json(tripRing.find(matches, limit))
    case "egress":
      return Response.json(egressRing.find(matches, limit))
    default:
      return new Response("There are trips and egress here.\n", { status: 404 })
  }
}
