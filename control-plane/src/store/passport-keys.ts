/** Reading the key ring of the passports; it is changed as part of the registry, because the config is made of it. */
import { type PassportKeyRow, type RawRow, toPassportKey } from "./rows.ts"

export type PassportKeyStore = ReturnType<typeof passportKeyStore>

export function passportKeyStore(db: D1Database) {
  /** Those of the past too that nobody removed yet; by the time from which they sign. */
  async function list(): Promise<readonly PassportKeyRow[]> {
    const { results } = await db.prepare("SELECT * FROM passport_keys ORDER BY signs_from_ms, kid").all<RawRow>()
    return results.map(toPassportKey)
  }

  return { list }
}

/** Called by store/registry.ts. */
export function putPassportKey(db: D1Database, row: PassportKeyRow): D1PreparedStatement {
  const { kid, x, y, sealed, signsFromMs, verifiesUntilMs = null, askedBy, changedAt } = row
  return db
    .prepare(
      `INSERT INTO passport_keys (kid, x, y, sealed, signs_from_ms, verifies_until_ms, asked_by, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (kid) DO UPDATE SET signs_from_ms = excluded.signs_from_ms, verifies_until_ms = excluded.verifies_until_ms,
         asked_by = excluded.asked_by, changed_at = excluded.changed_at`,
    )
    .bind(kid, x, y, sealed, signsFromMs, verifiesUntilMs, askedBy, changedAt)
}
