/**
 * The one way state is written: statements and their audit records in one D1 batch, so that no effect exists without its record.
 * The audit's next `seq` is what concurrent writers compete for: who decided on state that has since changed loses, reads again and decides anew.
 */
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"

/** `previousHash` of the first record. */
export const GENESIS_HASH = "0".repeat(64)
/** Lost races before a writer gives up with `api.busy`. */
const MAX_ATTEMPTS = 60

export interface AuditEntry {
  /** Such as `deployment.create`. */
  readonly action: string
  /** Such as `scripts/files`. */
  readonly target: string
  /** What was asked for; no secret, and a digest instead of anything long. `change` is added: records of one batch share it. */
  readonly detail: Readonly<Record<string, unknown>>
}

/** What a writer decided: statements never go without a record, a record may stand alone, and without either nothing is written. */
export interface Decision<T> {
  readonly statements: readonly D1PreparedStatement[]
  readonly audit: readonly AuditEntry[]
  readonly result: T
}

export interface AuditHead {
  readonly seq: number
  readonly hash: string
}

export interface LedgerDependencies {
  readonly db: D1Database
  readonly clock: { now(): number }
  readonly ids: { next(prefix: string): string }
  /** Waits that many milliseconds. */
  readonly wait: (ms: number) => Promise<void>
}

/**
 * Runs `decide` and commits what it says. `decide` may run several times and must read all it decides on itself; it has no effects of its own.
 * A batch whose outcome got lost is recognised by its record: nothing is applied twice. Throws `api.busy` after {@link MAX_ATTEMPTS} lost races, and whatever `decide` throws.
 */
export async function commit<T>(
  deps: LedgerDependencies,
  actor: Actor,
  decide: () => Promise<Decision<T>>,
): Promise<T> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    // Read before `decide` reads: whatever changes from here on moves the head and makes the batch fail.
    const head = await readHead(deps.db)
    const decision = await decide()
    if (decision.audit.length === 0 && decision.statements.length === 0) return decision.result
    // Without an id of its own, a rival's equal record could be taken for ours below.
    const change = deps.ids.next("c")
    const records = await chain(head, deps.clock.now(), actor, decision.audit, change)
    const last = records.at(-1)
    if (last === undefined) throw new Error("a change without an audit record")
    try {
      await deps.db.batch([...records.map((record) => insertRecord(deps.db, record)), ...decision.statements])
      return decision.result
    } catch (failure) {
      const found = await readHashAt(deps.db, last.seq)
      if (found === last.hash) return decision.result
      if (found === null && (await readHead(deps.db)).seq === head.seq) throw failure
    }
    await deps.wait(Math.random() * Math.min(100, 4 * 2 ** Math.min(attempt, 6)))
  }
  throw refuse("api.busy", { headers: { "retry-after": "1" } })
}

export interface AuditRow {
  readonly seq: number
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly target: string
  /** JSON text, exactly as hashed. */
  readonly detail: string
  readonly previous_hash: string
  readonly hash: string
}

/** SHA-256 over the record and the hash before it. */
export function hashRecord(record: Omit<AuditRow, "hash">): Promise<string> {
  const { seq, at, actor, action, target, detail, previous_hash } = record
  return sha256Hex(JSON.stringify([seq, at, actor, action, target, detail, previous_hash]))
}

async function chain(
  head: AuditHead,
  now: number,
  actor: Actor,
  entries: readonly AuditEntry[],
  change: string,
): Promise<AuditRow[]> {
  const rows: AuditRow[] = []
  let { seq, hash } = head
  for (const entry of entries) {
    seq++
    const record = {
      seq,
      at: new Date(now).toISOString(),
      actor: actor.name,
      action: entry.action,
      target: entry.target,
      detail: canonicalJson({ ...entry.detail, change }),
      previous_hash: hash,
    }
    hash = await hashRecord(record)
    rows.push({ ...record, hash })
  }
  return rows
}

function insertRecord(db: D1Database, row: AuditRow): D1PreparedStatement {
  return db
    .prepare(
      "INSERT INTO audit (seq, at, actor, action, target, detail, previous_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.seq, row.at, row.actor, row.action, row.target, row.detail, row.previous_hash, row.hash)
}

/** The newest record; seq 0 and the genesis hash when there is none. */
export async function readHead(db: D1Database): Promise<AuditHead> {
  const head = await db.prepare("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").first<AuditHead>()
  return head ?? { seq: 0, hash: GENESIS_HASH }
}

async function readHashAt(db: D1Database, seq: number): Promise<string | null> {
  return await db.prepare("SELECT hash FROM audit WHERE seq = ?").bind(seq).first<string>("hash")
}
