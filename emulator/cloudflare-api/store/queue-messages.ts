/**
 * Messages of the account's queues, first in first out, taken by lease: a message that is neither acknowledged nor retried
 * becomes visible again when its lease ends.
 * @see https://developers.cloudflare.com/queues/configuration/pull-consumers/
 */
import type { QueueSend } from "../resources.ts"

export interface PulledMessage {
  readonly id: string
  readonly body: string
  readonly contentType: string
  readonly sentAtMs: number
  /** How often it was handed out, this time included. */
  readonly attempts: number
  readonly leaseId: string
}

export function enqueue(
  sql: SqlStorage,
  queueId: string,
  messages: readonly (QueueSend & { id: string })[],
  nowMs: number,
): void {
  for (const { id, body, contentType, delaySeconds } of messages)
    sql.exec(
      "INSERT INTO queue_messages (queue_id, id, body, content_type, sent_at_ms, visible_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
      queueId,
      id,
      body,
      contentType,
      nowMs,
      nowMs + (delaySeconds ?? 0) * 1000,
    )
}

export function backlog(sql: SqlStorage, queueId: string): number {
  return Number(sql.exec("SELECT COUNT(*) AS n FROM queue_messages WHERE queue_id = ?", queueId).one().n)
}

/** Leases up to `batchSize` visible messages for `visibilityMs`. */
export function pull(
  sql: SqlStorage,
  queueId: string,
  options: {
    readonly batchSize: number
    readonly visibilityMs: number
    readonly nowMs: number
    readonly newId: () => string
  },
): PulledMessage[] {
  const { batchSize, visibilityMs, nowMs, newId } = options
  const query = "SELECT * FROM queue_messages WHERE queue_id = ? AND visible_at_ms <= ? ORDER BY seq LIMIT ?"
  return [...sql.exec(query, queueId, nowMs, batchSize)].map((row) => {
    const leaseId = newId()
    const take = "UPDATE queue_messages SET lease_id = ?, visible_at_ms = ?, attempts = attempts + 1 WHERE seq = ?"
    sql.exec(take, leaseId, nowMs + visibilityMs, row.seq)
    return {
      id: String(row.id),
      body: String(row.body),
      contentType: String(row.content_type),
      sentAtMs: Number(row.sent_at_ms),
      attempts: Number(row.attempts) + 1,
      leaseId,
    }
  })
}

/** True when the lease was the message's current one; the message is gone. */
export function acknowledge(sql: SqlStorage, queueId: string, leaseId: string): boolean {
  return sql.exec("DELETE FROM queue_messages WHERE queue_id = ? AND lease_id = ?", queueId, leaseId).rowsWritten > 0
}

/** True when the lease was the message's current one; the message is visible again at `visibleAtMs`. */
export function retry(sql: SqlStorage, queueId: string, leaseId: string, visibleAtMs: number): boolean {
  const statement = "UPDATE queue_messages SET lease_id = NULL, visible_at_ms = ? WHERE queue_id = ? AND lease_id = ?"
  return sql.exec(statement, visibleAtMs, queueId, leaseId).rowsWritten > 0
}
