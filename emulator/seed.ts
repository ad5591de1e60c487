/**
 * Puts the example company into a running platform, through the same `/v1` that ops and teams use: policy, teams and their tokens,
 * hostnames; then, when the Workers are up, routes. What was put is remembered in the state, so that a second start puts and publishes
 * nothing, and leaves alone what was changed by hand in between.
 */
import { createHash } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import path from "node:path"
import { type ControlPlaneClient, controlPlaneClient } from "./control-plane-client.ts"
import { type ExampleTeam, HOSTNAMES, policyFor, ROUTES, SCRIPTS, TEAMS } from "./example-layout.ts"
import type { Platform } from "./platform.ts"

const WHY = "example of the local platform"

interface SeedRecord {
  /** Path to the SHA-256 of the body that was put there. */
  readonly put: Record<string, string>
  /** One token per team, to upload with. */
  readonly tokens: Partial<Record<ExampleTeam, string>>
}

export type TeamTokens = Readonly<Record<ExampleTeam, string>>

/** Everything that uploads need. Returns the teams' tokens. */
export async function seedPolicy(platform: Platform): Promise<TeamTokens> {
  return withRecord(platform, async (record, client) => {
    for (const [section, document] of Object.entries(policyFor(platform)))
      await putOnce(record, client, `/v1/policy/${section}`, document)
    for (const [team, grants] of Object.entries(TEAMS))
      await putOnce(record, client, `/v1/teams/${team}`, { grants, egress: [], message: WHY })
    for (const [hostname, settings] of Object.entries(HOSTNAMES))
      await putOnce(record, client, `/v1/hostnames/${hostname}`, { ...settings, message: WHY })
    for (const [script, team] of Object.entries(SCRIPTS))
      await putOnce(record, client, `/v1/scripts/${script}`, { team, message: WHY })
    return {
      "edge-routing": await tokenOf("edge-routing", record, client),
      web: await tokenOf("web", record, client),
    }
  })
}

/** After the Workers are up, so that no hostname ever leads to a script without a version. */
export async function seedRoutes(platform: Platform): Promise<void> {
  await withRecord(platform, async (record, client) => {
    for (const [id, route] of Object.entries(ROUTES))
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
