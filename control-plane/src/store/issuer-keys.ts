/** Keys that issuers publish, and how the looks at them went. The keys are changed as part of the registry, because the config is made of them; looks are noted outside the ledger, since nobody asked for them. */
import type { DispatchConfig } from "../../../contracts/dispatch-config.ts"
import { type IssuerKeysRow, type RawRow, toIssuerKeys } from "./rows.ts"

export type IssuerKeyStore = ReturnType<typeof issuerKeyStore>

export interface WatchedIssuer {
  readonly id: string
  readonly jwksUri: string
  /** The last good key set that was found at this URI; null when there was none yet. */
  readonly found: IssuerKeysRow | null
}

export interface Look {
  readonly issuer: string
  /** 0 when it still waits for its first turn. */
  readonly lookedAtMs: number
  /** Of the last look that found a usable key set; null when none ever did. */
  readonly goodAtMs: number | null
  /** Why the last look brought none into force; null when it did. */
  readonly fault: string | null
}

const NOT_YET = "was not looked at yet"

export function issuerKeyStore(db: D1Database) {
  /** Those that ops have given a `jwksUri`, by id. */
  async function watched(): Promise<readonly WatchedIssuer[]> {
    const [policy, keys] = await db.batch<RawRow>([
      db.prepare("SELECT text FROM policy WHERE section = 'issuers' ORDER BY part"),
      db.prepare("SELECT * FROM issuer_keys"),
    ])
    const text = (policy?.results ?? []).map((row) => String(row.text)).join("")
    const issuers: DispatchConfig["issuers"] = text === "" ? {} : JSON.parse(text)
    const rows = (keys?.results ?? []).map(toIssuerKeys)
    return Object.entries(issuers).flatMap(([id, { jwksUri }]) => {
      const found = rows.find((row) => row.issuer === id && row.jwksUri === jwksUri) ?? null
      return jwksUri === undefined ? [] : [{ id, jwksUri, found }]
    })
  }

  /** Notes looks, that the rest of what is `watched` waits for its first, and forgets all others. */
  async function note(looks: readonly Omit<Look, "goodAtMs">[], watched: readonly string[]): Promise<void> {
    const statements = looks.map(({ issuer, lookedAtMs, fault }) =>
      db
        .prepare(
          `INSERT INTO issuer_looks (issuer, looked_at_ms, good_at_ms, fault) VALUES (?1, ?2, ?3, ?4)
           ON CONFLICT (issuer) DO UPDATE SET looked_at_ms = ?2, good_at_ms = coalesce(?3, good_at_ms), fault = ?4`,
        )
        .bind(issuer, lookedAtMs, fault === null ? lookedAtMs : null, fault),
    )
    const names = JSON.stringify(watched)
    const waiting = db
      .prepare(
        `INSERT INTO issuer_looks (issuer, looked_at_ms, fault) SELECT value, 0, ?2 FROM json_each(?1) WHERE true
         ON CONFLICT (issuer) DO NOTHING`,
      )
      .bind(names, NOT_YET)
    const forget = db
      .prepare("DELETE FROM issuer_looks WHERE issuer NOT IN (SELECT value FROM json_each(?))")
      .bind(names)
    await db.batch([...statements, waiting, forget])
  }

  async function looks(): Promise<readonly Look[]> {
    const { results } = await db.prepare("SELECT * FROM issuer_looks ORDER BY issuer").all<RawRow>()
    return results.map((row) => ({
      issuer: String(row.issuer),
      lookedAtMs: Number(row.looked_at_ms),
      goodAtMs: typeof row.good_at_ms === "number" ? row.good_at_ms : null,
      fault: typeof row.fault === "string" ? row.fault : null,
    }))
  }

  return { watched, note, looks }
}

/** Called by store/registry.ts. */
export function putIssuerKeys(db: D1Database, row: IssuerKeysRow): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO issuer_keys (issuer, jwks_uri, jwks, changed_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (issuer) DO UPDATE SET jwks_uri = excluded.jwks_uri, jwks = excluded.jwks, changed_at = excluded.changed_at`,
    )
    .bind(row.issuer, row.jwksUri, JSON.stringify(row.jwks), row.changedAt)
}
