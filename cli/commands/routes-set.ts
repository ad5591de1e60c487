import { type Command, Option } from "commander"
import { type Route, routePut, routeShape } from "../../contracts/api.ts"
import { stickyBy } from "../../contracts/dispatch-config.ts"
import { toFaults } from "../../contracts/to-faults.ts"
import { apiOf, type ChangeOptions, changeCommandOf, collect, messageOf, positive, segment } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { addKillOptions, type KillOptions, killOf } from "../kill-switch.ts"
import { printJson } from "../print.ts"
import { parseReleases, releasesText } from "../releases.ts"
import { sayNotices } from "../say-notices.ts"

interface Options extends ChangeOptions, KillOptions {
  readonly hostname?: string
  readonly path?: string
  readonly script?: string
  readonly team?: string
  readonly zone?: string
  readonly auth?: Route["auth"]["mode"]
  readonly issuer?: readonly string[]
  readonly scope?: readonly string[]
  readonly accept?: readonly string[]
  readonly audience?: readonly string[] | false
  readonly minLevel?: number | false
  readonly maxAuthAge?: number | false
  readonly sensitive?: boolean
  readonly login?: string | false
  readonly releases?: readonly string[] | false
  readonly stickyBy?: Route["stickyBy"]
  readonly timeoutMs?: number
  readonly open?: boolean
  readonly preflight?: "worker" | false
  readonly problemsReadableBy?: readonly string[] | false
}

/** What a new route cannot do without. */
const NEEDED = ["hostname", "path", "script", "auth"] as const

/** Sends the whole route, changed where an option says so, with If-Match: nobody's change in between is lost. */
export function routesSet(io: Io): Command {
  const command = changeCommandOf(
    "set",
    "make a route, or change one",
    "routes set web-pages --hostname app.procore.com --path '/webclients/*' --script pages --auth none",
    "routes set web-app --accept session --issuer corporate --login /login/start",
    "routes set web-pages --releases 12=90 13=10 --sticky-by company",
    "routes set web-pages --kill 'wrong assets, see the runbook'",
  )
    .argument("<route>", "its id; you choose it")
    .option("--hostname <hostname>", "such as app.procore.com")
    .option("--path <pattern>", "/a/b, or /a/* for /a and everything below it")
    .option("--script <script>", "where it leads")
    .option("--team <team>", "whose it is; for ops only")
    .option("--zone <zone>", "zone named in the passport")
    .addOption(new Option("--auth <mode>", "credential").choices(["required", "optional", "none"]))
    .option("--issuer <id>", "accepted issuer; repeatable; replaces all", collect)
    .option("--scope <scope>", "required scope; repeatable; replaces all", collect)
    .option("--accept <credential>", "bearer, session or service-key; repeatable; replaces all", collect)
    .option("--audience <aud>", "accepted audience of bearer tokens; repeatable; replaces all", collect)
    .option("--no-audience", "whatever the issuer's are")
    .option("--min-level <n>", "least level of a session, 1–3", positive)
    .option("--no-min-level", "any")
    .option("--max-auth-age <s>", "seconds since the login, at most", positive)
    .option("--no-max-auth-age", "any")
    .option("--sensitive", "refuse while it is not known what was revoked")
    .option("--no-sensitive", "pass then")
    .option("--login <path>", "where a browser without a session is sent, such as /login/start")
    .option("--no-login", "nowhere")
    .option("--releases <version=percent...>", "releases of this route alone")
    .option("--no-releases", "follow the script's own deployment again")
    .addOption(new Option("--sticky-by <key>", "what keeps a caller on one version").choices(stickyBy.options))
    .option("--timeout-ms <n>", "milliseconds until response headers", positive)
    .option("--open", "let other teams attach more specific paths")
    .option("--no-open", "do not")
    .addOption(
      new Option("--preflight <who>", "who answers CORS preflights, which carry no credential").choices(["worker"]),
    )
    .option("--no-preflight", "treat them like any request")
    .option(
      "--problems-readable-by <origin>",
      "web origin whose pages may read what the gateway itself refuses here; repeatable; replaces all",
      collect,
    )
    .option("--no-problems-readable-by", "none")
  return addKillOptions(command, "the route").action(async (id: string, options: Options) => {
    const kill = killOf(options)
    const api = apiOf(io)
    const path = `/v1/routes/${segment(id)}`
    const before = await api.find(path, routeShape)
    const route = wanted(before?.value, options, kill)
    const parsed = routePut.safeParse(route)
    if (!parsed.success) {
      const isLacking = before === null && NEEDED.some((field) => route[field] === undefined)
      throw new Failure(isLacking ? `There is no route ${id}; to make it, more is needed` : "Not a route", {
        errors: toFaults(parsed.error),
        fix: isLacking
          ? "A new route needs --hostname, --path, --script and --auth; `sallyport routes set --help` shows one."
          : "Correct what is named; `sallyport routes set --help` says what each option takes.",
      })
    }
    const { value } = await api.put(path, routeShape, { body: parsed.data, before })
    if (options.json) return printJson(io, value)
    const releases = value.releases === undefined ? "" : `, releases ${releasesText(value.releases)}`
    const state = value.kill === undefined ? "" : `, switched off (${value.kill.mode})`
    const verb = before === null ? "Made" : "Changed"
    io.out(`${verb} route ${id}: ${value.hostname}${value.path} → ${value.script}${releases}${state}\n`)
    await sayNotices(io, api, { about: `routes/${id}` })
  })
}

/** The route as it should be; what is missing in a new one is found by the schema. */
function wanted(before: Route | undefined, options: Options, kill: object | null | undefined): Record<string, unknown> {
  const { id: _id, ...kept } = before ?? {}
  const route: Record<string, unknown> = {
    ...kept,
    ...given({
      hostname: options.hostname,
      path: options.path,
      script: options.script,
      team: options.team,
      zone: options.zone,
      stickyBy: options.stickyBy,
      timeoutMs: options.timeoutMs,
      open: options.open,
    }),
    ...messageOf(options),
  }
  const auth = given({
    mode: options.auth,
    issuers: options.issuer,
    scopes: options.scope,
    accept: options.accept,
    audiences: options.audience,
    minLevel: options.minLevel,
    maxAuthAgeS: options.maxAuthAge,
    sensitive: options.sensitive,
    login: options.login,
  })
  if (before !== undefined || Object.keys(auth).length > 0) route.auth = withoutFalse({ ...before?.auth, ...auth })
  if (Array.isArray(options.releases)) route.releases = parseReleases(options.releases)
  if (options.releases === false) delete route.releases
  if (kill === null) delete route.kill
  else if (kill !== undefined) route.kill = kill
  if (options.preflight === "worker") route.preflight = "worker"
  if (options.preflight === false) delete route.preflight
  if (Array.isArray(options.problemsReadableBy)) route.problemsReadableBy = options.problemsReadableBy
  if (options.problemsReadableBy === false) delete route.problemsReadableBy
  return route
}

/** `false` is what a `--no-…` leaves behind: as if nothing had been said. */
function withoutFalse(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== false))
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
