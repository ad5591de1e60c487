/**
 * The `Explain` entrypoint: what would happen to a request, and why, by the very functions that decide it, without dispatching anything.
 * Bound by the control plane alone; the operator's tool for "which rule, which route, which release".
 */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { RouteAuth, ScreenConfig } from "../../contracts/dispatch-config.ts"
import type { ExplainRequest, ExplainStep, Explanation } from "../../contracts/platform.ts"
import type { Finding } from "../../contracts/trip.ts"
import { asRefusal, type Refusal } from "../../kit/problem.ts"
import { type Dependencies, dependenciesOf, type ReadyConfig } from "./dependencies.ts"
import { type Inbound, readInbound } from "./edge/read-inbound.ts"
import { screen } from "./edge/screen.ts"
import type { Env } from "./env.ts"
import { isGatewayPath } from "./gateway-endpoints.ts"
import { authenticate } from "./identity/authenticate.ts"
import { authorize, isSensitive, stepUpFor } from "./identity/authorize.ts"
import { loginOf, orLogin } from "./identity/login-redirect.ts"
import { refuseRevoked } from "./identity/refuse-revoked.ts"
import type { Subject } from "./identity/subject.ts"
import { type FoundRoute, findRoute, refuseSwitchedOff } from "./route/find-route.ts"
import { choiceOf, pickRelease, type Release } from "./route/pick-release.ts"
import { stickyFactsOf, stickyKeyOf } from "./route/release.ts"

export class Explain extends WorkerEntrypoint<Env> {
  /** Never throws for a request that would be refused: the refusal is the outcome. */
  async explain(asked: ExplainRequest): Promise<Explanation> {
    return explainRequest(asked, await dependenciesOf(this.env), (work) => this.ctx.waitUntil(work))
  }
}

/** As {@link Explain.explain}. */
export async function explainRequest(
  asked: ExplainRequest,
  deps: Dependencies,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Explanation> {
  const config = await deps.config.current(waitUntil)
  const steps: ExplainStep[] = []
  const explanation = (outcome: Explanation["outcome"]) => ({ configRevision: config.revision, steps, outcome })
  try {
    const request = requestFor(asked)
    if (isGatewayPath(request.url))
      return explanation({ kind: "gateway", what: "The gateway answers this path itself." })
    const release = await walk(request, asked, { deps, config, waitUntil }, steps)
    const { placedName, audience } = release.target
    return explanation({ kind: "dispatch", placedName, audience })
  } catch (thrown) {
    const { code, status } = asRefusal(thrown)
    return explanation({ kind: "problem", code, status })
  }
}

interface Around {
  readonly config: ReadyConfig
  readonly deps: Dependencies
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** The request line up to the dispatch, each stage leaving a step. */
async function walk(request: Request, asked: ExplainRequest, around: Around, steps: ExplainStep[]): Promise<Release> {
  const { config, deps } = around
  const say = (stage: ExplainStep["stage"], says: string, facts: Record<string, unknown> = {}) =>
    steps.push({ stage, says, facts })
  const inbound = { ...readInbound(request, "explain"), facts: { ...USUAL_FACTS, ...asked.facts } }
  say("inbound", `Reads as ${inbound.method} ${inbound.path} on ${inbound.hostname}.`, {
    removedHeaders: inbound.headerNamesToRemove,
  })
  explainScreen(inbound, around, say)
  const route = explainRoute(inbound, config, say)
  const subject = await explainAccess(inbound, route, around, say)
  const release = await explainRelease(inbound, route, subject, config, deps, say)
  say(
    "passport",
    `A passport for ${release.target.audience} would be made${route.config.zone === undefined ? "" : `, zone ${route.config.zone}`}.`,
    { audience: release.target.audience },
  )
  return release
}

/** An ordinary client of today, unless the question says otherwise. */
const USUAL_FACTS = { ip: null, country: null, colo: null, asn: null, tls: "TLSv1.3", bot: null }

function requestFor(asked: ExplainRequest): Request {
  return new Request(asked.url, { method: asked.method, headers: asked.headers, redirect: "manual" })
}

type Say = (stage: ExplainStep["stage"], says: string, facts?: Record<string, unknown>) => void

/** The brake counts real traffic only, so an explanation takes nothing from it. An address that nobody assumed is not one that the platform did not name: it is no reason to refuse. */
function explainScreen(inbound: Inbound, { config, deps }: Around, say: Say): void {
  const { addresses, brake } = config.screen
  const isAddressOpen = inbound.facts.ip === null && addresses.denied.length > 0
  const checks = {
    ...config.screen,
    addresses: isAddressOpen ? { ...addresses, denied: [] } : addresses,
    brake: { ...brake, mode: "off" as const },
  }
  const open = isAddressOpen ? " No client address was assumed, so that none could be a denied one." : ""
  const findings: Finding[] = []
  try {
    screen(
      inbound,
      checks,
      deps.brake,
      (finding) => findings.push(finding),
      () => undefined,
    )
  } catch (thrown) {
    const refusal = asRefusal(thrown)
    const check = checkOf(refusal)
    say("screen", `Refused by ${check}: ${refusal.code}.${open}`, { check, findings, ...refusal.options.log })
    throw refusal
  }
  const codes = findings.map((each) => each.code).join(", ")
  say("screen", `${codes === "" ? "No check objects." : `In log mode, would refuse: ${codes}.`}${open}`, { findings })
}

/** By its name in the policy section `screen`; two of them refuse by the same code. */
function checkOf({ code, options }: Refusal): keyof ScreenConfig | "another check" {
  switch (code) {
    case "edge.tls-too-old":
      return "tls"
    case "edge.method-not-allowed":
      return "methods"
    case "edge.url-too-long":
    case "edge.headers-too-large":
    case "edge.body-too-large":
      return "size"
    case "edge.address-denied":
      return options.log?.asn === undefined ? "addresses" : "asns"
    case "edge.country-denied":
      return "countries"
    default:
      return "another check"
  }
}

function explainRoute(inbound: Inbound, config: ReadyConfig, say: Say): FoundRoute {
  const matching = config.loaded.routes.matching(inbound.hostname, inbound.path)
  const considered = matching.map(({ config: each }) => ({
    id: each.id,
    path: each.path,
    script: each.script,
    team: each.team,
  }))
  const [chosen] = considered
  say(
    "route",
    chosen === undefined
      ? "No route matches."
      : `${chosen.id} (${chosen.path}) is the most specific of ${considered.length} that match.`,
    { considered },
  )
  const route = findRoute(inbound, config.loaded)
  refuseSwitchedOff(route, config.loaded, (finding) =>
    say("route", `The kill switch is set to ${finding.mode}.`, { ...finding }),
  )
  return route
}

/** Who calls and what they may; a refusal says at which of the stages, and whether a browser is sent to the login instead. */
async function explainAccess(inbound: Inbound, route: FoundRoute, around: Around, say: Say): Promise<Subject> {
  const { auth } = route.config
  const { access } = route.script
  let stage: "authenticate" | "authorize" = "authenticate"
  try {
    const subject = await explainSubject(inbound, route, around, say)
    stage = "authorize"
    authorize(subject, auth, around.deps.clock)
    authorize(subject, access, around.deps.clock)
    const scopes = [...new Set([...auth.scopes, ...(access?.scopes ?? [])])]
    const { minLevel = null, maxAuthAgeS = null } = stepUpFor(auth, access)
    say("authorize", scopes.length === 0 ? "Route and script ask for no scope." : "Every scope is there.", {
      scopes,
      minLevel,
      maxAuthAgeS,
      sensitive: isSensitive(auth, access),
    })
    return subject
  } catch (thrown) {
    const refusal = asRefusal(thrown)
    const instead = asRefusal(orLogin(thrown, loginOf(inbound, auth, access)))
    const { location } = instead.options.headers ?? {}
    // A form's refusal is another one too where it takes a cookie away, and leads nowhere.
    const says = instead === refusal || location === undefined ? "" : ` A browser goes to ${location} instead.`
    say(stage, `Refused: ${refusal.code}.${says}`, {
      ...shownIn(inbound, auth),
      ...refusal.options.log,
      detail: refusal.options.detail ?? null,
    })
    throw instead
  }
}

/** Nothing is noted of a session's use, for nobody used it. */
async function explainSubject(inbound: Inbound, route: FoundRoute, around: Around, say: Say): Promise<Subject> {
  const { config, deps, waitUntil } = around
  const { auth } = route.config
  const findings: Finding[] = []
  const note = (finding: Finding) => void findings.push(finding)
  const subject = await authenticate(inbound, route, config, deps, { note, waitUntil: null })
  await refuseRevoked(subject, isSensitive(auth, route.script.access), config, deps, { note, waitUntil })
  const { kind, scopes, company, companies, level } = subject
  say(
    "authenticate",
    kind === "anonymous" ? "Passes as anonymous." : `The credential is ${subject.id}'s, of ${subject.idp}.`,
    { ...shownIn(inbound, auth), kind, scopes, company, companies, level, findings },
  )
  return subject
}

/** Which credentials came, and which the route looks at. */
function shownIn({ authorization, sessionCookie }: Inbound, auth: RouteAuth): Record<string, unknown> {
  const shown = [
    ...(authorization === null ? [] : ["authorization"]),
    ...(sessionCookie === null ? [] : ["session cookie"]),
  ]
  return { mode: auth.mode, accept: auth.accept ?? ["bearer"], issuers: auth.issuers, shown }
}

async function explainRelease(
  inbound: Inbound,
  route: FoundRoute,
  subject: Subject,
  config: ReadyConfig,
  deps: Dependencies,
  say: Say,
): Promise<Release> {
  const choice = choiceOf(route)
  const facts = stickyFactsOf(inbound, subject)
  const release = pickRelease(choice, () => facts, await deps.pins.read(inbound.pin, choice.script), config.loaded)
  const whose = route.config.releases === undefined ? "the script's deployment" : "the route's own weights"
  const why = {
    only: `the only release of ${whose}`,
    weight: `chosen by ${whose} for ${stickyKeyOf(choice.stickyBy, facts)}`,
    pin: "asked for by a signed pin",
  }[release.why]
  say("release", `${release.target.placedName}: ${why}.`, {
    releases: choice.releases,
    stickyBy: choice.stickyBy,
    zone: route.config.zone ?? null,
  })
  return release
}
