/** Dependencies for tests of the request line: a fixed clock, counted ids, a config in memory, a namespace that is a function. Imported by tests only. */
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import { CONFIG_POINTER_KEY, configKey, type DispatchConfig } from "../../contracts/dispatch-config.ts"
import { SESSION_COOKIE, type SessionSeal, seenKey, sessionKey } from "../../contracts/session.ts"
import type { TripRecord } from "../../contracts/trip.ts"
import { sealSession } from "../../kit/session-cookie.ts"
import type { Dependencies, ReadyConfig } from "./dependencies.ts"
import { Brake } from "./edge/brake.ts"
import { compileScreen } from "./edge/screen.ts"
import { exampleConfig } from "./example-config.ts"
import { identityPolicy, VerifiedTokens } from "./identity/authenticate.ts"
import { IssuerRegistry } from "./identity/issuers.ts"
import { MintedPassports } from "./identity/mint-passport.ts"
import { passportKeyRing } from "./identity/passport-keys.ts"
import { PinReader } from "./identity/read-pin.ts"
import { RevocationFeed } from "./identity/revocation-feed.ts"
import { SessionReader } from "./identity/session-reader.ts"
import { PassportVerifier } from "./identity/verify-passport.ts"
import { ServiceKeys } from "./identity/verify-service-key.ts"
import { ConfigHolder } from "./route/config.ts"
import { LoadedConfig } from "./route/loaded-config.ts"
import { sessionOf, TestRelay, TestSessions } from "./test-stores.ts"

export const NOW_S = 1_800_000_000
export const PIN_KEY = new Uint8Array(32).fill(7)
export const SESSION_KEYS = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"

export interface Dispatched {
  readonly name: string
  readonly options: DynamicDispatchOptions
  readonly request: Request
}

export interface TestBed {
  readonly deps: Dependencies
  readonly trips: TripRecord[]
  readonly dispatched: Dispatched[]
  /** The relay of the revocation log. */
  readonly relay: TestRelay
  /** The session store; what it holds, and whether it answers. */
  readonly sessions: TestSessions
  /** Milliseconds since the epoch; the test moves it. */
  readonly time: { nowMs: number }
  /** Logs alice in, with `changes` laid over her session: the value of her cookie. */
  readonly login: (changes?: Partial<SessionSeal>) => Promise<{ readonly cookie: string; readonly handle: string }>
  /** How often the config store was read. */
  readonly reads: () => number
  /** A bearer token of the example issuer for alice, with `claims` laid over hers. */
  readonly token: (claims?: Record<string, unknown>) => Promise<string>
}

type Answer = (request: Request) => Response | Promise<Response>

/** A request line over `config` (the example one with `changes`) whose every Worker is `answer`. */
export async function testBed(changes: Partial<DispatchConfig> = {}, answer: Answer = () => new Response("ok")) {
  const time = { nowMs: NOW_S * 1000 }
  const clock = { now: () => time.nowMs }
  const sessions = new TestSessions()
  const relay = new TestRelay()
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
        ...identityPolicy(document, issuers),
      }),
      log: () => undefined,
    }),
    brake: new Brake({ limit: async () => ({ success: true }) }, clock),
    verifiedTokens: new VerifiedTokens(),
    sessions: new SessionReader({ store: sessions, keys: SESSION_KEYS, clock, limitMs: 20 }),
    serviceKeys: new ServiceKeys(),
    pins: new PinReader(clock, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"),
    mintedPassports: new MintedPassports(),
    passportVerifier: new PassportVerifier(clock),
    revocations: new RevocationFeed({ relay: () => relay, clock, log: () => undefined }),
    keys: await passportKeyRing({ secret: await ring(), log: () => undefined }),
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
      iat: NOW_S - 60,
      exp: NOW_S + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: "ES256", kid: "k1" })
      .sign(idp.privateKey)
  const login = async (changes: Partial<SessionSeal> = {}) => {
    const seal = { ...sessionOf(time.nowMs), ...changes }
    const { cookieValue, handle } = await sealSession(seal, SESSION_KEYS)
    sessions.texts.set(sessionKey(handle), "{}")
    sessions.texts.set(seenKey(handle), String(seal.createdAtMs))
    return { cookie: `${SESSION_COOKIE}=${cookieValue}`, handle }
  }
  return { deps, trips, dispatched, relay, sessions, time, login, reads: () => store.reads, token } satisfies TestBed
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
