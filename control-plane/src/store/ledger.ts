/**
 * The one way state is written: statements and their audit records in one D1 batch, so that no effect exists without its record.
 * The audit's next `seq` is what concurrent writers compete for: who decided on state that has since changed loses, reads again and decides anew.
 * Who needs longer to decide would lose to quicker ones for ever, and one team's tokens could hold up a kill switch: after some losses a writer takes the turn, and the others wait.
 * Ops wait for no team's. The turn only says who goes first; that nothing is lost rests on `seq` alone.
 */
import { type Refusal, refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"

/** `previousHash` of the first record. */
export const GENESIS_HASH = "0".repeat(64)
/** Lost races before a writer gives up with `api.busy`. */
const MAX_ATTEMPTS = 60
/** Lost races after which a writer takes the turn. */
const PATIENCE: Readonly<Record<Actor["role"], number>> = { ops: 1, team: 3 }
/** Milliseconds that a turn lasts at most: a process that ends with it holds nobody up for longer. Some ten times what a change of a whole registry takes. */
const TURN_MS = 5_000
/** Looks at the turn for which one change may wait in all, however often it lost; at 25 to 75 ms apart they outlast a turn. */
const MAX_LOOKS = 300

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
 * A batch whose outcome got lost is recognised by its record: nothing is applied twice. Throws `api.busy` after {@link MAX_ATTEMPTS} lost races or a turn of others without end, and whatever `decide` throws.
 */
export async function commit<T>(
  deps: LedgerDependencies,
  actor: Actor,
  decide: () => Promise<Decision<T>>,
): Promise<T> {
  const turn = new Turn(deps, actor.role)
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      // Read before `decide` reads: whatever changes from here on moves the head and makes the batch fail.
      const head = await turn.head(attempt >= PATIENCE[actor.role])
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
  } finally {
    await turn.giveBack()
  }
  throw busy()
}

function busy(): Refusal {
  return refuse("api.busy", { headers: { "retry-after": "1" } })
}

/** What one change has to do with the turn, which it mostly never takes. */
class Turn {
  readonly #deps: LedgerDependencies
  readonly #role: Actor["role"]
  /** Null until it was asked for. */
  #holder: string | null = null
  #looks = MAX_LOOKS

  constructor(deps: LedgerDependencies, role: Actor["role"]) {
    this.#deps = deps
    this.#role = role
  }

  /** The head, read while it is nobody else's turn, and this change's own where it `wants` that. Throws `api.busy`. */
  async head(wants: boolean): Promise<AuditHead> {
    const { db, clock, wait } = this.#deps
    while (this.#looks-- > 0) {
      const now = clock.now()
      const look = db.prepare(NEWEST_AND_TURN).bind(now, now + TURN_MS, this.#role)
      const found = await look.first<AuditHead & { holder: string | null }>()
      const holder = found?.holder ?? null
      if (holder === null ? !wants : holder === this.#holder) return headOf(found)
      if (holder === null) await this.#take(now)
      else await wait(25 + Math.random() * 50)
    }
    throw busy()
  }

  /** Nothing happens when another was quicker. One that ends later than any may was taken by a clock that is ahead, and stands in nobody's way. */
  async #take(now: number): Promise<void> {
    const { db, ids } = this.#deps
    this.#holder ??= ids.next("turn")
    await db
      .prepare(
        `INSERT INTO commit_turn (id, holder, role, until_ms) VALUES (1, ?1, ?2, ?4)
         ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, role = excluded.role, until_ms = excluded.until_ms
         WHERE until_ms <= ?3 OR until_ms > ?4 OR holder = excluded.holder OR (role = 'team' AND excluded.role = 'ops')`,
      )
      .bind(this.#holder, this.#role, now, now + TURN_MS)
      .run()
  }

  /** What is not given back ends by itself: a change that was made is not reported as failed for it. */
  async giveBack(): Promise<void> {
    if (this.#holder === null) return
    await this.#deps.db
      .prepare("DELETE FROM commit_turn WHERE holder = ?")
      .bind(this.#holder)
      .run()
      .catch(() => undefined)
  }
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
  return headOf(await db.prepare(NEWEST).first<AuditHead>())
}

const NEWEST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
/** Always one row; `holder` of a turn in force between the first two parameters, and of ops alone where the third says ops. */
const NEWEST_AND_TURN = `SELECT seq, hash, holder FROM (SELECT 1) LEFT JOIN (${NEWEST}) ON true
  LEFT JOIN commit_turn ON until_ms > ?1 AND until_ms <= ?2 AND (role = 'ops' OR ?3 = 'team')`

function headOf(newest: { readonly [Field in keyof AuditHead]: AuditHead[Field] | null } | null): AuditHead {
  return { seq: newest?.seq ?? 0, hash: newest?.hash ?? GENESIS_HASH }
}

async function readHashAt(db: D1Database, seq: number): Promise<string | null> {
  return await db.prepare("SELECT hash FROM audit WHERE seq = ?").bind(seq).first<string>("hash")
}
