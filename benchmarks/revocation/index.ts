/**
 * How long a revocation takes until the edge refuses, at the isolate that revoked and at three others, two of them at another location; what a storm of them does;
 * and what a million of them cost the memory of an isolate. `lag_*` count from the answer to whoever revoked, on the running platform, with polls each second as in production.
 */
import type { Run } from "../benchmark.ts"
import { quantile, rounded } from "../statistics.ts"
import { startArms } from "./arms.ts"
import { measureLags } from "./lag.ts"
import { measureTable } from "./measure-table.ts"
import { storm } from "./storm.ts"

const REVOCATIONS = 500
const QUICK_REVOCATIONS = 40
const STORM_PER_SECOND = 10_000
const STORM_SECONDS = 10
const QUICK_STORM_SECONDS = 2

export const run: Run = async ({ quick, say }) => {
  say("a million entries in one isolate")
  const table = await measureTable(quick)
  await using arms = await startArms()
  const lags = await measureLags(arms, quick ? QUICK_REVOCATIONS : REVOCATIONS, say)
  const seconds = quick ? QUICK_STORM_SECONDS : STORM_SECONDS
  say(`a storm of ${STORM_PER_SECOND} a second for ${seconds} s`)
  const stormy = await storm(arms, STORM_PER_SECOND, seconds)
  const status = await arms.platform.revocations.status()
  return {
    figures: {
      ...spread("lag_same", lags.same),
      ...spread("lag_across", lags.across),
      revocations: lags.same.length,
      bystanders_disturbed: lags.disturbed,
      storm_per_s: rounded(stormy.revocations / stormy.seconds),
      storm_revocations: stormy.revocations,
      ...spread("storm_lag", stormy.lags),
      storm_accepted_after_bound: stormy.acceptedAfterBound,
      storm_asked_after_bound: stormy.asked,
      ...(stormy.residentMb === null ? {} : { storm_rss_growth_mb: rounded(stormy.residentMb) }),
      table_bytes_per_entry: rounded(table.bytesPerEntry),
      ...(table.residentMb === null ? {} : { table_rss_mb_at_1m: rounded(table.residentMb) }),
      ...(table.checkNs === null ? {} : { check_ns: rounded(table.checkNs) }),
      table_mb_at_3m: rounded(table.fullBytes / 2 ** 20),
      table_wrong_ask_per_million: table.wrongPerMillion,
    },
    detail: { table, lags, storm: stormy, status },
  }
}

function spread(name: string, lags: readonly number[]): Record<string, number> {
  return {
    [`${name}_p50_ms`]: Math.round(quantile(lags, 0.5)),
    [`${name}_p99_ms`]: Math.round(quantile(lags, 0.99)),
    [`${name}_max_ms`]: Math.round(Math.max(...lags)),
  }
}
