/**
 * The probe: begins a session that exists nowhere but in its cookie, sees the edge accept it, revokes it, and measures until the edge refuses it. What it finds is
 * `sallyport_revocation_lag_seconds`. Once in the minute's schedule, at most {@link PROBE_LIMIT_MS} long. One that could not begin, or never ended, has failed: it is never taken for fast.
 */

import { isRecord } from "../../contracts/is-record.ts"
import { INTERNAL_HOSTNAME, RESERVED_PATH_PREFIX } from "../../contracts/reserved-headers.ts"
import { SESSION_COOKIE, type SessionSeal } from "../../contracts/session.ts"
import { sealSession } from "../../kit/session-cookie.ts"
import { within } from "../../kit/within.ts"
import type { Dependencies } from "./dependencies.ts"

/** Whole of a probe, well within the 120 s for which a session needs no record. */
export const PROBE_LIMIT_MS = 60_000
/**
 * Milliseconds between two questions, or this part of the time since the revocation where that is more: by so much a lag may be overstated. An invocation may call
 * other Workers 31 times, and these are 28 calls in all.
 * @see https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/#limits
 */
const POLL_MS = 200
const POLL_SHARE = 1 / 4
/** Milliseconds for one answer of the edge. */
const ANSWER_LIMIT_MS = 5_000
const PROBE_SUBJECT = "sallyport-probe"

export type ProbeFault =
  /** The edge does not accept the probe's session, so there is nothing to measure. */
  | "not-accepted"
  /** The revocation could not be recorded. */
  | "not-revoked"
  /** The edge refuses the session, but not because it was revoked. */
  | "refused-otherwise"
  /** Still accepted, or the edge did not answer, until the end. */
  | "not-refused-in-time"

export type ProbeDependencies = Pick<
  Dependencies,
  "clock" | "wait" | "edgeFront" | "revocations" | "settings" | "log"
> & {
  readonly store: {
    readonly probes: Pick<Dependencies["store"]["probes"], "record">
    readonly inventory: Pick<Dependencies["store"]["inventory"], "policy">
  }
}

/** Does nothing where no session keys are set, or no identity provider is known: then there are no sessions either. */
export async function probeRevocation(deps: ProbeDependencies): Promise<void> {
  const { sessionKeys } = deps.settings
  const idp = await anyProvider(deps)
  if (sessionKeys === null || idp === null) return
  const atMs = deps.clock.now()
  const result = await run(sessionKeys, idp, deps).catch((failure: unknown) => {
    deps.log({ event: "probe.failed", error: String(failure) })
    return "not-accepted" as const
  })
  const isLag = typeof result === "number"
  await deps.store.probes.record({ atMs, lagMs: isLag ? result : null, fault: isLag ? null : result })
  deps.log(isLag ? { event: "probe.done", lagMs: result } : { event: "probe.failed", fault: result })
}

/** Milliseconds from asking for the revocation to the first refusal. */
async function run(keys: string, idp: string, deps: ProbeDependencies): Promise<number | ProbeFault> {
  const { clock, wait, revocations } = deps
  const begunMs = clock.now()
  const { cookieValue, handle } = await sealSession(sealOf(idp, begunMs), keys)
  const ask = () => verdictOf(cookieValue, deps)
  if ((await ask()) !== "accepted") return "not-accepted"
  const askedMs = clock.now()
  try {
    const target = { kind: "session", session: handle } as const
    const sessionExpiresAtMs = begunMs + 2 * PROBE_LIMIT_MS
    await within(ANSWER_LIMIT_MS, revocations.append([{ target, reason: "probe", sessionExpiresAtMs }], "probe"))
  } catch (failure) {
    deps.log({ event: "probe.not-revoked", error: String(failure) })
    return "not-revoked"
  }
  for (let nowMs = clock.now(); nowMs - begunMs < PROBE_LIMIT_MS; nowMs = clock.now()) {
    const verdict = await ask()
    if (verdict === "revoked") return clock.now() - askedMs
    if (verdict === "refused") return "refused-otherwise"
    const pauseMs = Math.max(POLL_MS, Math.floor((clock.now() - askedMs) * POLL_SHARE))
    await wait(Math.max(0, Math.min(pauseMs, begunMs + PROBE_LIMIT_MS - clock.now())))
  }
  return "not-refused-in-time"
}

/** The edge knows sessions of its providers only. The first by name, so that it is always the same. */
async function anyProvider({ store }: ProbeDependencies): Promise<string | null> {
  const issuers = (await store.inventory.policy("issuers")) as Readonly<Record<string, unknown>> | null
  return Object.keys(issuers ?? {}).sort()[0] ?? null
}

/** The least that a session can be: no scope, no company, no level, and a subject that no provider gives anybody. Its cookie never leaves this isolate and the edge. */
function sealOf(idp: string, nowMs: number): SessionSeal {
  return {
    idp,
    subject: PROBE_SUBJECT,
    scopes: [],
    company: null,
    level: 0,
    authenticatedAtMs: nowMs,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + 2 * PROBE_LIMIT_MS,
    idleS: 120,
  }
}

type Verdict = "accepted" | "revoked" | "refused" | "no-answer"

/** What the edge says of the session. A failure of the edge says nothing of it. */
async function verdictOf(cookie: string, { edgeFront, log }: ProbeDependencies): Promise<Verdict> {
  try {
    const answer = edgeFront.fetch(`https://${INTERNAL_HOSTNAME}${RESERVED_PATH_PREFIX}session`, {
      headers: { cookie: `${SESSION_COOKIE}=${cookie}` },
      redirect: "manual",
    })
    const response = await within(ANSWER_LIMIT_MS, answer)
    const body: unknown = await within(
      ANSWER_LIMIT_MS,
      response.json().catch(() => null),
    )
    if (response.status === 200) return isRecord(body) && body.subject === PROBE_SUBJECT ? "accepted" : "refused"
    if (response.status !== 401) return "no-answer"
    return isRecord(body) && body.code === "auth.revoked" ? "revoked" : "refused"
  } catch (failure) {
    log({ event: "probe.no-answer", error: String(failure) })
    return "no-answer"
  }
}
