/**
 * ecrion: a legacy service is replaced by a new one path by path, at the edge. The rules are data in the team's own database; what the two services
 * answer differently stands on the scoreboard. The choice, the calls and the comparison are the kit's; this file wires them.
 */
import { trace } from "@opentelemetry/api"
import { REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { askPlatform } from "../../kit/ask-platform.ts"
import { AudienceDirectory } from "../../kit/audience-origins.ts"
import { type CircuitBreaker, circuitBreaker } from "../../kit/circuit-breaker.ts"
import { COMPANY_HEADER, companyOf } from "../../kit/company-detection.ts"
import { capture, compareThree, ignoring, isBodyCompared, NO_ANSWER } from "../../kit/compare-responses.ts"
import { removeHopByHop } from "../../kit/hop-by-hop.ts"
import { type PassportVariables, requirePassport } from "../../kit/require-passport.ts"
import { Scoreboard } from "../../kit/scoreboard.ts"
import { StoredDocument } from "../../kit/stored-document.ts"
import { type Ask, Shadows, STRANGLER_HEADER, strangle } from "../../kit/strangle.ts"
import {
  chooseSide,
  isSampled,
  NO_RULES,
  parseStrangleRules,
  ruleFor,
  type StrangleFacts,
  type StrangleRule,
  type StrangleRules,
} from "../../kit/strangle-rules.ts"
import { tracing } from "../../kit/tracing.ts"
import { worker } from "../../kit/worker.ts"
import { writeLog } from "../../kit/write-log.ts"
import { revisionOf } from "../../kit/zone-resolution.ts"
import { type Call, type Env, msOf } from "./env.ts"
import { requestTo } from "./request-to.ts"
import { answerRules, answerScoreboard, RULES_PATH, SCOREBOARD_PATH } from "./strangler-api.ts"

/** Comparisons at once per isolate, the bytes that their bodies may take together, and milliseconds for each: the runtime gives 30 s after an answer. */
const SHADOWS = { most: 32, bytesMost: 24 * 1024 * 1024, deadlineMs: 20_000 }

/** A new service that is silent fails all it gets, however well it did before; one that fails now and then does not. */
const OPENS = { minimumCalls: 20, failureRate: 0.5, consecutiveFailures: 3 }

const audiences = new AudienceDirectory()
const scoreboard = new Scoreboard()
const shadows = new Shadows(SHADOWS)
let storedRules: StoredDocument<StrangleRules> | null = null
let health: CircuitBreaker | null = null

const app = worker<Env, PassportVariables>({ log: writeLog })
app.use(tracing({ service: "ecrion" }))
app.use(requirePassport({ script: "ecrion" }))
app.all("*", (c) => {
  const { pathname } = new URL(c.req.url)
  if (pathname.endsWith(SCOREBOARD_PATH)) return answerScoreboard(c, scoreboard)
  if (pathname.endsWith(RULES_PATH)) return answerRules(c, rulesOf(c.env))
  return migrate(c, pathname)
})
export default app

/** A path without a rule is the legacy service's. */
async function migrate(c: Call, path: string): Promise<Response> {
  const { env } = c
  const timeoutMs = { legacy: msOf(env, "LEGACY_TIMEOUT_MS"), new: msOf(env, "NEW_TIMEOUT_MS") }
  const ofNew = healthOf(env)
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work)
  const { value: rules } = await rulesOf(env).current(env.DB, waitUntil)
  const rule = ruleFor(rules, path)
  const request = c.req.raw
  const requestId = request.headers.get(REQUEST_ID_HEADER) ?? crypto.randomUUID()
  const order = {
    request,
    side: rule === null ? "legacy" : chooseSide(rule, factsOf(c)),
    isShadowed: rule !== null && isSampled(rule, requestId),
    comparedBytesMost: rule?.compareBytesMost ?? 0,
    deprecationMs: rule?.deprecationMs ?? null,
    sunsetMs: rule?.sunsetMs ?? null,
  } as const
  const response = await strangle(order, {
    access: async (side) => {
      const audience = `ecrion:${side}`
      const ask = (name: string) => askPlatform(() => env.PLATFORM.originsOf(name))
      const [origin] = await audiences.originsOf(audience, revisionOf(request.headers), ask)
      return { audience, origin }
    },
    send: (access, options) => fetch(requestTo(access, request, c.var.passport.host, options)),
    timeoutMs,
    // By rule: what one part of the new service does says nothing of the others.
    enterNew: () => ofNew.enter(rule?.path ?? ""),
    waitUntil,
    shadows,
    compare: async (first, ask, signal) => {
      const { method } = request
      if (rule !== null) await compare({ rule, method, signal, newTimeoutMs: timeoutMs.new, requestId }, first, ask)
      await writeScores(env)
    },
    note: (event) => {
      if (rule === null) return
      scoreboard.addEvent(rule, event)
      waitUntil(writeScores(env))
    },
  })
  if (response.webSocket !== null) return response
  removeHopByHop(response.headers)
  const span = trace.getActiveSpan()
  span?.setAttribute("strangler.rule", rule?.path ?? "none")
  span?.setAttribute("strangler.answered_by", response.headers.get(STRANGLER_HEADER) ?? "")
  return response
}

/** Asked for by every request: a variable that cannot be read stops the Worker rather than being met when the new service fails. */
function healthOf(env: Env): CircuitBreaker {
  const openMs = msOf(env, "NEW_OPEN_MS")
  health ??= circuitBreaker({ ...OPENS, openMs })
  return health
}

/** What the passport vouches for goes before what the request names, which a client could vary until it likes the answer. */
function factsOf(c: Call): StrangleFacts {
  const { company, kind, idp, sub } = c.var.passport
  const { pathname, search } = new URL(c.req.url)
  return {
    company: company ?? companyOf(c.req.header(COMPANY_HEADER) ?? null, pathname, search),
    subject: kind === "anonymous" ? null : `${idp}|${sub}`,
  }
}

interface Comparison {
  readonly rule: StrangleRule
  readonly method: string
  /** Ends the comparison. */
  readonly signal: AbortSignal
  /** Milliseconds for the new service's headers, and once more for its body, so that enough is left for legacy's second answer. */
  readonly newTimeoutMs: number
  readonly requestId: string
}

/** In this order, one after the other: see compareThree. Without a second legacy answer nothing can be said; a new service that does not answer is a difference. */
async function compare({ rule, method, signal, newTimeoutMs, requestId }: Comparison, first: Response, ask: Ask) {
  const options = { method, signal, bytesMost: rule.compareBytesMost, headers: rule.headers }
  const legacy = await capture(first, options)
  const candidate = await ask("new")
    .then((answer) =>
      capture(answer, { ...options, signal: AbortSignal.any([signal, AbortSignal.timeout(newTimeoutMs)]) }),
    )
    .catch(() => NO_ANSWER)
  const again = await capture(await ask("legacy"), options)
  const differences = compareThree(legacy, candidate, again, ignoring(rule.ignore))
  scoreboard.addComparison(rule, differences, isBodyCompared(legacy, candidate, again), requestId)
}

/** Never rejects: a scoreboard that cannot be written is no reason to fail anything. */
async function writeScores(env: Env): Promise<void> {
  try {
    await scoreboard.write(env.DB)
  } catch {
    writeLog({ event: "scoreboard-not-written" })
  }
}

function rulesOf(env: Env): StoredDocument<StrangleRules> {
  const refreshMs = msOf(env, "RULES_REFRESH_MS")
  const note = (fault: string, revision: number | null) => {
    const record = { event: `rules-${fault}`, revision }
    writeLog(record)
  }
  const what = { name: "rules", none: NO_RULES, parse: parseStrangleRules, note }
  storedRules ??= new StoredDocument<StrangleRules>({ ...what, refreshMs, maxStaleMs: 5 * refreshMs })
  return storedRules
}
