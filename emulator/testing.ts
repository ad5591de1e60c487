/**
 * `sallyport/testing`: the whole platform inside a team's own tests. Nothing is mocked between the request and the Worker: the dispatcher,
 * the control plane and the namespace are the ones of `npm start`, on free ports and with state that is thrown away.
 *
 * It is not on a registry. A team's package names a checkout, `"sallyport": "file:../sallyport"`, in which `npm start` or `npm test` ran once
 * so that its packages are installed; npm links it, and Node.js runs its TypeScript as it stands. Tests run on Node.js 24, with time for
 * the first start and for wrangler: in vitest, `testTimeout: 60_000, hookTimeout: 180_000`.
 *
 * ```ts
 * import { startTestPlatform, type TestPlatform } from "sallyport/testing"
 *
 * let platform: TestPlatform
 * beforeAll(async () => {
 *   platform = await startTestPlatform()
 *   await platform.uploadWorker({ directory: "user-workers/pages", script: "pages", route: "https://app.example.com/webclients/*" })
 * })
 * afterAll(() => platform.dispose())
 *
 * it("serves the app to a signed-in user", async () => {
 *   const response = await platform.fetch("https://app.example.com/webclients/", {}, { subject: "alice", company: "100" })
 *   expect(response.status).toBe(200)
 *   expect((await platform.tripOf(response)).subjectKind).toBe("user")
 * })
 * ```
 */
import { existsSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose"
import type { Script, Team } from "../contracts/api.ts"
import { type PassportClaims, scriptAudience } from "../contracts/passport.ts"
import type { TripRecord } from "../contracts/trip.ts"
import { EXAMPLE_ISSUER_ID } from "./cells/issuer.ts"
import { type ControlPlaneClient, controlPlaneClient } from "./control-plane-client.ts"
import { type EdgeRequestInit, edgeRequest } from "./edge-request.ts"
import { policyFor } from "./example-layout.ts"
import { type Platform, type PlatformOptions, startPlatform } from "./platform.ts"
import { PORT_NAMES } from "./ports.ts"
import { deployWithWrangler } from "./upload.ts"
import { uploadSource } from "./upload-source.ts"

/** A Worker that answers, as JSON, what it received: method, url, headers (with `x-passport`) and body. Read it with `received`. */
export const ECHO_WORKER = `export default {
  async fetch(request) {
    const { method, url, headers } = request
    return Response.json({ method, url, headers: Object.fromEntries(headers), body: await request.text() })
  },
}
`

/** Milliseconds that a wait of this module lasts at most, and between its looks. */
const WAIT_MS = 15_000
const LOOK_EVERY_MS = 20
/** How often the edge looks for a newer config: tests change it all the time. */
const IMPATIENT = { CONFIG_REFRESH_MS: "40", CONFIG_MAX_STALE_MS: "80" }
/** What the gateway serves itself, it serves on every hostname. */
const EDGE = "https://gateway.example.com"
/** The team that uploads when a test names none. */
const DEFAULT_TEAM = "test-team"

/** Who a request comes from, and from where. Without `subject` it carries no credential. */
export interface Caller {
  readonly subject?: string
  /** Company id, decimal text. */
  readonly company?: string
  /** Space-separated scopes. */
  readonly scope?: string
  /** What Cloudflare's front would know of the connection; the default is 127.0.0.1 and nothing else. */
  readonly facts?: {
    readonly ip?: string
    readonly country?: string
    readonly colo?: string
    readonly asn?: number
    readonly tlsVersion?: string
  }
}

export interface RouteWanted {
  readonly hostname: string
  /** `/a/b` or `/a/*`. */
  readonly path: string
  /** Default `optional`, with the example issuer: with and without a subject. */
  readonly auth?: "required" | "optional" | "none"
  readonly scopes?: readonly string[]
  readonly zone?: string
  readonly timeoutMs?: number
  readonly releases?: readonly { readonly version: number; readonly weightBps: number }[]
  readonly stickyBy?: "company" | "subject" | "request"
}

export interface WorkerUpload {
  /** Folder with a wrangler.json, wrangler.jsonc or wrangler.toml: uploaded by a real wrangler process, in seconds. */
  readonly directory?: string
  /** Text of one ES module: uploaded by the same form that wrangler sends, through the same door, in milliseconds. */
  readonly source?: string
  /** Variables beside those of wrangler's config, or other values; for a directory. */
  readonly vars?: Readonly<Record<string, string>>
  /** Secrets, as `wrangler deploy --secrets-file` takes them; for a directory. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Default: the name in wrangler's config for a directory; needed for a source. */
  readonly script?: string
  /** Made when it does not exist. Default `test-team`. */
  readonly team?: string
  /** Where it shall answer: `https://app.example.com/hello/*`, or more precisely. Without it, the script gets no route. */
  readonly route?: string | RouteWanted
}

export interface UploadedWorker {
  readonly script: string
  /** The newest version, which is this upload's unless the script's `deployOnUpload` is off and the content was known. */
  readonly version: number
  /** The config revision that the edge enforces from here on. */
  readonly configRevision: number
}

/** What the {@link ECHO_WORKER} received. */
export interface Received {
  readonly method: string
  readonly url: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Verified against the edge's key set, for the audience of the script that echoed. */
  readonly passport: PassportClaims
  readonly body: string
}

export interface TestPlatform extends Platform {
  /** The control plane's `/v1`, as ops. */
  readonly api: ControlPlaneClient
  /** Makes or changes a team; `egress` are origins that its Workers may call. */
  putTeam(team: string, settings?: { grants?: readonly string[]; egress?: readonly string[] }): Promise<void>
  /** A token of the team, which is made when it does not exist. */
  tokenOf(team: string): Promise<string>
  /** Uploads, deploys and routes; resolves when the edge enforces it all. */
  uploadWorker(upload: WorkerUpload): Promise<UploadedWorker>
  /** Makes or changes a route; resolves when the edge enforces it. */
  putRoute(id: string, route: RouteWanted & { readonly script: string; readonly team?: string }): Promise<void>
  /** A request through the dispatcher, as any hostname and anybody. Redirects are not followed. */
  fetch(url: string, init?: EdgeRequestInit, caller?: Caller): Promise<Response>
  /** The record of the request that got this response; waits until it is written. */
  tripOf(response: Response): Promise<TripRecord>
  /** The claims of a passport, verified against the edge's key set. Rejects when it is not for `audience`. */
  passportOf(token: string, audience: string): Promise<PassportClaims>
  /** Reads the answer of an {@link ECHO_WORKER}. */
  received(response: Response): Promise<Received>
  /** Resolves when the edge enforces this revision or a later one; default: the one published last. Rejects after 15 s. */
  waitForConfig(revision?: number): Promise<number>
}

/** Options of {@link startTestPlatform}: as {@link PlatformOptions}; state and ports are chosen for you. */
export type TestPlatformOptions = Pick<
  PlatformOptions,
  "vars" | "configGate" | "onProgress" | "edges" | "revocationsStandIn"
>

/**
 * Starts a platform with the example cells, token issuer, zones and companies, but no team, route or Worker.
 * The first start in a checkout bundles the platform's Workers, which takes some seconds. Dispose of it in `afterAll`.
 */
export async function startTestPlatform(options: TestPlatformOptions = {}): Promise<TestPlatform> {
  const stateDir = await mkdtemp(path.join(tmpdir(), "sallyport-test-"))
  const removeState = () => rm(stateDir, { recursive: true, force: true, maxRetries: 3 })
  try {
    const ports = Object.fromEntries(PORT_NAMES.map((name) => [name, 0]))
    const vars = { ...options.vars, dispatcher: { ...IMPATIENT, ...options.vars?.dispatcher } }
    const platform = await startPlatform({ ...options, vars, stateDir, ports })
    const dispose = () => platform.dispose().then(removeState)
    try {
      const api = controlPlaneClient(platform.controlPlaneUrl, platform.opsToken)
      for (const [section, document] of Object.entries(policyFor(platform)))
        await api.put(`/v1/policy/${section}`, document)
      return { ...platform, ...testing(platform, api), dispose }
    } catch (error) {
      await dispose()
      throw error
    }
  } catch (error) {
    await removeState()
    throw error
  }
}

function testing(platform: Platform, api: ControlPlaneClient): Omit<TestPlatform, keyof Platform> {
  const tokens = new Map<string, Promise<string>>()
  const hostnames = new Set<string>()
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", EDGE), {
    cooldownDuration: 0,
    [customFetch]: (url) => edgeRequest(platform.edgeUrl, url.toString()),
  })

  const passportOf: TestPlatform["passportOf"] = async (token, audience) => {
    const { payload } = await jwtVerify(token, keys, { audience, typ: "passport+jwt", algorithms: ["ES256"] })
    return payload as unknown as PassportClaims
  }
  const putTeam: TestPlatform["putTeam"] = async (team, settings = {}) => {
    await api.put<Team>(`/v1/teams/${team}`, { grants: settings.grants ?? [], egress: settings.egress ?? [] })
  }
  const makeToken = async (team: string): Promise<string> => {
    const exists = await api.get(`/v1/teams/${team}`).then(
      () => true,
      () => false,
    )
    if (!exists) await putTeam(team)
    return (await api.post<{ token: string }>(`/v1/teams/${team}/tokens`, { label: "test" })).token
  }
  const tokenOf: TestPlatform["tokenOf"] = (team) => {
    const token = tokens.get(team) ?? makeToken(team)
    tokens.set(team, token)
    return token
  }
  const waitForConfig: TestPlatform["waitForConfig"] = async (revision) => {
    const wanted = revision ?? (await api.get<{ revision: number }>("/v1/config")).revision
    return poll(`config revision ${wanted}`, async () => {
      // Asking whether it is ready also makes the edge look for a newer config; any hostname will do.
      const response = await edgeRequest(platform.edgeUrl, `${EDGE}/.sallyport/health/ready`)
      const { config } = (await response.json()) as { config: { revision: number | null } }
      return config.revision !== null && config.revision >= wanted ? config.revision : null
    })
  }
  const putRoute: TestPlatform["putRoute"] = async (id, { hostname, auth = "optional", scopes, ...route }) => {
    const team = route.team ?? DEFAULT_TEAM
    if (!hostnames.has(hostname)) await api.put(`/v1/hostnames/${hostname}`, { team, open: true })
    hostnames.add(hostname)
    const issuers = auth === "none" ? [] : [EXAMPLE_ISSUER_ID]
    await api.put(`/v1/routes/${id}`, { ...route, hostname, team, auth: { mode: auth, issuers, scopes: scopes ?? [] } })
    await waitForConfig()
  }

  return {
    api,
    putTeam,
    tokenOf,
    putRoute,
    passportOf,
    waitForConfig,
    uploadWorker: async ({ directory, source, vars, secrets, script: named, team = DEFAULT_TEAM, route }) => {
      const token = await tokenOf(team)
      const script = named ?? (directory === undefined ? undefined : await configuredName(directory))
      if (script === undefined)
        throw new TypeError("A script needs a name: by `script`, or by wrangler's config in `directory`")
      if (directory !== undefined) {
        const named = [
          "--name",
          script,
          ...Object.entries(vars ?? {}).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
        ]
        await withSecretsFile(secrets, (more) =>
          deployWithWrangler(platform, token, path.resolve(directory), [...named, ...more]),
        )
      } else await uploadSource(platform, token, script, source ?? "")
      const { latestVersion } = await api.get<Script>(`/v1/scripts/${script}`)
      if (route !== undefined) await putRoute(script, { ...routeOf(route), script, team })
      return { script, version: latestVersion ?? 0, configRevision: await waitForConfig() }
    },
    fetch: (url, init = {}, caller = {}) => edgeRequest(platform.edgeUrl, url, asCaller(platform, init, caller)),
    tripOf: async (response) => {
      const requestId = response.headers.get("x-request-id")
      if (requestId === null) throw new Error("The response has no x-request-id: it is not the dispatcher's")
      return poll(`trip ${requestId}`, async () => (await platform.trips({ requestId }))[0] ?? null)
    },
    received: async (response) => {
      const text = await response.text()
      if (!response.ok) throw new Error(`The echo answered ${response.status}: ${text.slice(0, 500)}`)
      const echo = JSON.parse(text) as Omit<Received, "passport">
      const release = response.headers.get("x-sallyport-release") ?? ""
      const audience = scriptAudience(release.replace(/--v\d+$/, ""))
      return { ...echo, passport: await passportOf(echo.headers["x-passport"] ?? "", audience) }
    },
  }
}

/** `work` gets the options that name a file with the secrets, which is gone when it has ended. */
async function withSecretsFile(
  secrets: WorkerUpload["secrets"],
  work: (options: readonly string[]) => Promise<unknown>,
): Promise<void> {
  if (secrets === undefined) return void (await work([]))
  const folder = await mkdtemp(path.join(tmpdir(), "sallyport-secrets-"))
  try {
    const file = path.join(folder, "secrets.json")
    await writeFile(file, JSON.stringify(secrets), { mode: 0o600 })
    await work(["--secrets-file", file])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** As wrangler itself reads it, and in its order of preference. */
async function configuredName(directory: string): Promise<string | undefined> {
  const files = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"].map((name) => path.resolve(directory, name))
  const config = files.find((file) => existsSync(file))
  if (config === undefined) return undefined
  // Loaded only here: it takes seconds.
  const { unstable_readConfig } = await import("wrangler")
  return unstable_readConfig({ config }, { hideWarnings: true }).name
}

function routeOf(route: string | RouteWanted): RouteWanted {
  if (typeof route !== "string") return route
  const match = /^https?:\/\/([^/]+)(\/.*)?$/.exec(route)
  if (match?.[1] === undefined) throw new TypeError(`Not a route: ${route}; write https://hostname/path/*`)
  return { hostname: match[1], path: match[2] ?? "/*" }
}

function asCaller(platform: Platform, init: EdgeRequestInit, caller: Caller): EdgeRequestInit {
  const given = (Array.isArray(init.headers) ? init.headers : Object.entries(init.headers ?? {})) as [string, string][]
  const headers = [...given]
  const { subject, facts, ...claims } = caller
  if (subject !== undefined) headers.push(["authorization", `Bearer ${platform.issueToken({ subject, ...claims })}`])
  if (facts !== undefined) headers.push(["x-local-cf", JSON.stringify(facts)])
  return { ...init, headers }
}

/** Looks until there is something, at most {@link WAIT_MS}. */
async function poll<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const until = performance.now() + WAIT_MS
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > until) throw new Error(`${what} did not appear within ${WAIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
