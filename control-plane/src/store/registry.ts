/**
 * The rows that the dispatch config is made of, read as one consistent whole, and the edits that change them.
 * An edit is data: applied to the whole in memory it gives the config that would be, as statements it gives the one that is. Both ways stand here, side by side.
 */
import { type PolicySection, policySections } from "../../../contracts/dispatch-config.ts"
import { canonicalJson } from "../canonical-json.ts"
import { putIssuerKeys } from "./issuer-keys.ts"
import { putPassportKey } from "./passport-keys.ts"
import { latestRevision, type RevisionRow, toRevision } from "./revisions.ts"
import {
  type CurrentRow,
  type HostnameRow,
  type IssuerKeysRow,
  type PassportKeyRow,
  type PolicyRow,
  type RawRow,
  type RouteRow,
  type ScriptRow,
  type TeamRow,
  toHostname,
  toIssuerKeys,
  toPassportKey,
  toRoute,
  toScript,
  toTeam,
} from "./rows.ts"
import { putScript } from "./scripts.ts"
import { forgetTokens } from "./tokens.ts"

/** Keys: name, name, hostname, id, section, script, kid, issuer id. Deleted scripts are among the scripts. */
export interface Registry {
  readonly teams: ReadonlyMap<string, TeamRow>
  readonly scripts: ReadonlyMap<string, ScriptRow>
  readonly hostnames: ReadonlyMap<string, HostnameRow>
  readonly routes: ReadonlyMap<string, RouteRow>
  readonly policy: ReadonlyMap<PolicySection, PolicyRow>
  readonly current: ReadonlyMap<string, CurrentRow>
  readonly passportKeys: ReadonlyMap<string, PassportKeyRow>
  readonly issuerKeys: ReadonlyMap<string, IssuerKeysRow>
  readonly latestRevision: RevisionRow | null
}

export type Edit =
  | { readonly table: "teams"; readonly put: TeamRow }
  | { readonly table: "teams"; readonly remove: string }
  | { readonly table: "scripts"; readonly put: ScriptRow }
  | { readonly table: "hostnames"; readonly put: HostnameRow }
  | { readonly table: "hostnames"; readonly remove: string }
  | { readonly table: "routes"; readonly put: RouteRow }
  | { readonly table: "routes"; readonly remove: string }
  | { readonly table: "policy"; readonly put: PolicyRow }
  | { readonly table: "current"; readonly put: CurrentRow }
  | { readonly table: "current"; readonly remove: string }
  | { readonly table: "passportKeys"; readonly put: PassportKeyRow }
  | { readonly table: "passportKeys"; readonly remove: string }
  | { readonly table: "issuerKeys"; readonly put: IssuerKeysRow }
  | { readonly table: "issuerKeys"; readonly remove: string }

/** One batch is one transaction: no row is of another moment than the rest. */
export async function readRegistry(db: D1Database): Promise<Registry> {
  const [teams, scripts, hostnames, routes, policy, current, passportKeys, issuerKeys, latest] = await db.batch<RawRow>(
    [
      db.prepare("SELECT * FROM teams"),
      db.prepare("SELECT * FROM scripts"),
      db.prepare("SELECT * FROM hostnames"),
      db.prepare("SELECT * FROM routes"),
      db.prepare("SELECT * FROM policy ORDER BY section, part"),
      db.prepare(
        "SELECT script_current.script, deployment_id, seq, releases FROM script_current JOIN deployments ON deployments.id = deployment_id",
      ),
      db.prepare("SELECT * FROM passport_keys"),
      db.prepare("SELECT * FROM issuer_keys"),
      latestRevision(db),
    ],
  )
  const newest = latest?.results[0]
  return {
    teams: byKey(teams?.results, toTeam, (row) => row.name),
    scripts: byKey(scripts?.results, toScript, (row) => row.name),
    hostnames: byKey(hostnames?.results, toHostname, (row) => row.hostname),
    routes: byKey(routes?.results, toRoute, (row) => row.id),
    policy: joinPolicy(policy?.results ?? []),
    current: byKey(current?.results, toCurrent, (row) => row.script),
    passportKeys: byKey(passportKeys?.results, toPassportKey, (row) => row.kid),
    issuerKeys: byKey(issuerKeys?.results, toIssuerKeys, (row) => row.issuer),
    latestRevision: newest === undefined ? null : toRevision(newest),
  }
}

/** The registry as it would be; the given one stays as it is. */
export function applyEdits(registry: Registry, edits: readonly Edit[]): Registry {
  const teams = new Map(registry.teams)
  const scripts = new Map(registry.scripts)
  const hostnames = new Map(registry.hostnames)
  const routes = new Map(registry.routes)
  const policy = new Map(registry.policy)
  const current = new Map(registry.current)
  const passportKeys = new Map(registry.passportKeys)
  const issuerKeys = new Map(registry.issuerKeys)
  const removable = { teams, hostnames, routes, current, passportKeys, issuerKeys }
  for (const edit of edits) {
    if ("remove" in edit) removable[edit.table].delete(edit.remove)
    else if (edit.table === "teams") teams.set(edit.put.name, edit.put)
    else if (edit.table === "scripts") scripts.set(edit.put.name, edit.put)
    else if (edit.table === "hostnames") hostnames.set(edit.put.hostname, edit.put)
    else if (edit.table === "routes") routes.set(edit.put.id, edit.put)
    else if (edit.table === "policy") policy.set(edit.put.section, edit.put)
    else if (edit.table === "passportKeys") passportKeys.set(edit.put.kid, edit.put)
    else if (edit.table === "issuerKeys") issuerKeys.set(edit.put.issuer, edit.put)
    else current.set(edit.put.script, edit.put)
  }
  const { latestRevision } = registry
  return { teams, scripts, hostnames, routes, policy, current, passportKeys, issuerKeys, latestRevision }
}

/** True when the registry already says what the edit would make it say. */
export function isInPlace(registry: Registry, edit: Edit): boolean {
  if ("remove" in edit) return !registry[edit.table].has(edit.remove)
  const found = rowBefore(registry, edit)
  return found !== undefined && canonicalJson(found) === canonicalJson(edit.put)
}

function rowBefore(registry: Registry, edit: Extract<Edit, { put: unknown }>): object | undefined {
  switch (edit.table) {
    case "teams":
      return registry.teams.get(edit.put.name)
    case "scripts":
      return registry.scripts.get(edit.put.name)
    case "hostnames":
      return registry.hostnames.get(edit.put.hostname)
    case "routes":
      return registry.routes.get(edit.put.id)
    case "policy":
      return registry.policy.get(edit.put.section)
    case "current":
      return registry.current.get(edit.put.script)
    case "passportKeys":
      return registry.passportKeys.get(edit.put.kid)
    case "issuerKeys":
      return registry.issuerKeys.get(edit.put.issuer)
  }
}

const DELETIONS = {
  teams: "DELETE FROM teams WHERE name = ?",
  hostnames: "DELETE FROM hostnames WHERE hostname = ?",
  routes: "DELETE FROM routes WHERE id = ?",
  current: "DELETE FROM script_current WHERE script = ?",
  passportKeys: "DELETE FROM passport_keys WHERE kid = ?",
  issuerKeys: "DELETE FROM issuer_keys WHERE issuer = ?",
} as const

/** The same edit as SQL. */
export function statementsOf(db: D1Database, edit: Edit): D1PreparedStatement[] {
  if ("remove" in edit) {
    const deletion = db.prepare(DELETIONS[edit.table]).bind(edit.remove)
    // A team's tokens name it, and one of the same name made later must not have them.
    return edit.table === "teams" ? [forgetTokens(db, edit.remove), deletion] : [deletion]
  }
  switch (edit.table) {
    case "teams":
      return [putTeam(db, edit.put)]
    case "scripts":
      return [putScript(db, edit.put)]
    case "hostnames":
      return [putHostname(db, edit.put)]
    case "routes":
      return [putRoute(db, edit.put)]
    case "policy":
      return putPolicy(db, edit.put)
    case "passportKeys":
      return [putPassportKey(db, edit.put)]
    case "issuerKeys":
      return [putIssuerKeys(db, edit.put)]
    case "current":
      return [
        db
          .prepare(
            "INSERT INTO script_current (script, deployment_id) VALUES (?, ?) ON CONFLICT (script) DO UPDATE SET deployment_id = excluded.deployment_id",
          )
          .bind(edit.put.script, edit.put.deploymentId),
      ]
  }
}

function putTeam(db: D1Database, row: TeamRow): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO teams (name, grants, egress, kill, created_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET grants = excluded.grants, egress = excluded.egress, kill = excluded.kill`,
    )
    .bind(
      row.name,
      JSON.stringify(row.grants),
      JSON.stringify(row.egress),
      row.kill === null ? null : JSON.stringify(row.kill),
      row.createdAt,
    )
}

function putHostname(db: D1Database, row: HostnameRow): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO hostnames (hostname, team, open, created_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (hostname) DO UPDATE SET team = excluded.team, open = excluded.open`,
    )
    .bind(row.hostname, row.team, row.open ? 1 : 0, row.createdAt)
}

function putRoute(db: D1Database, row: RouteRow): D1PreparedStatement {
  const { id, hostname, path, team, script, ...spec } = row
  return db
    .prepare(
      `INSERT INTO routes (id, hostname, path, team, script, spec) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET hostname = excluded.hostname, path = excluded.path, team = excluded.team, script = excluded.script, spec = excluded.spec`,
    )
    .bind(id, hostname, path, team, script, JSON.stringify(spec))
}

/** Characters per part, each one byte: safely below D1's 2 MB per row. */
const PART_LENGTH = 1_000_000

function putPolicy(db: D1Database, row: PolicyRow): D1PreparedStatement[] {
  // All ASCII, or a cut could fall inside a surrogate pair and neither half would survive as UTF-8.
  const text = JSON.stringify(row.document).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
  const statements = [db.prepare("DELETE FROM policy WHERE section = ?").bind(row.section)]
  for (let part = 0; part * PART_LENGTH < text.length; part++) {
    const piece = text.slice(part * PART_LENGTH, (part + 1) * PART_LENGTH)
    const insert = db.prepare("INSERT INTO policy (section, part, text) VALUES (?, ?, ?)")
    statements.push(insert.bind(row.section, part, piece))
  }
  return statements
}

function joinPolicy(rows: readonly RawRow[]): Map<PolicySection, PolicyRow> {
  const texts = new Map<string, string>()
  for (const row of rows) {
    const section = String(row.section)
    texts.set(section, (texts.get(section) ?? "") + String(row.text))
  }
  const sections = new Map<PolicySection, PolicyRow>()
  for (const [section, text] of texts)
    if (isPolicySection(section)) sections.set(section, { section, document: JSON.parse(text) })
  return sections
}

export function isPolicySection(name: string): name is PolicySection {
  return Object.hasOwn(policySections, name)
}

function toCurrent(row: RawRow): CurrentRow {
  return {
    script: String(row.script),
    deploymentId: String(row.deployment_id),
    seq: Number(row.seq),
    releases: JSON.parse(String(row.releases)),
  }
}

function byKey<T>(
  rows: readonly RawRow[] | undefined,
  toItem: (row: RawRow) => T,
  keyOf: (item: T) => string,
): Map<string, T> {
  const items = new Map<string, T>()
  for (const row of rows ?? []) {
    const item = toItem(row)
    items.set(keyOf(item), item)
  }
  return items
}
