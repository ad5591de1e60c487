/** Dependencies for tests of the request line: a fixed clock, counted ids, a config in memory, a namespace that is a function. Imported by tests only. */
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { CONFIG_POINTER_KEY, configKey, type DispatchConfig } from "../../contracts/dispatch-config.ts"
import type { TripRecord } from "../../contracts/trip.ts"
import type { Dependencies, ReadyConfig } from "./dependencies.ts"
import { Brake } from "./edge/brake.ts"
import { compileScreen } from "./edge/screen.ts"
import { exampleConfig } from "./example-config.ts"
import { VerifiedTokens } from "./identity/authenticate.ts"
import { IssuerRegistry } from "./identity/issuers.ts"
import { MintedPassports } from "./identity/mint-passport.ts"
import { importPassportKeys } from "./identity/passport-keys.ts"
import { PinReader } from "./identity/read-pin.ts"
import { PassportVerifier } from "./identity/verify-passport.ts"
import { ConfigHolder } from "./route/config.ts"
import { LoadedConfig } from "./route/loaded-config.ts"

export const NOW_S = 1_800_000_000
export const PIN_KEY = new Uint8Array(32).fill(7)

export interface Dispatched {
  readonly name: string
  readonly options: DynamicDispatchOptions
  readonly request: Request
}

export interface TestBed {
  readonly deps: Dependencies
  readonly trips: TripRecord[]
  readonly dispatched: Dispatched[]
  /** How often the config store was read. */
  readonly reads: () => number
  /** A bearer token of the example issuer for alice, with `claims` laid over hers. */
  readonly token: (claims?: Record<string, unknown>) => Promise<string>
}

type Answer = (request: Request) => Response | Promise<Response>

/** A request line over `config` (the example one with `changes`) whose every Worker is `answer`. */
export async function testBed(changes: Partial<DispatchConfig> = {}, answer: Answer = () => new Response("ok")) {
  const clock = { now: () => NOW_S * 1000 }
  let ids = 0
  const makeId = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, "0")}`
  const idp = await generateKeyPair("ES256", { extractable: true })
  const config = exampleConfig(changes)
  const [issuer] = Object.values(config.issuers)
  if (issuer !== undefined) {
    issuer.jwks.keys = [{ ...(await exportJWK(idp.publicKey)), kid: "k1", alg: "ES256" } as never]
  }
  const store = await storeOf(config)
  const issuers = new IssuerRegistry()
  const trips: TripRecord[] = []
  const dispatched: Dispatched[] = []
  const deps: Dependencies = {
    clock,
    makeId,
    config: new ConfigHolder<ReadyConfig>({
      source: store,
      clock,
      refreshMs: 5_000,
      maxStaleMs: 60_000,
      bundled: null,
      prepare: (document) => ({
        revision: document.revision,
        passportIssuer: document.passportIssuer,
        loaded: new LoadedConfig(document),
        screen: compileScreen(document.screen),
        tracing: document.tracing,
        issuers: issuers.prepare(document.issuers),
      }),
      log: () => undefined,
    }),
    brake: new Brake({ limit: async () => ({ success: true }) }, clock),
    verifiedTokens: new VerifiedTokens(),
    pins: new PinReader(clock, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"),
    mintedPassports: new MintedPassports(),
    passportVerifier: new PassportVerifier(clock),
    keys: await importPassportKeys(await ring()),
    namespace: namespaceOf(answer, dispatched),
    log: (record) => trips.push(record),
    tripSpans: null,
    environment: "test",
    bundle: "test",
  }
  const token = (claims: Record<string, unknown> = {}) =>
    new SignJWT({
      iss: "https://idp.example",
      aud: "https://api.example.com",
      sub: "alice",
      exp: NOW_S + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: "ES256", kid: "k1" })
      .sign(idp.privateKey)
  return { deps, trips, dispatched, reads: () => store.reads, token } satisfies TestBed
}

async function storeOf(config: DispatchConfig) {
  const text = JSON.stringify(config)
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  const digest = [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  const pointer = JSON.stringify({ revision: config.revision, digest, sizeBytes: text.length })
  const texts = new Map([
    [CONFIG_POINTER_KEY, pointer],
    [configKey(config.revision), text],
  ])
  return {
    reads: 0,
    async get(key: string) {
      this.reads += 1
      return texts.get(key) ?? null
    },
  }
}

async function ring(): Promise<string> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true })
  return JSON.stringify({ current: "k1", keys: [{ ...(await exportJWK(privateKey)), kid: "k1" }] })
}

function namespaceOf(answer: Answer, dispatched: Dispatched[]): DispatchNamespace {
  const get = (name: string, _args: unknown, options: DynamicDispatchOptions) => ({
    fetch: async (input: RequestInfo, init?: RequestInit) => {
      const request = new Request(input, init)
      dispatched.push({ name, options, request })
      return answer(request)
    },
  })
  return { get } as unknown as DispatchNamespace
}
