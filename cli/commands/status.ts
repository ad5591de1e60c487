import type { Command } from "commander"
import { type Status, statusShape } from "../../contracts/api-identity.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { ExitCode } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

/** What is promised of a revocation, milliseconds. */
const BOUND_MS = 5_000
/** Age of an issuer's keys from which on it is worth a look, unless its turn comes more seldom than that. */
const KEYS_OLD_S = 300
/** How often each is looked at where none has to wait for its turn. */
const LOOK_EVERY_S = 20
/** Milliseconds; the schedule rotates within a minute or two. */
const ROTATION_LATE_MS = 600_000
/** Age of the oldest look at Cloudflare from which on nobody would hear of a change within the hour. */
const LOOK_OLD_S = 3_600
/** The probe runs every minute. */
const PROBE_OLD_MS = 180_000

interface Line {
  readonly what: string
  readonly state: string
  /** Why it wants attention; null when all is well. */
  readonly attention: string | null
}

/** Ends with 2 when something wants attention, so that a script can watch it. */
export function status(io: Io, finish: (code: ExitCode) => void): Command {
  return commandOf(
    "status",
    "show how the platform fares: config, how long a revocation takes, keys and their age, what was changed at Cloudflare",
    "status",
    "status --json | jq .probe.p99Ms",
  ).action(async (options: CommonOptions) => {
    const { value } = await apiOf(io).get("/v1/status", statusShape)
    const lines = linesOf(value)
    if (lines.some(({ attention }) => attention !== null)) finish(2)
    if (options.json) return printJson(io, value)
    printTable(
      io,
      ["WHAT", "STATE", "ATTENTION"],
      lines.map(({ what, state, attention }) => [what, state, attention]),
      "Nothing is known.",
    )
  })
}

function linesOf({ at, config, revocations, probe, passportKeys, issuers, drift }: Status): Line[] {
  const line = (what: string, state: string, attention: string | null = null): Line => ({ what, state, attention })
  return [
    config === null
      ? line("config", "none", "nothing was published yet")
      : line(
          "config",
          `revision ${config.revision}, ${ageText(config.ageS)} old`,
          config.live ? null : "not in KV yet: `sallyport audit list` says what it is",
        ),
    revocations === null
      ? line("revocation feed", "no answer", "sensitive routes refuse when it lasts")
      : line("revocation feed", `${revocations.live} in force, relays of the last minute: ${revocations.relays}`),
    probeLine(probe, Date.parse(at)),
    ...ringLines(passportKeys, Date.parse(at)),
    ...passportKeys.keys.map(({ kid, state, signsFrom }) =>
      line(`passport key ${kid}`, signsFrom === null ? state : `${state}, signs from ${signsFrom}`),
    ),
    ...issuers.map((issuer) => line(`keys of ${issuer.id}`, ...issuerState(issuer))),
    driftLine(drift),
    ...drift.found.map(({ about, fault, since }) => line(about, `changed since ${since}`, fault)),
  ]
}

function issuerState({ ageS, fault, everyS }: Status["issuers"][number]): [state: string, attention: string | null] {
  const age = ageS === null ? "never found" : `${ageText(ageS)} old`
  const state = everyS > LOOK_EVERY_S ? `${age}, looked at every ${everyS} s` : age
  if (fault !== null) return [state, `its key set ${fault}`]
  return [state, ageS !== null && ageS > Math.max(KEYS_OLD_S, 2 * everyS) ? "not looked at" : null]
}

/** That all is well is only said of what was seen lately. */
function driftLine({ looked, waiting, oldestAgeS }: Status["drift"]): Line {
  const what = "at Cloudflare"
  if (oldestAgeS === null) return { what, state: "not looked at yet", attention: null }
  const rest = waiting === 0 ? "" : `, ${waiting} not seen yet`
  const state = `${looked} looked at, the last to have its turn ${ageText(oldestAgeS)} ago${rest}`
  return {
    what,
    state,
    attention: oldestAgeS > LOOK_OLD_S ? "not all was seen: the log's drift.not-seen says why" : null,
  }
}

/** Only where the schedule does not do its work. */
function ringLines({ configured, rotatesAt }: Status["passportKeys"], nowMs: number): Line[] {
  if (rotatesAt === null || nowMs - Date.parse(rotatesAt) <= ROTATION_LATE_MS) return []
  const why = configured ? "the control plane's log says why" : "the control plane has no RING_KEY"
  return [{ what: "passport keys", state: "overdue", attention: `no rotation since ${rotatesAt}: ${why}` }]
}

function probeLine(probe: Status["probe"], nowMs: number): Line {
  const { configured, runs, failed, p50Ms, p99Ms, maxMs, lastAt, lastLagMs, lastFault } = probe
  const what = "revocation lag"
  if (!configured) return { what, state: "not measured", attention: "the control plane has no SESSION_KEYS" }
  if (lastAt === null) return { what, state: "not measured yet", attention: null }
  const last = lastLagMs === null ? "failed" : seconds(lastLagMs)
  const state = `p50 ${seconds(p50Ms)}, p99 ${seconds(p99Ms)}, max ${seconds(maxMs)}, last ${last} (${runs} probes, ${failed} failed)`
  return { what, state, attention: attentionOf() }

  function attentionOf(): string | null {
    if (lastFault !== null) return `the last probe: ${lastFault}`
    if (nowMs - Date.parse(lastAt ?? "") > PROBE_OLD_MS) return "no probe for minutes"
    return p99Ms === null || p99Ms > BOUND_MS ? `p99 is beyond ${seconds(BOUND_MS)}` : null
  }
}

function seconds(ms: number | null): string {
  return ms === null ? "-" : `${(ms / 1000).toFixed(1)} s`
}

function ageText(s: number): string {
  if (s < 120) return `${s} s`
  return s < 7_200
    ? `${Math.round(s / 60)} min`
    : s < 172_800
      ? `${Math.round(s / 3600)} h`
      : `${Math.round(s / 86_400)} d`
}
