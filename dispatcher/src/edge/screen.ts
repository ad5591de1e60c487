/**
 * Stage "screen": the checks that every request passes before its route is known, cheap and certain ones first, the brake last because it counts.
 * Each check says what it objects to; its mode in the dispatch config decides whether that refuses or is only noted.
 */
import type { ScreenConfig } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import type { Refusal } from "../../../kit/problem.ts"
import { type Brake, checkBrake } from "./brake.ts"
import { type AddressRules, checkAddress, compileAddresses } from "./check-address.ts"
import { checkMethod, compileMethods, type MethodRules, modeForMethod } from "./check-method.ts"
import { checkAsn, checkCountry } from "./check-origin.ts"
import { checkBodySize, checkHeaderSize, checkUrlSize } from "./check-size.ts"
import { checkTls, compileTls, type TlsRules } from "./check-tls.ts"
import type { Inbound } from "./read-inbound.ts"

type Mode = Finding["mode"]

/** The screen of one config revision, parsed once. */
export interface CompiledScreen {
  readonly tls: TlsRules & { readonly mode: Mode }
  readonly methods: MethodRules
  readonly size: ScreenConfig["size"]
  readonly addresses: AddressRules & { readonly mode: Mode }
  readonly countries: { readonly mode: Mode; readonly deny: ReadonlySet<string> }
  readonly asns: { readonly mode: Mode; readonly deny: ReadonlySet<number> }
  readonly brake: ScreenConfig["brake"]
}

/** Throws a plain Error for a range that is none, which the config's parser lets nobody publish. */
export function compileScreen(config: ScreenConfig): CompiledScreen {
  return {
    tls: { mode: config.tls.mode, ...compileTls(config.tls) },
    methods: compileMethods(config.methods),
    size: config.size,
    addresses: { mode: config.addresses.mode, ...compileAddresses(config.addresses.deny) },
    countries: { mode: config.countries.mode, deny: new Set(config.countries.deny) },
    asns: { mode: config.asns.mode, deny: new Set(config.asns.deny) },
    brake: config.brake,
  }
}

/**
 * Passes, or refuses with `edge.*`. `note` takes what a check objected to, in either mode; `waitUntil` keeps the brake's report alive.
 * Nothing here waits: the brake reports behind the request.
 */
export function screen(
  inbound: Inbound,
  rules: CompiledScreen,
  brake: Brake,
  note: (finding: Finding) => void,
  waitUntil: (work: Promise<unknown>) => void,
): void {
  const { facts, method } = inbound
  const { tls, methods, size, addresses, countries, asns } = rules
  settle(checkTls(facts.tls, tls), tls.mode, note)
  settle(checkMethod(method, methods), modeForMethod(method, methods), note)
  settle(checkUrlSize(inbound.urlBytes, size), size.mode, note)
  settle(checkHeaderSize(inbound.headerBytes, size), size.mode, note)
  settle(checkBodySize(inbound.contentLength, size), size.mode, note)
  settle(checkAddress(facts.ip, addresses), addresses.mode, note)
  settle(checkCountry(facts.country, countries.deny), countries.mode, note)
  settle(checkAsn(facts.asn, asns.deny), asns.mode, note)
  if (rules.brake.mode === "off") return
  settle(checkBrake(facts.ip, brake, waitUntil), rules.brake.mode, note)
  // What other isolates count is unknown then. Requests go on: an abuse brake that fails must not become an outage.
  if (brake.isBlind) note({ code: "edge.brake-unavailable", mode: "log" })
}

function settle(objection: Refusal | null, mode: Mode, note: (finding: Finding) => void): void {
  if (objection === null) return
  note({ code: objection.code, mode })
  if (mode === "enforce") throw objection
}
