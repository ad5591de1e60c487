/**
 * The control plane as its tests meet it: the real app on real D1, R2 and KV, with a clock that the test moves and no waiting.
 * Requests go in as HTTP; nothing inside is replaced but what is not deterministic.
 */
import { applyD1Migrations, reset } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { CONFIG_POINTER_KEY, type ConfigPointer, configKey } from "../../contracts/dispatch-config.ts"
import { sha256Hex } from "../../kit/sha256.ts"
import init from "../migrations/0001_init.sql?raw"
import passportKeys from "../migrations/0002_passport_keys.sql?raw"
import identity from "../migrations/0003_identity.sql?raw"
import teamKill from "../migrations/0004_team_kill.sql?raw"
import boundedReads from "../migrations/0005_bounded_reads.sql?raw"
import commitTurn from "../migrations/0006_commit_turn.sql?raw"
import uploadOrder from "../migrations/0007_upload_order.sql?raw"
import retiredVersions from "../migrations/0008_retired_versions.sql?raw"
import callBudget from "../migrations/0009_call_budget.sql?raw"
import drift from "../migrations/0011_drift.sql?raw"
import { controlPlane } from "../src/app.ts"
import { type Dependencies, type LogRecord, makeDependencies, type Overrides } from "../src/dependencies.ts"
import type { Env } from "../src/env.ts"

export const OPS_TOKEN = `spt_${"o".repeat(43)}`
export const PIN_KEY = "cGluLWtleS1vZi0zMi1ieXRlcy1mb3ItdGVzdHMtISE"
export const RING_KEY = "cmluZy1rZXktb2YtMzItYnl0ZXMtZm9yLXRlc3RzLSE"
const LOOKS_AT_MOST = 500
const LOOKS_PER_RESET = 5
const NOON = Date.parse("2026-11-20T12:00:00.000Z")

export interface Sent {
  readonly status: number
  readonly headers: Headers
  /** Parsed JSON, or the text where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests look at
  readonly body: any
}
export interface Extra {
  readonly token?: string | null
  readonly body?: unknown
  /** The body as text, in place of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>
  readonly headers?: Readonly<Record<string, string>>
}

export interface TestControlPlane {
  readonly deps: Dependencies
  readonly logs: LogRecord[]
  /** Moves the clock by that many milliseconds. */
  pass(ms: number): void
  /** `send("PUT /v1/teams/web", { body })`, as ops unless told otherwise. */
  send(line: string, extra?: Extra): Promise<Sent>
  fetch(request: Request): Promise<Response>
  /** A team with a token of its own, which is returned. */
  team(name: string): Promise<string>
  /** A script of a team with `versions` verified versions, none deployed. */
  script(name: string, team: string, versions?: number): Promise<void>
  /** The document that KV's pointer names. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  published(): Promise<any>
  pointer(): Promise<ConfigPointer | null>
}

/** A fresh control plane: storage is emptied first. */
export async function startControlPlane(overrides: (deps: Env) => Overrides = () => ({})): Promise<TestControlPlane> {
  await emptyStorage()
  const bindings: Env = {
    ...(env as unknown as Env),
    PIN_KEY,
    RING_KEY,
    CLOUDFLARE_API_TOKEN: "not used",
    BOOTSTRAP_TOKEN_HASH: await sha256Hex(OPS_TOKEN),
  }
  await applyD1Migrations(bindings.DB, [
    { name: "0001_init.sql", queries: statementsOf(init) },
    { name: "0002_passport_keys.sql", queries: statementsOf(passportKeys) },
    { name: "0003_identity.sql", queries: statementsOf(identity) },
    { name: "0004_team_kill.sql", queries: statementsOf(teamKill) },
    { name: "0005_bounded_reads.sql", queries: statementsOf(boundedReads) },
    { name: "0006_commit_turn.sql", queries: statementsOf(commitTurn) },
    { name: "0007_upload_order.sql", queries: statementsOf(uploadOrder) },
    { name: "0008_retired_versions.sql", queries: statementsOf(retiredVersions) },
    { name: "0009_call_budget.sql", queries: statementsOf(callBudget) },
    { name: "0011_drift.sql", queries: statementsOf(drift) },
  ])
  const logs: LogRecord[] = []
  const now = { ms: NOON }
  const deps = makeDependencies(bindings, {
    clock: { now: () => now.ms },
    wait: () => scheduler.wait(0),
    fetch: () => Promise.reject(new Error("a test reached for the network")),
    log: (record) => void logs.push(record),
    ...overrides(bindings),
  })
  const app = controlPlane(() => deps)
  const fetchApp = async (request: Request) => app.fetch(request, bindings)
  const send = async (line: string, extra: Extra = {}) => read(await fetchApp(requestOf(line, extra)))
  const must = async (line: string, extra: Extra) => {
    const sent = await send(line, extra)
    if (sent.status >= 400) throw new Error(`${line} answered ${sent.status}: ${JSON.stringify(sent.body)}`)
    return sent
  }
  return {
    deps,
    logs,
    send,
    fetch: fetchApp,
    pass: (ms) => {
      now.ms += ms
    },
    team: async (name) => {
      await must(`PUT /v1/teams/${name}`, { body: PLAIN_TEAM })
      return (await must(`POST /v1/teams/${name}/tokens`, { body: { label: "test" } })).body.token
    },
    script: async (name, team, versions = 0) => {
      await must(`PUT /v1/scripts/${name}`, { body: { team } })
      const actor = { tokenId: "test", role: "ops", team: null, name: "token:test" } as const
      for (let version = 1; version <= versions; version++) {
        const content = { digest: await sha256Hex(`${name} ${version}`), sizeBytes: 10, message: null, tag: null }
        await deps.store.versions.record(name, content, actor)
        await deps.store.versions.setState(name, version, "verified", actor)
      }
    },
    pointer: () => deps.config.get<ConfigPointer>(CONFIG_POINTER_KEY, "json"),
    published: async () => {
      const pointer = await deps.config.get<ConfigPointer>(CONFIG_POINTER_KEY, "json")
      return pointer === null ? null : await deps.config.get(configKey(pointer.revision), "json")
    },
  }
}

/** At the first call of a file that shares its isolate with one before it, `reset` has been seen to delete nothing, and otherwise to come back before it had: D1, KV and R2 are looked at. */
export async function emptyStorage(): Promise<void> {
  const { DB, CONFIG, ARTIFACTS } = env as unknown as Env
  for (let attempt = 0; attempt < LOOKS_AT_MOST; attempt++) {
    // Not at once again: a second deletion could come when the next test has begun to write.
    if (attempt % LOOKS_PER_RESET === 0) await reset()
    const [tables, entries, objects] = await Promise.all([
      DB.prepare("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").all(),
      CONFIG.list({ limit: 1 }),
      ARTIFACTS.list({ limit: 1 }),
    ])
    if (tables.results.length + entries.keys.length + objects.objects.length === 0) return
  }
  throw new Error(`After ${LOOKS_AT_MOST} looks the storage of the last test is still there`)
}

function requestOf(line: string, { token = OPS_TOKEN, body, raw, headers = {} }: Extra): Request {
  const [method = "GET", path = "/"] = line.split(" ")
  const content = raw ?? (body === undefined ? null : JSON.stringify(body))
  return new Request(`https://control-plane.example${path}`, {
    method,
    body: content,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(content === null ? {} : { "content-type": "application/json" }),
      ...headers,
    },
  })
}

async function read(response: Response): Promise<Sent> {
  const text = await response.text()
  const isJson = response.headers.get("content-type")?.includes("json") === true
  return { status: response.status, headers: response.headers, body: isJson && text !== "" ? JSON.parse(text) : text }
}

/** Statements end at the end of a line; the triggers, which hold semicolons, stand on one line each. */
export function statementsOf(sql: string): string[] {
  return sql
    .replaceAll(/--.*$/gm, "")
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "")
}

/** The body of a team without grants or egress. */
export const PLAIN_TEAM = { grants: [], egress: [] }

/** A route body with the usual fields. */
export function routeBody(fields: Readonly<Record<string, unknown>> = {}) {
  return { hostname: "api.procore.com", path: "/*", script: "router", auth: { mode: "none" }, ...fields }
}

/** The example key of RFC 7517 appendix A.1. */
export const PUBLIC_KEY = {
  ...{ kty: "EC", crv: "P-256", kid: "1" },
  x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
