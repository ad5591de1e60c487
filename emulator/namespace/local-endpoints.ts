/** What only the local platform serves, on every hostname: the last trips and the last calls of user Workers, newest first, as JSON arrays. */
import { egressRing, tripRing } from "./rings.ts"

const PREFIX = "/.sallyport/local/"
const DEFAULT_LIMIT = 100

/** Cheap: called for every request. */
export function isLocalPath(url: string): boolean {
  const start = url.indexOf("/", 8)
  return start >= 0 && url.startsWith(PREFIX, start)
}

/** `trips` and `egress`, narrowed by `?requestId=`, `?script=`, `?hostname=` (trips) and `?limit=` (1–1000). */
export function answerLocalPath(url: string): Response {
  const { pathname, searchParams } = new URL(url)
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
