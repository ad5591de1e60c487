/**
 * `/metrics`: the same readings in Prometheus' text format 0.0.4, for a scraper. Its token opens this path and no other, so that the monitoring holds no key to the
 * platform; an ops token does as well. No label ever holds a company or a subject.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { keyState } from "../../contracts/passport-keys.ts"
import { authenticateScraper } from "./authenticate.ts"
import type { Dependencies } from "./dependencies.ts"
import { callsByTeam } from "./script-host/call-budget.ts"
import { oldestLookMs, type Readings, readStatus } from "./status.ts"

const MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

/** Throws `api.unauthenticated`, `api.forbidden`. */
export async function answerMetrics(request: Request, deps: Dependencies): Promise<Response> {
  await authenticateScraper(request, deps)
  return new Response(renderMetrics(await readStatus(deps)), {
    headers: { "content-type": MEDIA_TYPE, "cache-control": "no-store" },
  })
}

type Sample = readonly [suffix: string, labels: Readonly<Record<string, string>>, value: number]
type Kind = "gauge" | "counter" | "histogram"

/** What is not known is absent: a scraper then alerts by absence, and no zero stands for a value. */
export function renderMetrics({
  nowMs,
  revision,
  feed,
  totals,
  looks,
  passportKeys,
  drift,
  cloudflare,
}: Readings): string {
  const { buckets, count, sumS, failed } = totals
  const ageS = (ms: number) => Math.max(0, (nowMs - ms) / 1000)
  const lag: Sample[] = [
    ...Object.entries(buckets).map(([le, within]): Sample => ["_bucket", { le }, within]),
    ["_bucket", { le: "+Inf" }, count],
    ["_sum", {}, sumS],
    ["_count", {}, count],
  ]
  // Those of no team are said in any case: none is a number that is known.
  const calls = new Map([[null, 0], ...callsByTeam(cloudflare.spent)])
  const good = looks.flatMap(({ issuer, goodAtMs }) => (goodAtMs === null ? [] : [[issuer, ageS(goodAtMs)] as const]))
  const oldestMs = oldestLookMs(drift)
  const drifted = drift.filter(({ fault }) => fault !== null)
  const feedGauge = (name: string, help: string, value: number | undefined) =>
    family(name, "gauge", help, value === undefined ? [] : [["", {}, value]])
  return [
    family(
      "sallyport_config_revision",
      "gauge",
      "Newest revision of the dispatch config.",
      revision === null ? [] : [["", {}, revision.revision]],
    ),
    family(
      "sallyport_config_age_seconds",
      "gauge",
      "Since the newest revision was published.",
      revision === null ? [] : [["", {}, ageS(Date.parse(revision.publishedAt))]],
    ),
    family(
      "sallyport_config_live",
      "gauge",
      "1 when KV names the newest revision.",
      revision === null ? [] : [["", {}, revision.liveAt === null ? 0 : 1]],
    ),
    family(
      "sallyport_revocation_lag_seconds",
      "histogram",
      "From asking for a revocation to the edge's first refusal, by the probe. A failed probe is beyond every bucket.",
      lag,
    ),
    family("sallyport_revocation_probe_failures_total", "counter", "Probes that could not begin or never ended.", [
      ["", {}, failed],
    ]),
    feedGauge("sallyport_revocation_feed_up", "1 when the revocation log answers.", feed === null ? 0 : 1),
    feedGauge("sallyport_revocation_feed_entries", "Revocations in force.", feed?.live),
    feedGauge("sallyport_revocation_feed_bytes", "What they take.", feed?.bytes),
    feedGauge("sallyport_revocation_feed_relays", "Relays that the log has heard of.", feed?.relays),
    feedGauge("sallyport_revocation_feed_head", "Sequence number of the newest revocation.", feed?.head),
    family(
      "sallyport_jwks_age_seconds",
      "gauge",
      "Since a usable key set was last found where the issuer publishes it.",
      good.map(([issuer, age]) => ["", { issuer }, age]),
    ),
    family(
      "sallyport_jwks_last_look_success",
      "gauge",
      "1 when the last look at the issuer's key set found a usable one, and that is in force.",
      looks.map(({ issuer, fault }) => ["", { issuer }, fault === null ? 1 : 0]),
    ),
    family(
      "sallyport_passport_key_age_seconds",
      "gauge",
      "Since it was the key's turn to sign; below zero while it waits.",
      passportKeys.map((key) => [
        "",
        { kid: key.kid, state: keyState(key, passportKeys, nowMs) },
        (nowMs - key.signsFromMs) / 1000,
      ]),
    ),
    family(
      "sallyport_drift_found",
      "gauge",
      "Things at Cloudflare that are not as they should be, of those that were looked at.",
      oldestMs === null ? [] : [["", {}, drifted.length]],
    ),
    family(
      "sallyport_drift",
      "gauge",
      "1 for each of them.",
      drifted.map(({ about }) => ["", { about }, 1]),
    ),
    family(
      "sallyport_drift_look_age_seconds",
      "gauge",
      "Since that was seen which was not seen for longest; what never was counts from the first try.",
      oldestMs === null ? [] : [["", {}, ageS(oldestMs)]],
    ),
    family(
      "sallyport_cloudflare_calls",
      "gauge",
      "Calls to Cloudflare's API that count at the moment, by the team they were made for; no team: for ops and the schedule.",
      [...calls].map(([team, count]) => ["", team === null ? {} : { team }, count]),
    ),
    family("sallyport_cloudflare_calls_limit", "gauge", "Of them, that Cloudflare takes in five minutes.", [
      ["", {}, cloudflare.callLimit],
    ]),
    family("sallyport_cloudflare_refused", "gauge", "1 while Cloudflare said that it takes no calls.", [
      ["", {}, cloudflare.refusedUntilMs === null ? 0 : 1],
    ]),
  ].join("")
}

function family(name: string, kind: Kind, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ""
  const lines = samples.map(([suffix, labels, value]) => `${name}${suffix}${labelText(labels)} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join("")}`
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return parts.length === 0 ? "" : `{${parts.join(",")}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
}
