/**
 * Everything the request line needs, made once per isolate from the bindings. Tests build a `Dependencies` of their own;
 * the local entry has what is logged written to a place of its own.
 */

import { type DispatchConfig, parseDispatchConfig, type TracingConfig } from "../../contracts/dispatch-config.ts"
import type { TripRecord } from "../../contracts/trip.ts"
import { OtlpExporter, otlpDestination } from "../../kit/otlp-exporter.ts"
import { writeLog } from "../../kit/write-log.ts"
import bundledConfig from "../bundled-config.json"
import { Brake } from "./edge/brake.ts"
import { type CompiledScreen, compileScreen } from "./edge/screen.ts"
import type { Env } from "./env.ts"
import { type IdentityPolicy, identityPolicy, VerifiedTokens } from "./identity/authenticate.ts"
import { IssuerRegistry } from "./identity/issuers.ts"
import { MintedPassports } from "./identity/mint-passport.ts"
import { type PassportKeyRing, passportKeyRing } from "./identity/passport-keys.ts"
import { PinReader } from "./identity/read-pin.ts"
import { RevocationFeed } from "./identity/revocation-feed.ts"
import { SessionReader } from "./identity/session-reader.ts"
import { PassportVerifier } from "./identity/verify-passport.ts"
import { ServiceKeys } from "./identity/verify-service-key.ts"
import { ConfigHolder } from "./route/config.ts"
import { LoadedConfig } from "./route/loaded-config.ts"
import { TripSpans } from "./trace/trip-spans.ts"
import type { TripLog } from "./trip.ts"

/** One config revision, made ready for every stage. */
export interface ReadyConfig extends IdentityPolicy {
  readonly revision: number
  readonly passportIssuer: string
  readonly loaded: LoadedConfig
  readonly screen: CompiledScreen
  readonly tracing: TracingConfig
}

export interface Dependencies {
  readonly clock: { now(): number }
  readonly makeId: () => string
  readonly config: ConfigHolder<ReadyConfig>
  readonly brake: Brake
  readonly verifiedTokens: VerifiedTokens
  readonly sessions: SessionReader
  readonly serviceKeys: ServiceKeys
  readonly pins: PinReader
  readonly mintedPassports: MintedPassports
  readonly passportVerifier: PassportVerifier
  /** What was revoked; asked after every credential and passport that was verified. */
  readonly revocations: RevocationFeed
  /** The passports' keys; every config that comes into force is taken in. */
  readonly keys: PassportKeyRing
  readonly namespace: DispatchNamespace
  readonly log: TripLog
  /** Null when there is no collector to send to. */
  readonly tripSpans: TripSpans | null
  readonly environment: string
  /** Id of the deployed bundle, for `/version`. */
  readonly bundle: string
}

export interface Overrides {
  /** Where trips are written to; default the log. */
  readonly write?: (logged: LoggedTrip) => void
}

const perEnv = new WeakMap<Env, Dependencies | Promise<Dependencies>>()

/** The dependencies of this isolate: a promise for the first requests, then the thing itself. */
export function dependenciesOf(env: Env, overrides: Overrides = {}): Dependencies | Promise<Dependencies> {
  const known = perEnv.get(env)
  if (known !== undefined) return known
  const making = make(env, overrides).then((made) => {
    perEnv.set(env, made)
    return made
  })
  perEnv.set(env, making)
  return making
}

async function make(env: Env, overrides: Overrides): Promise<Dependencies> {
  const clock = { now: () => Date.now() }
  const makeId = () => crypto.randomUUID()
  const issuers = new IssuerRegistry()
  const keys = await passportKeyRing({ secret: env.PASSPORT_KEYS, ringKey: env.RING_KEY, log: writeLog })
  return {
    clock,
    makeId,
    config: new ConfigHolder<ReadyConfig>({
      source: env.CONFIG,
      clock,
      refreshMs: Number(env.CONFIG_REFRESH_MS),
      maxStaleMs: Number(env.CONFIG_MAX_STALE_MS),
      bundled: readBundled(),
      prepare: (document) => prepare(document, issuers, keys),
      log: writeLog,
    }),
    brake: new Brake(env.BRAKE, clock),
    verifiedTokens: new VerifiedTokens(),
    sessions: new SessionReader({ store: env.SESSIONS, keys: env.SESSION_KEYS ?? "", clock }),
    serviceKeys: new ServiceKeys(),
    pins: new PinReader(clock, env.PIN_KEY),
    mintedPassports: new MintedPassports(),
    passportVerifier: new PassportVerifier(clock),
    revocations: new RevocationFeed({
      relay: (location) => env.REVOCATION_RELAYS.getByName(location),
      clock,
      log: writeLog,
    }),
    keys,
    namespace: env.DISPATCHER,
    log: tripLog(overrides.write ?? writeLog),
    tripSpans: tripSpansOf(env),
    environment: env.ENVIRONMENT,
    bundle: env.CF_VERSION_METADATA?.id ?? "local",
  }
}

async function prepare(document: DispatchConfig, issuers: IssuerRegistry, keys: PassportKeyRing): Promise<ReadyConfig> {
  const ready = {
    revision: document.revision,
    passportIssuer: document.passportIssuer,
    loaded: new LoadedConfig(document),
    screen: compileScreen(document.screen),
    tracing: document.tracing,
    ...identityPolicy(document, issuers),
  }
  // Last: the keys of a config that is not taken up are not either.
  await keys.take(document.revision, document.passportKeys)
  return ready
}

/** An endpoint that cannot be one is said once per isolate, and costs nothing else: a collector is never a reason not to answer. */
function tripSpansOf(env: Env): TripSpans | null {
  if ((env.OTLP_ENDPOINT ?? "") === "") return null
  const destination = otlpDestination(env)
  if (destination === null) writeLog({ event: "otlp-destination-invalid" })
  return destination === null ? null : new TripSpans(new OtlpExporter(fetch), destination, env.ENVIRONMENT)
}

/** bundled-config.json is written before a deploy (docs/deploy.md); `null` or an invalid one is as none. */
function readBundled(): DispatchConfig | null {
  if (bundledConfig === null) return null
  const parsed = parseDispatchConfig(JSON.stringify(bundledConfig))
  return parsed.ok ? parsed.value : null
}

/** A trip as it is written: with the cause of a failure, of which a client hears nothing. */
export type LoggedTrip = TripRecord & { readonly cause?: string }

/** The cause of a failure goes to the log and nowhere else: a tenant's text is in it, so it is clipped, and what looks like a token is taken out. */
export function tripLog(write: (logged: LoggedTrip) => void): TripLog {
  return (record, refusal) => {
    const cause = refusal?.cause
    if (cause === undefined) write(record)
    else write({ ...record, cause: redact(cause instanceof Error ? cause.message : String(cause)) })
  }
}

/** Begins where a word does, and nowhere within one: a tenant's text of one long word would otherwise be read anew from each of its characters, in an isolate that all share. */
const TOKEN = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]{10,}){2,}|Bearer\s+\S+/gi
const TOKEN_CHARACTER = /[A-Za-z0-9_.-]/
const CAUSE_MOST = 500
/** Characters that are looked at: those that are kept, and tokens between them. */
const READ_MOST = 10 * CAUSE_MOST

/** `text` without tokens, at most 500 characters; takes time by the length of the text. */
export function redact(text: string): string {
  return clip(text).replace(TOKEN, "[token]").slice(0, CAUSE_MOST)
}

/** Half a token looks like none: the word that the clipping goes through counts as one. */
function clip(text: string): string {
  if (text.length <= READ_MOST) return text
  let end = READ_MOST
  while (end > 0 && TOKEN_CHARACTER.test(text.charAt(end - 1))) end -= 1
  return end === READ_MOST ? text.slice(0, end) : `${text.slice(0, end)}[token]`
}
