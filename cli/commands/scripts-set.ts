import { type Command, InvalidArgumentError, Option } from "commander"
import { type Script, scriptShape } from "../../contracts/api.ts"
import { stickyBy } from "../../contracts/dispatch-config.ts"
import { apiOf, type ChangeOptions, changeCommandOf, collect, messageOf, positive, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { addKillOptions, type KillOptions, killOf } from "../kill-switch.ts"
import { printJson } from "../print.ts"
import { sayNotices } from "../say-notices.ts"

interface Options extends ChangeOptions, KillOptions {
  readonly team?: string
  readonly stickyBy?: string
  readonly cpuMs?: number
  readonly subRequests?: number
  readonly timeoutMs?: number
  readonly deployOnUpload?: boolean
  readonly keepAssetVersions?: number
  readonly keepPlacedVersions?: number
  readonly requireScope?: readonly string[] | false
  readonly requireKind?: readonly string[] | false
  readonly requireLevel?: number | false
  readonly requireMaxAuthAge?: number | false
  readonly requireFeed?: boolean
  readonly require?: false
}

/** Claims the name when nobody has it. Else it sends all settings, changed where an option says so, with If-Match: nobody's change in between is lost. */
export function scriptsSet(io: Io): Command {
  const command = changeCommandOf(
    "set",
    "claim a script's name, or change its settings",
    "scripts set files --timeout-ms 60000 --no-deploy-on-upload",
    "scripts set files --keep-placed-versions 20",
    "scripts set files --require-scope files:write",
    "scripts set payments --require-level 2 --require-max-auth-age 900",
    "scripts set payments --no-require-max-auth-age",
    "scripts set files --kill 'leaks, see the runbook'",
  )
    .argument("<script>")
    .option("--team <team>", "for whom to claim it; for ops only")
    .addOption(new Option("--sticky-by <key>", "what keeps a caller on one version").choices(stickyBy.options))
    .option("--cpu-ms <n>", "CPU milliseconds per request", positive)
    .option("--sub-requests <n>", "subrequests per request", positive)
    .option("--timeout-ms <n>", "milliseconds until response headers", positive)
    .option("--deploy-on-upload", "give an upload all traffic at once")
    .option("--no-deploy-on-upload", "make an upload a mere publish")
    .option(
      "--keep-asset-versions <n>",
      "earlier versions whose immutable assets a new one goes on serving; 0 to 10",
      within(0, 10),
    )
    .option(
      "--keep-placed-versions <n>",
      "versions, the last used first, that stay in place to go back to; 2 to 100",
      within(2, 100),
    )
    .option("--require-scope <scope>", "scope that callers need, by any route or sibling; repeatable", collect)
    .option("--no-require-scope", "none")
    .option("--require-kind <kind>", "kind of credential that callers need: user or service; repeatable", collect)
    .option("--no-require-kind", "any")
    .option("--require-level <n>", "least level of a session that callers need, 1–3", positive)
    .option("--no-require-level", "any")
    .option("--require-max-auth-age <s>", "seconds since the callers' login, at most", positive)
    .option("--no-require-max-auth-age", "any")
    .option("--require-feed", "refuse while it is not known what was revoked")
    .option("--no-require-feed", "pass then")
    .option("--no-require", "ask for none of these any more but what is named beside it")
  return addKillOptions(command, "the script, on all its routes and for siblings,").action(
    async (name: string, options: Options) => {
      const kill = killOf(options)
      const api = apiOf(io)
      const path = `/v1/scripts/${segment(name)}`
      const before = await api.find(path, scriptShape)
      const body = { ...settingsOf(before?.value, options, kill), ...messageOf(options) }
      const { value } = await api.put(path, scriptShape, { body, before })
      if (options.json) return printJson(io, value)
      io.out(`${before === null ? "Claimed" : "Changed"} script ${value.name} of team ${value.team}\n`)
      await sayNotices(io, api, { script: value.name })
    },
  )
}

function settingsOf(
  before: Script | undefined,
  options: Options,
  kill: object | null | undefined,
): Record<string, unknown> {
  const cpuMs = options.cpuMs ?? before?.limits.cpuMs
  const subRequests = options.subRequests ?? before?.limits.subRequests
  const settings = {
    team: options.team,
    stickyBy: options.stickyBy ?? before?.stickyBy,
    limits: cpuMs === undefined && subRequests === undefined ? undefined : { cpuMs, subRequests },
    timeoutMs: options.timeoutMs ?? before?.timeoutMs,
    deployOnUpload: options.deployOnUpload ?? before?.deployOnUpload,
    keepAssetVersions: options.keepAssetVersions ?? before?.keepAssetVersions,
    keepPlacedVersions: options.keepPlacedVersions ?? before?.keepPlacedVersions,
    access: accessOf(before, options),
    kill,
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

/** Undefined leaves it as it is, null asks nothing; an option replaces its own condition or takes it away, and keeps the others. */
function accessOf(before: Script | undefined, options: Options): object | null | undefined {
  const named = {
    scopes: options.requireScope,
    kinds: options.requireKind,
    minLevel: options.requireLevel,
    maxAuthAgeS: options.requireMaxAuthAge,
    sensitive: options.requireFeed,
  }
  const asked = Object.entries(named).filter(([, value]) => value !== undefined)
  if (asked.length === 0 && options.require !== false) return undefined
  const kept = options.require === false ? {} : before?.access
  const wanted = Object.entries({ ...kept, ...Object.fromEntries(asked) }).filter(([, value]) => value !== false)
  const asksNothing = wanted.every(([, value]) => Array.isArray(value) && value.length === 0)
  return asksNothing ? null : Object.fromEntries(wanted)
}

function within(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
    if (!(number >= least && number <= most))
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    return number
  }
}
