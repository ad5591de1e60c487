/** What the control plane knows of how identity fares at the edge, and of what stands at Cloudflare: read for `/v1/status` and for `/metrics`. A revocation log that does not answer keeps nothing else from being shown. */

import type { FeedStatus } from "../../contracts/revocation.ts"
import { within } from "../../kit/within.ts"
import type { Dependencies } from "./dependencies.ts"
import { turnMs } from "./issuers/turns.ts"
import type { CallUsage } from "./store/cloudflare-calls.ts"
import type { DriftLook } from "./store/drift.ts"
import type { Look } from "./store/issuer-keys.ts"
import type { ProbeRun, ProbeTotals } from "./store/probes.ts"
import type { RevisionRow } from "./store/revisions.ts"
import type { PassportKeyRow } from "./store/rows.ts"

/** Milliseconds for the revocation log to answer. */
const FEED_LIMIT_MS = 2_000
const DAY_MS = 86_400_000

export interface Readings {
  readonly nowMs: number
  readonly revision: RevisionRow | null
  /** Null while the log does not answer. */
  readonly feed: FeedStatus | null
  /** Of the last day, newest first. */
  readonly runs: readonly ProbeRun[]
  readonly totals: ProbeTotals
  readonly looks: readonly Look[]
  /** How often each of these issuers is looked at. */
  readonly turnMs: number
  readonly passportKeys: readonly PassportKeyRow[]
  /** At what stands at Cloudflare. */
  readonly drift: readonly DriftLook[]
  readonly cloudflare: CallUsage & { readonly callLimit: number }
}

export type StatusDependencies = Pick<Dependencies, "clock" | "store" | "revocations" | "log" | "settings">

export async function readStatus(deps: StatusDependencies): Promise<Readings> {
  const { clock, store } = deps
  const nowMs = clock.now()
  const [revision, feed, runs, totals, looks, passportKeys, drift, calls] = await Promise.all([
    store.revisions.latest(),
    readFeed(deps),
    store.probes.runs(nowMs - DAY_MS),
    store.probes.totals(),
    store.issuerKeys.looks(),
    store.passportKeys.list(),
    store.drift.looks(),
    store.calls.usage(nowMs),
  ])
  const cloudflare = { ...calls, callLimit: deps.settings.cloudflare.callLimit }
  return { nowMs, revision, feed, runs, totals, looks, turnMs: turnMs(looks.length), passportKeys, drift, cloudflare }
}

async function readFeed({ revocations, log }: StatusDependencies): Promise<FeedStatus | null> {
  try {
    const { head, live, relays, bytes } = await within(FEED_LIMIT_MS, revocations.status())
    return { head, live, relays, bytes }
  } catch (failure) {
    log({ event: "status.no-feed", error: String(failure) })
    return null
  }
}

/** When that was last seen which was not seen for longest; what was never seen counts from its first try. Null before any. */
export function oldestLookMs(drift: readonly DriftLook[]): number | null {
  if (drift.length === 0) return null
  return Math.min(...drift.map(({ lookedAtMs, firstTriedAtMs }) => lookedAtMs ?? firstTriedAtMs))
}

/**
 * The lag that `share` of the probes did not exceed (nearest rank), milliseconds. A failed probe is slower than every other, so that failures push the
 * figure up and never down; null when it falls on one, or when there are none.
 */
export function percentile(runs: readonly ProbeRun[], share: number): number | null {
  const lags = runs.map(({ lagMs }) => lagMs ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b)
  const found = lags[Math.max(0, Math.ceil(share * lags.length) - 1)]
  return found === undefined || !Number.isFinite(found) ? null : found
}
