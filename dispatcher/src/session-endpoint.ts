/**
 * `GET /.sallyport/session`: whose session the cookie is, for pages that want to greet somebody or to know when to log in again, and for the probe that measures revocation.
 * Served by gateway-endpoints.ts on every hostname; it looks at the session alone, and no other site can read it.
 */
import { RESERVED_PATH_PREFIX } from "../../contracts/reserved-headers.ts"
import { asRefusal, problemResponse, refuse } from "../../kit/problem.ts"
import type { Dependencies } from "./dependencies.ts"
import { readInbound } from "./edge/read-inbound.ts"
import { acceptSession } from "./identity/authenticate.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"

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

/** 200 with a {@link SessionAnswer}, or a problem, 401 where there is no session or no longer. Never rejects, and is never cached. */
export async function answerSession(
  request: Request,
  context: { readonly requestId: string; readonly instance: string },
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  const response = await sessionOf(request, context.requestId, deps, waitUntil).then(
    (session) => Response.json(session, { headers: { "cache-control": "no-store" } }),
    (thrown) => problemResponse(asRefusal(thrown), context),
  )
  // On the problem too: a page of another host that may load one of the two and not the other knows who is logged in.
  response.headers.set("cross-origin-resource-policy", "same-origin")
  return response
}

async function sessionOf(
  request: Request,
  requestId: string,
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<SessionAnswer> {
  const { sessionCookie } = readInbound(request, requestId)
  if (sessionCookie === null) throw refuse("auth.credential-required", { detail: "There is no session." })
  const config = await deps.config.current(waitUntil)
  // There is no trip to note a finding in.
  const note = () => undefined
  const reading = await deps.sessions.read(sessionCookie, config.identity.sessionGraceS, waitUntil)
  const { seal, subject } = acceptSession(reading, [...config.issuers.keys()], config.issuers, note)
  await refuseRevoked(await subject.under(config.subjects), false, config, deps, { note, waitUntil })
  return {
    subject: seal.subject,
    idp: seal.idp,
    company: seal.company,
    level: seal.level,
    authenticatedAt: new Date(seal.authenticatedAtMs).toISOString(),
    expiresAt: new Date(seal.expiresAtMs).toISOString(),
  }
}
