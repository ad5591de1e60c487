/**
 * In which zone a company lives, and whether this request may go there. The directory's answer is remembered for as long as the config revision that it is from is in force:
 * a request never goes by an older answer than the config that it is itself under (docs/decisions/0013).
 */
import type { MiddlewareHandler } from "hono"
import type { PassportClaims } from "../contracts/passport.ts"
import type { ZoneOfCompany } from "../contracts/platform.ts"
import { CONFIG_HEADER } from "../contracts/reserved-headers.ts"
import { BoundedCache } from "./bounded-cache.ts"
import { refuse } from "./problem.ts"

/** Companies remembered per isolate and generation of the cache, about 300 bytes each. */
const CACHED_COMPANIES = 5_000
/** RFC 9110 §9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])
const REVISION = /^[1-9][0-9]{0,14}$/

/** Asks the directory, for an answer of the config revision `atLeast` or a later one; null when it does not know the company. */
export type AskZone = (company: string, atLeast: number) => Promise<ZoneOfCompany | null>

export interface ZoneVariables {
  /** Null when the request names no company. */
  readonly zone: ZoneOfCompany | null
}

export interface ZoneResolutionOptions<Bindings> {
  /** `bindings` are the Worker's own: `(company, atLeast, env) => askPlatform(() => env.PLATFORM.zoneOf(company, atLeast))`. */
  readonly ask: (company: string, atLeast: number, bindings: Bindings) => Promise<ZoneOfCompany | null>
}

interface Variables extends ZoneVariables {
  readonly company: string | null
  readonly passport: PassportClaims
}

const STANDS_BEHIND = "zoneResolution() stands behind"
const ORDER = "app.use(requirePassport(…), companyDetection(), requireValidCompany(), zoneResolution(…))"

/**
 * Sets `zone`. Stands behind the passport check and company detection: without them before it every request ends with a TypeError. Refuses `company.unknown`, `company.moving`,
 * `zone.country-refused`, and whatever `ask` does.
 *
 * ```ts
 * app.use(zoneResolution<Env>({ ask: (company, atLeast, env) => askPlatform(() => env.PLATFORM.zoneOf(company, atLeast)) }))
 * app.get("/zone", (c) => c.json({ zone: c.var.zone?.zone ?? null }))
 * ```
 */
export function zoneResolution<Bindings extends object = object>(
  options: ZoneResolutionOptions<Bindings>,
): MiddlewareHandler<{ Bindings: Bindings; Variables: Variables }> {
  const directory = new ZoneDirectory()

  return async function zoneResolution(c, next) {
    const { company, passport } = c.var
    if (company === undefined)
      throw new TypeError(`${STANDS_BEHIND} companyDetection(), which sets "company": ${ORDER}`)
    if (passport === undefined)
      throw new TypeError(`${STANDS_BEHIND} requirePassport(), which sets "passport": ${ORDER}`)
    if (company === null) {
      c.set("zone", null)
    } else {
      const ask: AskZone = (id, atLeast) => options.ask(id, atLeast, c.env)
      const zone = await directory.zoneOf(company, revisionOf(c.req.raw.headers), ask)
      if (zone === null) throw refuse("company.unknown")
      checkZone(zone, methodOf(c.req.raw), passport.facts.country)
      c.set("zone", zone)
    }
    await next()
  }
}

/** By what a request may do: a WebSocket is opened by GET, and then changes what it likes. */
export function methodOf({ method, headers }: Pick<Request, "method" | "headers">): string {
  return headers.has("upgrade") ? "POST" : method
}

/** Whether a request may go to the zone. `method` as {@link methodOf} says. `country`: of the client's address, null when unknown. Throws `zone.country-refused`, `company.moving`. */
export function checkZone(zone: ZoneOfCompany, method: string, country: string | null): void {
  if (zone.countries !== null && (country === null || !zone.countries.includes(country)))
    throw refuse("zone.country-refused")
  const { moving } = zone
  if (moving === null || (moving.mode === "read-only" && SAFE_METHODS.has(method))) return
  throw refuse("company.moving", { headers: { "retry-after": String(moving.retryAfterS) } })
}

/**
 * The last look before a cell: a request that names a company goes to no other zone than the company's. It catches what a router decided just before a switch, and whoever comes by a
 * zone's own hostname for a company that has moved away. `home` is what the directory says; null, a company that it does not know, is for the cell to judge.
 * Throws as {@link checkZone}, and `company.elsewhere` for a client that chose the wrong zone itself.
 */
export function requireCompanyInZone(
  home: ZoneOfCompany | null,
  zone: string,
  method: string,
  passport: Pick<PassportClaims, "hops" | "facts">,
): void {
  if (home === null) return
  checkZone(home, method, passport.facts.country)
  if (home.zone === zone) return
  // A sibling chose the zone, by an older config than this one: the next try meets the new one everywhere.
  if (passport.hops > 0) throw refuse("company.moving", { headers: { "retry-after": "1" } })
  throw refuse("company.elsewhere", { detail: `Use ${home.baseUrl}.` })
}

/** The config revision that a request is under, as the dispatcher says; null when it does not. */
export function revisionOf(headers: Headers): number | null {
  const text = headers.get(CONFIG_HEADER)
  return text !== null && REVISION.test(text) ? Number(text) : null
}

/** What the directory said of companies. Unknown ones are never remembered, so that made-up ids push nothing out. */
export class ZoneDirectory {
  readonly #remembered = new BoundedCache<ZoneOfCompany>(CACHED_COMPANIES)

  /** Null when the directory does not know the company. Refuses `platform.unavailable` for an answer that is older than `revision`, the one that the request is under; with null nothing remembered is used. */
  async zoneOf(company: string, revision: number | null, ask: AskZone): Promise<ZoneOfCompany | null> {
    const known = this.#remembered.get(company)
    if (known !== undefined && revision !== null && known.revision >= revision) return known
    // Another isolate may have answered from a newer config than this request is under: going back behind it would undo a switch.
    const atLeast = Math.max(revision ?? 0, known?.revision ?? 0)
    const answer = await ask(company, atLeast)
    if (answer === null) return null
    if (!(answer.revision >= atLeast)) throw refuse("platform.unavailable", { log: { atLeast } })
    const latest = this.#remembered.get(company)
    if (latest !== undefined && latest.revision > answer.revision) return latest
    const zone = copyOf(answer)
    this.#remembered.set(company, zone)
    return zone
  }
}

/** Taken out of the answer: what came over RPC may hold on to the call that brought it. */
function copyOf({ zone, audience, baseUrl, countries, moving, revision }: ZoneOfCompany): ZoneOfCompany {
  return {
    zone,
    audience,
    baseUrl,
    countries: countries === null ? null : [...countries],
    moving: moving === null ? null : { mode: moving.mode, retryAfterS: moving.retryAfterS },
    revision,
  }
}
