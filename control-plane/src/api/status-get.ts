import { type Status, statusShape } from "../../../contracts/api-identity.ts"
import { oldestLookMs, percentile, type Readings, readStatus } from "../status.ts"
import { defineOperation } from "./operation.ts"
import { showKeys } from "./show-keys.ts"

export const statusGet = defineOperation({
  id: "status.get",
  method: "GET",
  path: "/v1/status",
  summary:
    "Read how the platform fares: config, revocation lag as the probe measures it, keys and their age, what was changed at Cloudflare",
  access: { who: "ops" },
  answers: { 200: { description: "The readings", shape: { name: "Status", shape: statusShape } } },
  handle: async ({ deps }) => {
    const readings = await readStatus(deps)
    const { nowMs, revision, feed, looks, turnMs } = readings
    const ageS = (ms: number) => Math.max(0, Math.round((nowMs - ms) / 1000))
    const body: Status = {
      at: new Date(nowMs).toISOString(),
      config:
        revision === null
          ? null
          : {
              revision: revision.revision,
              publishedAt: revision.publishedAt,
              ageS: ageS(Date.parse(revision.publishedAt)),
              live: revision.liveAt !== null,
            },
      revocations: feed,
      probe: showProbe(readings, deps.settings.sessionKeys !== null),
      passportKeys: showKeys(readings.passportKeys, deps),
      issuers: looks.map(({ issuer, goodAtMs, fault }) => ({
        id: issuer,
        goodAt: iso(goodAtMs),
        ageS: goodAtMs === null ? null : ageS(goodAtMs),
        fault,
        everyS: turnMs / 1000,
      })),
      drift: showDrift(readings),
    }
    return { status: 200, body }
  },
})

function showProbe({ runs }: Readings, configured: boolean): Status["probe"] {
  const last = runs[0]
  return {
    configured,
    runs: runs.length,
    failed: runs.filter(({ lagMs }) => lagMs === null).length,
    p50Ms: percentile(runs, 0.5),
    p99Ms: percentile(runs, 0.99),
    maxMs: percentile(runs, 1),
    lastAt: iso(last?.atMs ?? null),
    lastLagMs: last?.lagMs ?? null,
    lastFault: last?.fault ?? null,
  }
}

function showDrift({ drift, nowMs }: Readings): Status["drift"] {
  const oldestMs = oldestLookMs(drift)
  const seen = drift.filter(({ lookedAtMs }) => lookedAtMs !== null)
  return {
    looked: seen.length,
    waiting: drift.length - seen.length,
    oldestAgeS: oldestMs === null ? null : Math.max(0, Math.round((nowMs - oldestMs) / 1000)),
    found: drift.flatMap(({ about, fault, sinceMs }) =>
      fault === null || sinceMs === null ? [] : [{ about, fault, since: new Date(sinceMs).toISOString() }],
    ),
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
