/**
 * What the gateway answers itself on every hostname: the key set, health, version, whose session it is, and the meaning of problem codes.
 * Served before the request line: it must answer when there is no config, and it knows nothing of teams. Neither screened nor recorded as a trip, so that probes and backends are answered wherever and
 * however they connect: it says nothing of anybody, and costs no more than a refusal would. Whose session it is does, and is (session-endpoint.ts).
 */
import { KEY_SET_MAX_AGE_S } from "../../contracts/passport-keys.ts"
import { PROBLEMS, type ProblemCode, problemType } from "../../contracts/problem-codes.ts"
import {
  CONFIG_HEADER,
  isGatewayOwned,
  JWKS_PATH,
  REQUEST_ID_HEADER,
  RESERVED_PATH_PREFIX,
} from "../../contracts/reserved-headers.ts"
import { asRefusal, problemResponse, Refusal, refuse } from "../../kit/problem.ts"
import { writeLog } from "../../kit/write-log.ts"
import { type Dependencies, redact } from "./dependencies.ts"
import { publishedKeys } from "./published-keys.ts"
import { answerSession, requireReading, SESSION_PATH } from "./session-endpoint.ts"

/** Ready means: a config is in force, and KV confirmed it at most this long ago, milliseconds. */
const READY_BOUND_MS = 15 * 60_000

/** True when the path of `url` belongs to the gateway. Cheap: nearly every request leaves at the first comparison. */
export function isGatewayPath(url: string): boolean {
  const start = url.indexOf("/", 8)
  if (start < 0 || url.charCodeAt(start + 1) !== 46) return false
  return isGatewayOwned(pathOf(url, start))
}

function pathOf(url: string, start: number): string {
  const query = url.indexOf("?", start)
  return query < 0 ? url.slice(start) : url.slice(start, query)
}

/** Answers GET and HEAD of a gateway path; anything else is a problem. Like every response, it has a request id and names the config revision in force. */
export async function answerGatewayPath(
  request: Request,
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  const requestId = deps.makeId()
  const path = pathOf(request.url, request.url.indexOf("/", 8))
  const response =
    path === SESSION_PATH
      ? await answerSession(request, requestId, deps, waitUntil)
      : await answer(request, path, deps, waitUntil).catch((thrown: unknown) => {
          // There is no trip here that would tell of a bug.
          const failure = { event: "gateway.failed", requestId, cause: redact(String(thrown)) }
          if (!(thrown instanceof Refusal)) writeLog(failure)
          return problemResponse(asRefusal(thrown), { requestId, instance: path })
        })
  response.headers.set(REQUEST_ID_HEADER, requestId)
  const { revision } = deps.config.status()
  if (revision !== null) response.headers.set(CONFIG_HEADER, String(revision))
  return response
}

async function answer(
  request: Request,
  path: string,
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  requireReading(request.method)
  const problems = `${RESERVED_PATH_PREFIX}problems/`
  if (path.startsWith(problems)) return describeProblem(path.slice(problems.length))
  switch (path) {
    case JWKS_PATH:
      return Response.json(await publishedKeys(deps, waitUntil), {
        headers: { "cache-control": `public, max-age=${KEY_SET_MAX_AGE_S}` },
      })
    case `${RESERVED_PATH_PREFIX}health/alive`:
      return status(200, { status: "ok" })
    case `${RESERVED_PATH_PREFIX}health/ready`:
      return ready(deps, waitUntil)
    case `${RESERVED_PATH_PREFIX}version`:
      return version(deps, waitUntil)
    default:
      throw refuse("route.not-found")
  }
}

/** Looks for a config when there is none yet: a fresh isolate must be able to become ready without traffic. */
async function ready(deps: Dependencies, waitUntil: (work: Promise<unknown>) => void): Promise<Response> {
  await Promise.resolve(deps.config.current(waitUntil)).catch(() => undefined)
  const config = deps.config.status()
  const isReady = config.revision !== null && config.confirmedAgeMs !== null && config.confirmedAgeMs <= READY_BOUND_MS
  // Of no account for being ready: without the feed sensitive routes refuse, and the others go on.
  const { ageMs } = deps.revocations.status()
  return status(isReady ? 200 : 503, { status: isReady ? "ok" : "not ready", config, revocations: { ageMs } })
}

/** Looks for a newer config first: whoever asks which key signs means now. */
async function version(deps: Dependencies, waitUntil: (work: Promise<unknown>) => void): Promise<Response> {
  await Promise.resolve(deps.config.current(waitUntil)).catch(() => undefined)
  const { environment, bundle } = deps
  const passportKeys = deps.keys.status(deps.clock.now())
  return status(200, { environment, bundle, config: deps.config.status(), passportKeys })
}

function describeProblem(code: string): Response {
  if (!Object.hasOwn(PROBLEMS, code)) throw refuse("route.not-found")
  const { status, title, fix } = PROBLEMS[code as ProblemCode]
  return Response.json({ code, type: problemType(code as ProblemCode), status, title, fix })
}

function status(code: number, body: unknown): Response {
  return Response.json(body, { status: code, headers: { "cache-control": "no-store" } })
}
