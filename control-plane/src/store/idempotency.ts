/** Answers kept for repeated requests with one `Idempotency-Key`. No state of the platform: nothing here is audited. */

export type IdempotencyStore = ReturnType<typeof idempotencyStore>

/** What a repeat is answered with: as the first time, by those headers that were kept. */
export interface KeptAnswer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export type Begun =
  /** To be done, or gone on with: what is recorded for it has, or is to have, the id `deployment`. */
  | { readonly kind: "yours"; readonly deployment: string }
  | ({ readonly kind: "replay" } & KeptAnswer)
  /** Another request with this key is at work. */
  | { readonly kind: "running" }
  /** The key was used for another request. */
  | { readonly kind: "mismatch" }

/** Milliseconds after which a request that never answered is taken for dead, and the next one goes on in its place. */
const DEAD_AFTER_MS = 120_000
const KEPT_MS = 86_400_000

export interface IdempotencyDependencies {
  readonly db: D1Database
  readonly clock: { now(): number }
  readonly ids: { next(prefix: string): string }
}

interface Kept {
  readonly fingerprint: string
  readonly deployment: string
  readonly status: number | null
  readonly body: string
  /** JSON; null in a row from before headers were kept. */
  readonly headers: string | null
}

export function idempotencyStore({ db, clock, ids }: IdempotencyDependencies) {
  const ago = (ms: number) => new Date(clock.now() - ms).toISOString()

  /** `fingerprint` is a digest of the whole request. Of concurrent requests exactly one is told `yours`. */
  async function begin(actor: string, key: string, fingerprint: string): Promise<Begun> {
    const deployment = ids.next("d")
    const [inserted, found, taken] = await db.batch<Kept>([
      db
        .prepare(
          "INSERT OR IGNORE INTO idempotency (actor, key, fingerprint, deployment, created_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(actor, key, fingerprint, deployment, ago(0)),
      db.prepare("SELECT * FROM idempotency WHERE actor = ? AND key = ?").bind(actor, key),
      db
        .prepare(
          `UPDATE idempotency SET running_since = ? WHERE actor = ? AND key = ? AND fingerprint = ? AND status IS NULL
             AND (running_since IS NULL OR running_since < ?)`,
        )
        .bind(ago(0), actor, key, fingerprint, ago(DEAD_AFTER_MS)),
    ])
    const row = found?.results[0]
    if (inserted?.meta.changes === 1 || row === undefined) return { kind: "yours", deployment }
    if (row.fingerprint !== fingerprint) return { kind: "mismatch" }
    if (row.status !== null)
      return { kind: "replay", status: row.status, body: row.body, headers: JSON.parse(row.headers ?? "{}") }
    return taken?.meta.changes === 1 ? { kind: "yours", deployment: row.deployment } : { kind: "running" }
  }

  /** Keeps the answer for a day. */
  async function finish(actor: string, key: string, { status, body, headers }: KeptAnswer): Promise<void> {
    await db
      .prepare("UPDATE idempotency SET status = ?, body = ?, headers = ? WHERE actor = ? AND key = ?")
      .bind(status, body, JSON.stringify(headers), actor, key)
      .run()
  }

  /** The request failed. If its deployment, or its change of the passports' keys, was recorded the key stays, and the next with it goes on with that one; else the key is free again. */
  async function release(actor: string, key: string): Promise<void> {
    await db.batch([
      db
        .prepare(
          `DELETE FROM idempotency WHERE actor = ? AND key = ? AND NOT EXISTS (SELECT 1 FROM deployments WHERE id = deployment)
             AND NOT EXISTS (SELECT 1 FROM passport_keys WHERE asked_by = deployment)`,
        )
        .bind(actor, key),
      db.prepare("UPDATE idempotency SET running_since = NULL WHERE actor = ? AND key = ?").bind(actor, key),
    ])
  }

  async function removeOld(): Promise<void> {
    await db.prepare("DELETE FROM idempotency WHERE created_at < ?").bind(ago(KEPT_MS)).run()
  }

  return { begin, finish, release, removeOld }
}
