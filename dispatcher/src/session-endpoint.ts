/**
 * `GET /.sallyport/session`: whose session the cookie is, for pages that want to greet somebody or to know when to log in again, and for the probe that measures revocation.
 * Served by gateway-endpoints.ts on every hostname. It says who somebody is, so it is screened and leaves a trip like a request to a route; it looks at the session alone, and no other site can read it.
 */
import { INTERNAL_HOSTNAME, RESERVED_PATH_PREFIX } from "../../contracts/reserved-headers.ts"
import type { Finding } from "../../contracts/trip.ts"
import { refuse } from "../../kit/problem.ts"
import type { Dependencies, ReadyConfig } from "./dependencies.ts"
import { type Inbound, readInbound } from "./edge/read-inbound.ts"
import { screen } from "./edge/screen.ts"
import { acceptSession } from "./identity/authenticate.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"
import type { Subject } from "./identity/subject.ts"
import { Trip } from "./trip.ts"

export const SESSION_PATH = `${RESERVED_PATH_PREFIX}session`

/** What a page is told of the session; times as RFC 3339. */
interface SessionAnswer {
  readonly subject: string
  readonly idp: string
  readonly company: string | null
  readonly level: number
  readonly authenticatedAt: string
  readonly expiresAt: string
}

interface Around {
  readonly note: (finding: Finding) => void
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** 200 with a {@link SessionAnswer}, or a problem, 401 where there is no session or no longer. Never rejects, and is never cached. Refuses `edge.*` as the request line does. */
export async function answerSession(
  request: Request,
  requestId: string,
  deps: Dependencies,
  waitUntil: Around["waitUntil"],
): Promise<Response> {
  const isProbe = isOfProbe(request)
  const trip = new Trip(deps.clock, deps.log, requestId, request)
  let response: Response
  try {
    const inbound = trip.entered(readInbound(request, requestId))
    const config = trip.under(await trip.leg("config", deps.config.current(waitUntil)))
    if (!isProbe) screen(inbound, config.screen, deps.brake, trip.note, waitUntil)
    requireReading(request.method)
    const { answer, subject } = await trip.leg(
      "session",
      readSession(inbound, config, deps, { note: trip.note, waitUntil }),
    )
    trip.known(subject)
    response = trip.answered(Response.json(answer, { headers: { "cache-control": "no-store" } }))
  } catch (thrown) {
    response = trip.refused(thrown)
  } finally {
    if (!isProbe) trip.close(null, waitUntil)
  }
  // On the problem too: a page of another host that may load one of the two and not the other knows who is logged in.
  response.headers.set("cross-origin-resource-policy", "same-origin")
  return response
}

/** The gateway's own paths are read, never written. Refuses `edge.method-not-allowed`. */
export function requireReading(method: string): void {
  if (method !== "GET" && method !== "HEAD")
    throw refuse("edge.method-not-allowed", { headers: { allow: "GET, HEAD" } })
}

/**
 * The control plane's probe (control-plane/src/probe.ts), which asks through a service binding: no connection of a client, of which TLS, address or country could be known, and no traffic, so
 * neither screened nor recorded. Nobody outside can ask so: Cloudflare's front says of every client's request in `cf` and `cf-connecting-ip` where it is from, and has no zone of this hostname.
 */
function isOfProbe(request: Request): boolean {
  return (
    request.url.startsWith(`https://${INTERNAL_HOSTNAME}/`) &&
    request.cf === undefined &&
    !request.headers.has("cf-connecting-ip")
  )
}

async function readSession(
  { sessionCookie }: Inbound,
  config: ReadyConfig,
  deps: Dependencies,
  { note, waitUntil }: Around,
): Promise<{ readonly answer: SessionAnswer; readonly subject: Subject }> {
  if (sessionCookie === null) throw refuse("auth.credential-required", { detail: "There is no session." })
  const reading = await deps.sessions.read(sessionCookie, config.identity.sessionGraceS, waitUntil)
  const session = acceptSession(reading, [...config.issuers.keys()], config.issuers, note)
  const subject = await session.subject.under(config.subjects)
  await refuseRevoked(subject, false, config, deps, { note, waitUntil })
  const { seal } = session
  const answer = {
    subject: seal.subject,
    idp: seal.idp,
    company: seal.company,
    level: seal.level,
    authenticatedAt: new Date(seal.authenticatedAtMs).toISOString(),
    expiresAt: new Date(seal.expiresAtMs).toISOString(),
  }
  return { answer, subject }
}
