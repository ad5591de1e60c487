/**
 * Puts the example company into a running platform, through the same `/v1` that ops and teams use: policy, teams and their tokens,
 * hostnames; then, when the Workers are up, routes. What was put is remembered in the state, so that a second start puts and publishes
 * nothing, and leaves alone what was changed by hand in between.
 */
import { createHash } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import path from "node:path"
import { type ControlPlaneClient, controlPlaneClient } from "./control-plane-client.ts"
import {
  type ExampleTeam,
  egressOf,
  HOSTNAMES,
  ORIGIN_ROUTES,
  policyFor,
  ROUTES,
  SCRIPT_SETTINGS,
  SCRIPTS,
  TEAM_NAMES,
  TEAMS,
} from "./example-layout.ts"
import type { ExampleOrigins } from "./example-origins.ts"
import type { Platform } from "./platform.ts"
import { loadSecrets } from "./secrets.ts"

const WHY = "example of the local platform"

interface SeedRecord {
  /** Path to the SHA-256 of the body that was put there. */
  readonly put: Record<string, string>
  /** One token per team, to upload with. */
  readonly tokens: Partial<Record<ExampleTeam, string>>
  /** Id of the D1 database that ecrion's team made for itself. */
  database?: string
  /** The same of the team that login and sessions are of. */
  loginDatabase?: string
  sessionsDatabase?: string
}

export type TeamTokens = Readonly<Record<ExampleTeam, string>>

export interface Seeded {
  readonly tokens: TeamTokens
  readonly database: string
  readonly loginDatabase: string
  readonly sessionsDatabase: string
}

/** Everything that uploads need. */
export async function seedPolicy(platform: Platform, origins: ExampleOrigins): Promise<Seeded> {
  return withRecord(platform, async (record, client) => {
    record.database ??= await createDatabase(platform, "ecrion")
    record.loginDatabase ??= await createDatabase(platform, "logins")
    record.sessionsDatabase ??= await createDatabase(platform, "sessions")
    const { database, loginDatabase, sessionsDatabase } = record
    const databases: Partial<Record<ExampleTeam, readonly string[]>> = {
      documents: [database],
      identity: [loginDatabase, sessionsDatabase],
    }
    for (const [section, document] of Object.entries(policyFor(platform, origins)))
      await putOnce(record, client, `/v1/policy/${section}`, document)
    for (const team of TEAM_NAMES) {
      const grants = [...TEAMS[team], ...(databases[team] ?? []).map((id) => `resource:d1:${id}`)]
      await putOnce(record, client, `/v1/teams/${team}`, { grants, egress: egressOf(team, origins), message: WHY })
    }
    for (const [hostname, settings] of Object.entries(HOSTNAMES))
      await putOnce(record, client, `/v1/hostnames/${hostname}`, { ...settings, message: WHY })
    for (const [script, team] of Object.entries(SCRIPTS))
      await putOnce(record, client, `/v1/scripts/${script}`, { team, ...SCRIPT_SETTINGS[script], message: WHY })
    const tokens: Partial<Record<ExampleTeam, string>> = {}
    for (const team of TEAM_NAMES) tokens[team] = await tokenOf(team, record, client)
    return { tokens: tokens as TeamTokens, database, loginDatabase, sessionsDatabase }
  })
}

/** What a team does once in a real account: `wrangler d1 create ecrion`. Returns the id. */
export async function createDatabase(
  platform: Pick<Platform, "stateDir" | "cloudflareApiUrl" | "accountId">,
  name: string,
): Promise<string> {
  const { cloudflareApiToken } = await loadSecrets(platform.stateDir)
  const url = `${platform.cloudflareApiUrl}/client/v4/accounts/${platform.accountId}/d1/database`
  const headers = { authorization: `Bearer ${cloudflareApiToken}`, "content-type": "application/json" }
  const made = await fetch(url, { method: "POST", headers, body: JSON.stringify({ name }) })
  if (!made.ok) throw new Error(`The database ${name} could not be made: ${made.status} ${await made.text()}`)
  return ((await made.json()) as { result: { uuid: string } }).result.uuid
}

/** After the Workers are up, so that no hostname ever leads to a script without a version. */
export async function seedRoutes(platform: Platform): Promise<void> {
  await withRecord(platform, async (record, client) => {
    for (const [id, route] of Object.entries({ ...ROUTES, ...ORIGIN_ROUTES }))
      await putOnce(record, client, `/v1/routes/${id}`, { ...route, message: WHY })
  })
}

async function tokenOf(team: ExampleTeam, record: SeedRecord, client: ControlPlaneClient): Promise<string> {
  const known = record.tokens[team]
  if (known !== undefined) return known
  const { token } = await client.post<{ token: string }>(`/v1/teams/${team}/tokens`, { label: "npm start" })
  record.tokens[team] = token
  return token
}

async function putOnce(record: SeedRecord, client: ControlPlaneClient, at: string, body: unknown): Promise<void> {
  const digest = createHash("sha256").update(JSON.stringify(body)).digest("hex")
  if (record.put[at] === digest) return
  await client.put(at, body)
  record.put[at] = digest
}

/** The record is written even when a step failed: what was put before it is not put again. */
async function withRecord<T>(
  platform: Platform,
  work: (record: SeedRecord, client: ControlPlaneClient) => Promise<T>,
): Promise<T> {
  const file = path.join(platform.stateDir, "seed.json")
  const before = await readFile(file, "utf8").catch(() => null)
  const record = before === null ? { put: {}, tokens: {} } : (JSON.parse(before) as SeedRecord)
  try {
    return await work(record, controlPlaneClient(platform.controlPlaneUrl, platform.opsToken))
  } finally {
    const after = `${JSON.stringify(record, null, 2)}\n`
    if (after !== before) await writeFile(file, after, { mode: 0o600 })
  }
}
