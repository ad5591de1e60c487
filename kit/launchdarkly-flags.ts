/**
 * LaunchDarkly as a provider of `flags.ts`: their Cloudflare SDK, which reads the flags that LaunchDarkly's own integration writes into a KV namespace. No request
 * to LaunchDarkly is made and no event is sent. A file of its own, because the SDK is 220 KB of a bundle (70 KB compressed) and needs the compatibility flag `nodejs_compat`.
 *
 * The SDK would read KV and parse the whole environment for every evaluation. Here the text is read once per `refreshMs` and isolate, parsed when it has changed, and
 * evaluated from memory; between requests live nothing but values.
 */
import * as sdk from "@launchdarkly/cloudflare-server-sdk"
import {
  type FlagContext,
  type FlagDetails,
  type FlagProvider,
  type FlagValue,
  type LookOptions,
  lookSparingly,
} from "./flags.ts"

/** Looks are at KV: a switch is seen after `refreshMs` and KV's own delay. */
export interface LaunchDarklyOptions extends LookOptions {
  /** The environment's client-side id: it names the KV key, `LD-Env-{clientSideId}`. It is no secret. */
  readonly clientSideId: string
  /** The namespace that LaunchDarkly's integration writes to. */
  readonly kv: Text
}

type Items = Readonly<Record<string, object>>
interface Kind {
  readonly namespace: string
}

/** What is used of the SDK, whose package leaves out the types that it names. */
interface Sdk {
  readonly EdgeFeatureStore: new (
    kv: Text,
    clientSideId: string,
    description: string,
    logger: object,
  ) => EnvironmentReader
  init(clientSideId: string, kv: Text, options: object): Client
}
interface Text {
  get(key: string): Promise<string | null>
}
interface EnvironmentReader {
  all(kind: Kind, callback: (items: Items) => void): Promise<void>
}
interface Client {
  waitForInitialization(): Promise<unknown>
  variationDetail(key: string, context: object, fallback: FlagValue): Promise<Variation>
}
interface Variation {
  readonly value: unknown
  readonly variationIndex?: number | null
  readonly reason: { readonly kind: string; readonly errorKind?: string }
}

const { EdgeFeatureStore, init } = sdk as unknown as Sdk
const SILENT = { error() {}, warn() {}, info() {}, debug() {} }

const REASONS: Readonly<Record<string, string>> = {
  OFF: "DISABLED",
  PREREQUISITE_FAILED: "DISABLED",
  FALLTHROUGH: "DEFAULT",
  TARGET_MATCH: "TARGETING_MATCH",
  RULE_MATCH: "TARGETING_MATCH",
}
const ERRORS: Readonly<Record<string, string>> = {
  CLIENT_NOT_READY: "PROVIDER_NOT_READY",
  FLAG_NOT_FOUND: "FLAG_NOT_FOUND",
  MALFORMED_FLAG: "PARSE_ERROR",
  USER_NOT_SPECIFIED: "TARGETING_KEY_MISSING",
  WRONG_TYPE: "TYPE_MISMATCH",
}

/**
 * The subject is LaunchDarkly's context `user`, the company its context `company`, so that a rollout can go by either. Reason `STALE` while KV does not answer;
 * `PROVIDER_NOT_READY` when it never has, or holds no environment of this id.
 *
 * ```ts
 * app.use(flags((env: Env) => launchDarklyFlags({ clientSideId: env.LAUNCHDARKLY_CLIENT_SIDE_ID, kv: env.LAUNCHDARKLY })))
 * ```
 */
export function launchDarklyFlags(options: LaunchDarklyOptions): FlagProvider {
  const { clientSideId, kv } = options
  if (clientSideId === "") throw new TypeError("launchDarklyFlags: clientSideId is empty")
  const memory = new ParsedEnvironment(clientSideId)
  let client: Client | null = null
  const ask = async () => kv.get(`LD-Env-${clientSideId}`)
  const take = async (text: string | null): Promise<Client> => {
    await memory.take(text)
    client ??= await memory.makeClient()
    return client
  }
  const current = lookSparingly(ask, take, options)

  async function resolve<T extends FlagValue>(key: string, fallback: T, context: FlagContext): Promise<FlagDetails<T>> {
    const { known, isStale } = await current().catch((cause: unknown) => {
      throw Object.assign(new Error("no environment in KV", { cause }), NOT_READY)
    })
    const { value, variationIndex, reason } = await known.variationDetail(key, contextOf(context), fallback)
    const variant = variationIndex == null ? {} : { variant: String(variationIndex) }
    if (reason.kind === "ERROR")
      return { value: fallback, reason: "ERROR", errorCode: ERRORS[reason.errorKind ?? ""] ?? "GENERAL" }
    if (typeof value !== typeof fallback) return { value: fallback, reason: "ERROR", errorCode: "TYPE_MISMATCH" }
    return { value: value as T, reason: isStale ? "STALE" : (REASONS[reason.kind] ?? reason.kind), ...variant }
  }

  return {
    metadata: { name: "launchdarkly" },
    resolveBooleanEvaluation: resolve,
    resolveStringEvaluation: resolve,
    resolveNumberEvaluation: resolve,
  }
}

const NOT_READY = { code: "PROVIDER_NOT_READY" } as const

function contextOf({ targetingKey, kind, company, zone }: FlagContext): object {
  const user = {
    key: targetingKey,
    anonymous: kind === "anonymous",
    subjectKind: kind,
    ...(zone === undefined ? {} : { zone }),
  }
  if (company === undefined) return { kind: "user", ...user }
  return { kind: "multi", user, company: { key: company } }
}

/**
 * The SDK's feature store, over what its own reader of the KV layout made of the text. The SDK takes one as an option, though its types name none;
 * the test that counts reads of KV would tell if it stopped to.
 */
class ParsedEnvironment {
  readonly #clientSideId: string
  #text: string | null = null
  #items: ReadonlyMap<string, Items> = new Map()

  constructor(clientSideId: string) {
    this.#clientSideId = clientSideId
  }

  /** Rejects when the text is none or no environment; then what was there before stays. */
  async take(text: string | null): Promise<void> {
    if (text === null) throw new Error("KV holds no such key")
    if (text === this.#text) return
    assertEnvironment(text)
    const reader = new EdgeFeatureStore({ get: async () => text }, this.#clientSideId, "Cloudflare", SILENT)
    const items = new Map<string, Items>()
    for (const namespace of ["features", "segments"]) {
      await reader.all({ namespace }, (found: Items) => items.set(namespace, found))
    }
    this.#items = items
    this.#text = text
  }

  async makeClient(): Promise<Client> {
    const featureStore = {
      get: (kind: Kind, key: string, callback: (item: object | null) => void) => {
        const items = this.#items.get(kind.namespace) ?? {}
        callback(Object.hasOwn(items, key) ? (items[key] ?? null) : null)
      },
      all: (kind: Kind, callback: (items: Items) => void) => callback(this.#items.get(kind.namespace) ?? {}),
      initialized: (callback: (is: boolean) => void) => callback(true),
      init: (_items: unknown, callback: () => void) => callback(),
      getDescription: () => "memory",
      upsert() {},
      delete() {},
      close() {},
    }
    const kv = { get: async () => this.#text }
    const client = init(this.#clientSideId, kv, { featureStore, logger: SILENT })
    await client.waitForInitialization()
    return client
  }
}

/** The SDK's reader would take what it cannot read for an environment without flags. */
function assertEnvironment(text: string): void {
  const { flags, segments } = JSON.parse(text) as { flags?: unknown; segments?: unknown }
  if (typeof flags !== "object" || flags === null || typeof segments !== "object" || segments === null)
    throw new TypeError("KV holds no environment of LaunchDarkly")
}
