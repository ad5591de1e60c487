/** Reading of teams, hostnames, routes and policy one by one or page by page. They are written through config/change.ts alone. */
import type { PolicySection } from "../../../contracts/dispatch-config.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { type HostnameRow, type RawRow, type RouteRow, type TeamRow, toHostname, toRoute, toTeam } from "./rows.ts"

export type InventoryStore = ReturnType<typeof inventoryStore>

/** `team: null` in a list means: of all teams. */
export function inventoryStore(db: D1Database) {
  async function one<T>(sql: string, key: string, toItem: (row: RawRow) => T): Promise<T | null> {
    const row = await db.prepare(sql).bind(key).first<RawRow>()
    return row === null ? null : toItem(row)
  }

  return {
    team: (name: string): Promise<TeamRow | null> => one("SELECT * FROM teams WHERE name = ?", name, toTeam),
    hostname: (name: string): Promise<HostnameRow | null> =>
      one("SELECT * FROM hostnames WHERE hostname = ?", name, toHostname),
    route: (id: string): Promise<RouteRow | null> => one("SELECT * FROM routes WHERE id = ?", id, toRoute),

    teams(team: string | null, query: PageQuery): Promise<Page<TeamRow>> {
      const only = team === null ? {} : { where: ["name = ?"], values: [team] }
      return readPage(db, { select: "SELECT * FROM teams", key: "name", ...only }, query, toTeam)
    },

    /** Of a team: its own and the open ones. */
    hostnames(team: string | null, query: PageQuery): Promise<Page<HostnameRow>> {
      const only = team === null ? {} : { where: ["(open = 1 OR team = ?)"], values: [team] }
      return readPage(db, { select: "SELECT * FROM hostnames", key: "hostname", ...only }, query, toHostname)
    },

    routes(team: string | null, query: PageQuery): Promise<Page<RouteRow>> {
      const only = team === null ? {} : { where: ["team = ?"], values: [team] }
      return readPage(db, { select: "SELECT * FROM routes", key: "id", ...only }, query, toRoute)
    },

    /** All that lead to the script, of whatever team. */
    async routesTo(script: string): Promise<readonly RouteRow[]> {
      const { results } = await db.prepare("SELECT * FROM routes WHERE script = ?").bind(script).all<RawRow>()
      return results.map(toRoute)
    },

    /** The section as it was put; null when it never was. */
    async policy(section: PolicySection): Promise<unknown> {
      const { results } = await db
        .prepare("SELECT text FROM policy WHERE section = ? ORDER BY part")
        .bind(section)
        .all<{ text: string }>()
      return results.length === 0 ? null : JSON.parse(results.map((row) => row.text).join(""))
    },
  }
}
