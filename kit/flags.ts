/**
 * Feature flags: a provider in OpenFeature's shape answers, a small client asks for one request, and nothing about a flag can fail a request.
 * Providers: {@link platformFlags} here, LaunchDarkly in `launchdarkly-flags.ts`, and any of OpenFeature's server providers.
 * @see OpenFeature specification §2 (providers), §1.7 (reasons and error codes); OpenTelemetry semantic conventions, feature flags
 */
import { trace } from "@opentelemetry/api"
import type { MiddlewareHandler } from "hono"
import type { PassportClaims, SubjectKind } from "../contracts/passport.ts"
import type { PlatformApi } from "../contracts/platform.ts"
import { awaitFor, within } from "./within.ts"

export type FlagValue = boolean | string | number

/** Whom a flag is evaluated for: the passport's subject, never what a client says of itself. A type, since an interface would not pass for OpenFeature's context. */
export type FlagContext = {
  /** `<idp>|<sub>`, since a subject is unique only beside who names it, or as {@link FlagsOptions.targetBy} says; all anonymous callers are one, `anonymous`. */
  readonly targetingKey: string
  readonly kind: SubjectKind
  /** Text, as ids exceed 53 bits. */
  readonly company?: string
  readonly zone?: string
}

export interface FlagDetails<T> {
  readonly value: T
  /** `STATIC`, `DEFAULT`, `TARGETING_MATCH`, `SPLIT`, `DISABLED`, `STALE`, `ERROR` or a provider's own. */
  readonly reason?: string
  readonly variant?: string
  /** `FLAG_NOT_FOUND`, `TYPE_MISMATCH`, `PROVIDER_NOT_READY`, `PARSE_ERROR`, `TARGETING_KEY_MISSING`, `GENERAL`. */
  readonly errorCode?: string
  readonly errorMessage?: string
}

type Resolve<T> = (key: string, fallback: T, context: FlagContext, logger: FlagLogger) => Promise<FlagDetails<T>>

/** The part of OpenFeature's `Provider` that is used. */
export interface FlagProvider {
  readonly metadata: { readonly name: string }
  resolveBooleanEvaluation: Resolve<boolean>
  resolveStringEvaluation: Resolve<string>
  resolveNumberEvaluation: Resolve<number>
}

export interface FlagLogger {
  error(...words: unknown[]): void
  warn(...words: unknown[]): void
  info(...words: unknown[]): void
  debug(...words: unknown[]): void
}

/** Flags for one request. A flag keeps its answer for the whole request, so that a switch thrown in the middle does not tear it in two. */
export interface FlagClient {
  boolean(key: string, fallback: boolean): Promise<boolean>
  string(key: string, fallback: string): Promise<string>
  number(key: string, fallback: number): Promise<number>
  /** With the reason, for logs and tests. */
  details(key: string, fallback: boolean): Promise<FlagDetails<boolean>>
  details(key: string, fallback: string): Promise<FlagDetails<string>>
  details(key: string, fallback: number): Promise<FlagDetails<number>>
}

export interface FlagsVariables {
  readonly flags: FlagClient
}

export interface FlagsOptions {
  /** Milliseconds that an evaluation may take before its default is given; default 1000. */
  readonly giveUpMs?: number
  /**
   * What the targeting key is. Default `issuer-and-subject`. `subject`: the subject alone, as it was before, for a Worker whose flags still list subjects or whose rollouts must not be drawn
   * anew; subjects of the same name at two identity providers are then one, so it is for Workers that only one provider's callers reach, until their flags name both.
   */
  readonly targetBy?: "issuer-and-subject" | "subject"
}

export interface KeptAlive {
  /** The request's own, where it has one: a provider's first look may be one that other requests wait for, and must not end with the client of the first. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined
}

/** What is known of a caller whose request has no passport. */
const NOBODY: FlagContext = { targetingKey: "anonymous", kind: "anonymous" }
/** Reasons travel in the answer; a provider's own words would be one line per flag and request. */
const SILENT: FlagLogger = { error() {}, warn() {}, info() {}, debug() {} }
const DEFAULT_GIVE_UP_MS = 1_000

/**
 * Sets `flags`, for the subject and company of `c.var.passport`; so it stands behind `requirePassport`. Nothing is asked until a flag is.
 * `provider` is made once per isolate from the Worker's bindings, or given as it is; one that cannot be made gives defaults.
 *
 * ```ts
 * app.use(flags((env: Env) => platformFlags(env.PLATFORM)))
 * app.get("/", async (c) => c.text((await c.var.flags.boolean("new-header", false)) ? "new" : "old"))
 * ```
 */
export function flags<Bindings extends object = object>(
  provider: FlagProvider | ((env: Bindings) => FlagProvider),
  options: FlagsOptions = {},
): MiddlewareHandler<{ Bindings: Bindings; Variables: FlagsVariables & { readonly passport?: PassportClaims } }> {
  const made = new WeakMap<Bindings, FlagProvider>()
  return async function flags(c, next) {
    const context = contextOf(c.get("passport"), options)
    c.set("flags", flagsFor(providerOf(c.env), context, { ...options, waitUntil: waitUntilOf(c) }))
    await next()
  }

  function providerOf(env: Bindings): FlagProvider {
    if (typeof provider !== "function") return provider
    const known = made.get(env)
    if (known !== undefined) return known
    const fresh = tryToMake(() => provider(env))
    made.set(env, fresh)
    return fresh
  }
}

function waitUntilOf(c: {
  readonly executionCtx: { waitUntil(work: Promise<unknown>): void }
}): KeptAlive["waitUntil"] {
  try {
    const { executionCtx } = c
    return (work) => executionCtx.waitUntil(work)
  } catch {
    // No execution context, as in a unit test.
    return undefined
  }
}

function tryToMake(make: () => FlagProvider): FlagProvider {
  try {
    return make()
  } catch (thrown) {
    const resolve = async <T>(_key: string, fallback: T) => failed(fallback, "PROVIDER_NOT_READY", nameOf(thrown))
    const metadata = { name: "none" }
    return {
      metadata,
      resolveBooleanEvaluation: resolve,
      resolveStringEvaluation: resolve,
      resolveNumberEvaluation: resolve,
    }
  }
}

function contextOf(
  passport: PassportClaims | undefined,
  { targetBy = "issuer-and-subject" }: FlagsOptions,
): FlagContext {
  if (passport === undefined) return NOBODY
  const { sub, idp, kind, company, zone } = passport
  return {
    targetingKey: kind === "anonymous" || targetBy === "subject" ? sub : `${idp ?? ""}|${sub}`,
    kind,
    ...(company === undefined ? {} : { company }),
    ...(zone === undefined ? {} : { zone }),
  }
}

/** The client of one request; also for use without Hono. No method of it rejects: what cannot be evaluated gives its default, with reason `ERROR`. */
export function flagsFor(
  provider: FlagProvider,
  context: FlagContext,
  options: FlagsOptions & KeptAlive = {},
): FlagClient {
  const { giveUpMs = DEFAULT_GIVE_UP_MS, waitUntil } = options
  const answered = new Map<string, Promise<FlagDetails<FlagValue>>>()

  function evaluate<T extends FlagValue>(key: string, fallback: T): Promise<FlagDetails<T>> {
    const id = JSON.stringify([key, fallback])
    const before = answered.get(id)
    // Same key and default: the same type.
    if (before !== undefined) return before as Promise<FlagDetails<T>>
    const details = safely(provider, key, fallback, context, giveUpMs)
    waitUntil?.(details)
    answered.set(id, details)
    return details
  }

  return {
    boolean: async (key, fallback) => (await evaluate(key, fallback)).value,
    string: async (key, fallback) => (await evaluate(key, fallback)).value,
    number: async (key, fallback) => (await evaluate(key, fallback)).value,
    details: evaluate as FlagClient["details"],
  }
}

async function safely<T extends FlagValue>(
  provider: FlagProvider,
  key: string,
  fallback: T,
  context: FlagContext,
  giveUpMs: number,
): Promise<FlagDetails<T>> {
  const details = await resolved(provider, key, fallback, context, giveUpMs)
  // What a provider says of itself and its reasons is not always what its types promise.
  const variant: unknown = details.variant
  trace.getActiveSpan()?.addEvent("feature_flag.evaluation", {
    "feature_flag.key": key,
    "feature_flag.provider.name": String(provider.metadata?.name),
    "feature_flag.result.reason": String(details.reason ?? "unknown").toLowerCase(),
    ...(typeof variant === "string" ? { "feature_flag.result.variant": variant } : {}),
  })
  return details
}

async function resolved<T extends FlagValue>(
  provider: FlagProvider,
  key: string,
  fallback: T,
  context: FlagContext,
  giveUpMs: number,
): Promise<FlagDetails<T>> {
  try {
    const details = await within(giveUpMs, ask(provider, key, fallback, context))
    if (typeof details.value === typeof fallback && !Number.isNaN(details.value)) return details as FlagDetails<T>
    return failed(fallback, details.errorCode ?? "TYPE_MISMATCH", details.errorMessage)
  } catch (thrown) {
    // OpenFeature's providers throw errors that carry the code.
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined
    return failed(fallback, typeof code === "string" ? code : "GENERAL", nameOf(thrown))
  }
}

function ask(
  provider: FlagProvider,
  key: string,
  fallback: FlagValue,
  context: FlagContext,
): Promise<FlagDetails<FlagValue>> {
  if (typeof fallback === "boolean") return provider.resolveBooleanEvaluation(key, fallback, context, SILENT)
  if (typeof fallback === "string") return provider.resolveStringEvaluation(key, fallback, context, SILENT)
  return provider.resolveNumberEvaluation(key, fallback, context, SILENT)
}

function failed<T>(value: T, errorCode: string, errorMessage?: string): FlagDetails<T> {
  return { value, reason: "ERROR", errorCode, ...(errorMessage === undefined ? {} : { errorMessage }) }
}

function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : typeof thrown
}

/** How often a provider looks at what it evaluates from, and how long its flags wait for that. */
export interface LookOptions {
  /** Milliseconds between two looks, also where the first came to nothing; default 5000. What ops switch is seen after this and the edge's own delay. */
  readonly refreshMs?: number
  /** Milliseconds that a look may take before what is known is given, below the flags' `giveUpMs`; default 500. */
  readonly lookMs?: number
  /** Milliseconds that flags wait for the first look, all of them together, before their defaults are given; default 1000. Nothing is known then, and the edge may be as cold as the Worker. */
  readonly firstLookMs?: number
  /** Milliseconds; default `Date`. */
  readonly clock?: { now(): number }
}

/** A look while nothing is known. `fault` is plain data, set before `done` settles, which never rejects. */
interface FirstLook {
  readonly startedAt: number
  done: Promise<void>
  fault: unknown
}

/**
 * What a provider evaluates from: asked for once per `refreshMs` and isolate by whichever request finds it too old, and kept while there is no answer, with `isStale`.
 * Before the first answer all wait for one look, none longer than `firstLookMs` from its beginning by a timer of its own, and when it came to nothing the next begins in its time:
 * until then it rejects at once, with what `ask` or `take` threw.
 * `take` makes of an answer what is kept, in the order of the looks; one that throws leaves what was kept before.
 */
export function lookSparingly<A, T>(
  ask: () => Promise<A>,
  take: (answer: A) => T | Promise<T>,
  options: LookOptions,
): () => Promise<{ readonly known: T; readonly isStale: boolean }> {
  const { refreshMs = 5_000, lookMs = 500, firstLookMs = DEFAULT_GIVE_UP_MS, clock = Date } = options
  let held: { readonly known: T } | null = null
  let lookedAt = Number.NEGATIVE_INFINITY
  let isStale = false
  let first: FirstLook | null = null

  async function run(look: FirstLook): Promise<void> {
    try {
      const answer = await ask()
      // Another that began later was quicker.
      if (held !== null) return
      held = { known: await take(answer) }
      lookedAt = clock.now()
    } catch (thrown) {
      look.fault = thrown
    }
  }

  async function lookFirst(): Promise<{ readonly known: T }> {
    const now = clock.now()
    if (first === null || now - first.startedAt >= refreshMs) {
      first = { startedAt: now, done: Promise.resolve(), fault: new Error(`no answer within ${firstLookMs} ms`) }
      first.done = run(first)
    }
    const look = first
    await awaitFor(look.startedAt + firstLookMs - now, look.done)
    if (held === null) throw look.fault
    return held
  }

  async function lookAgain(known: { readonly known: T }): Promise<{ readonly known: T }> {
    // Those who come meanwhile take what there is.
    lookedAt = clock.now()
    try {
      held = { known: await take(await within(lookMs, ask())) }
      lookedAt = clock.now()
      isStale = false
      return held
    } catch {
      isStale = true
      return known
    }
  }

  return async function current() {
    if (held === null) return { ...(await lookFirst()), isStale }
    const { known } = clock.now() - lookedAt < refreshMs ? held : await lookAgain(held)
    return { known, isStale }
  }
}

export type PlatformFlagsOptions = LookOptions

/**
 * The flags that ops keep in the dispatch config (`sallyport policy set flags`), the same for everybody: reason `STATIC`, or `STALE` while the platform does not answer.
 * `PROVIDER_NOT_READY` when it never has. Needs the grant `flags:read`. Only values are held between requests; a request asks by itself when they are too old.
 */
export function platformFlags(platform: Pick<PlatformApi, "flags">, options: PlatformFlagsOptions = {}): FlagProvider {
  const ask = async () => platform.flags()
  const current = lookSparingly(ask, (all): Readonly<Record<string, FlagValue>> => ({ ...all }), options)

  async function resolve<T extends FlagValue>(key: string, fallback: T): Promise<FlagDetails<T>> {
    const { known, isStale } = await current().catch((thrown: unknown) => {
      throw Object.assign(new Error(nameOf(thrown)), { code: "PROVIDER_NOT_READY" })
    })
    if (!Object.hasOwn(known, key)) return failed(fallback, "FLAG_NOT_FOUND")
    const value = known[key]
    if (typeof value !== typeof fallback) return failed(fallback, "TYPE_MISMATCH")
    return { value: value as T, reason: isStale ? "STALE" : "STATIC" }
  }

  return {
    metadata: { name: "sallyport" },
    resolveBooleanEvaluation: resolve,
    resolveStringEvaluation: resolve,
    resolveNumberEvaluation: resolve,
  }
}
