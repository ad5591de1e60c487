/** Answers kept for repeated requests with one `Idempotency-Key`. No state of the platform: nothing here is audited. */

export type IdempotencyStore = ReturnType<typeof idempotencyStore>

export type Begun =
  | { readonly kind: "first" }
  | { readonly kind: "replay"; readonly status: number; readonly body: string }
  /** The first request with this key has not answered yet. */
  | { readonly kind: "running" }
  /** The key was used for another request. */
  | { readonly kind: "mismatch" }

/** Milliseconds after which a request that never answered is taken for dead. */
const DEAD_AFTER_MS = 120_000
const KEPT_MS = 86_400_000

export function idempotencyStore(deps: { readonly db: D1Database; readonly clock: { now(): number } }) {
  const { db, clock } = deps
  const ago = (ms: number) => new Date(clock.now() - ms).toISOString()

  /** `fingerprint` is a digest of the whole request. Of concurrent requests exactly one is `first`. */
  async function begin(actor: string, key: string, fingerprint: string): Promise<Begun> {
    const [, inserted, found] = await db.batch<{ fingerprint: string; status: number | null; body: string }>([
      db
        .prepare("DELETE FROM idempotency WHERE actor = ? AND key = ? AND status IS NULL AND created_at < ?")
        .bind(actor, key, ago(DEAD_AFTER_MS)),
      db
        .prepare("INSERT OR IGNORE INTO idempotency (actor, key, fingerprint, created_at) VALUES (?, ?, ?, ?)")
        .bind(actor, key, fingerprint, ago(0)),
      db.prepare("SELECT fingerprint, status, body FROM idempotency WHERE actor = ? AND key = ?").bind(actor, key),
    ])
    const row = found?.results[0]
    if (inserted?.meta.changes === 1 || row === undefined) return { kind: "first" }
    if (row.fingerprint !== fingerprint) return { kind: "mismatch" }
    return row.status === null ? { kind: "running" } : { kind: "replay", status: row.status, body: row.body }
  }

  /** Keeps the answer for a day. */
  async function finish(actor: string, key: string, status: number, body: string): Promise<void> {
    await db
      .prepare("UPDATE idempotency SET status = ?, body = ? WHERE actor = ? AND key = ?")
      .bind(status, body, actor, key)
      .run()
  }

  /** The request failed: the next with this key is the first again. */
  async function forget(actor: string, key: string): Promise<void> {
    await db.prepare("DELETE FROM idempotency WHERE actor = ? AND key = ?").bind(actor, key).run()
  }

  async function removeOld(): Promise<void> {
    await db.prepare("DELETE FROM idempotency WHERE created_at < ?").bind(ago(KEPT_MS)).run()
  }

  return { begin, finish, forget, removeOld }
}
