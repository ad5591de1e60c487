/**
 * How far two services answer alike, per path rule and field, counted in the team's D1: the comparisons of compare-responses.ts go in, shares and verdicts come out.
 * What is kept of a difference are names, types, lengths and request ids, never a value. Increments are atomic, so that isolates may count at once.
 */

/** Fields that are kept per rule and round, in memory as in the database; a service that invents names can fill neither. */
const MAX_FIELDS = 500
/** Fields of one comparison that are counted, real differences first. */
const MAX_FIELDS_AT_ONCE = 100
const MAX_EXAMPLES = 3
/** Rounds of a rule that are kept, the one that counts included. */
const KEPT_ROUNDS = 10
/** Rows that are read at once, those that tell of a difference first. */
const MAX_READ_RULES = 1_000
const MAX_READ_FIELDS = 20_000
/** Standard deviations by which a noisy field must differ more often from the new service than from the legacy one: one in a million by chance. */
const SURE = 4.75
/** Milliseconds that one request writes for others at most, and after which a writer of whom nothing was heard is given up. */
const WRITER_MS = 10_000
/** D1 takes 100 parameters per statement and a batch of any length; this keeps one short. */
const MAX_STATEMENTS = 200

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS strangler_rule (
    path TEXT NOT NULL, round INTEGER NOT NULL, compared INTEGER NOT NULL, matched INTEGER NOT NULL, only_new INTEGER NOT NULL, only_again INTEGER NOT NULL,
    without_body INTEGER NOT NULL, skipped INTEGER NOT NULL, fallbacks INTEGER NOT NULL, seen_at_ms INTEGER NOT NULL, PRIMARY KEY (path, round))`,
  `CREATE TABLE IF NOT EXISTS strangler_field (
    path TEXT NOT NULL, round INTEGER NOT NULL, field TEXT NOT NULL, kind TEXT NOT NULL, only_new INTEGER NOT NULL, only_again INTEGER NOT NULL,
    in_both INTEGER NOT NULL, examples TEXT NOT NULL, seen_at_ms INTEGER NOT NULL, PRIMARY KEY (path, round, field, kind))`,
]
const ADD_RULE = `INSERT INTO strangler_rule VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
  ON CONFLICT (path, round) DO UPDATE SET compared = compared + excluded.compared, matched = matched + excluded.matched,
    only_new = only_new + excluded.only_new, only_again = only_again + excluded.only_again, without_body = without_body + excluded.without_body,
    skipped = skipped + excluded.skipped, fallbacks = fallbacks + excluded.fallbacks, seen_at_ms = max(seen_at_ms, excluded.seen_at_ms)`
const ADD_FIELD = `INSERT INTO strangler_field SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
  WHERE EXISTS (SELECT 1 FROM strangler_field WHERE path = ?1 AND round = ?2 AND field = ?3 AND kind = ?4)
    OR (SELECT count(*) FROM strangler_field WHERE path = ?1 AND round = ?2) < ${MAX_FIELDS}
  ON CONFLICT (path, round, field, kind) DO UPDATE SET only_new = only_new + excluded.only_new, only_again = only_again + excluded.only_again,
    in_both = in_both + excluded.in_both, seen_at_ms = max(seen_at_ms, excluded.seen_at_ms),
    examples = CASE WHEN excluded.examples = '[]' THEN examples ELSE excluded.examples END`
const FORGET_ROUNDS = ["strangler_rule", "strangler_field"].map(
  (table) => `DELETE FROM ${table} WHERE path = ?1 AND round <= ?2 - ${KEPT_ROUNDS}`,
)

/** A rule's name on the board. */
export interface ScoredRule {
  readonly path: string
  readonly round: number
}

/** One difference of one comparison, as compare-responses.ts finds it. */
export interface ScoredDifference {
  readonly field: string
  readonly kind: string
  readonly seenIn: "new" | "again" | "both"
  /** Types and lengths in the legacy answer and in the other one. */
  readonly first: string
  readonly other: string
}

export interface Example {
  readonly legacy: string
  readonly new: string
  /** To be found in the services' own logs. */
  readonly requestId: string
}

/** How often something was not as in the legacy answer: only in the new one, only in the second legacy one, in both. */
interface Counts {
  onlyNew: number
  onlyAgain: number
  inBoth: number
}
interface FieldSum extends Counts {
  examples: Example[]
}
interface RuleSum {
  readonly rule: ScoredRule
  compared: number
  matched: number
  onlyNew: number
  onlyAgain: number
  withoutBody: number
  skipped: number
  fallbacks: number
  /** By `<kind> <field>`. */
  readonly fields: Map<string, FieldSum>
}

/** Counts in memory and writes in groups: while one request writes, what others add waits for its next round. */
export class Scoreboard {
  readonly #clock: { now(): number }
  #sums = new Map<string, RuleSum>()
  #writingSinceMs = Number.NEGATIVE_INFINITY
  #isPrepared = false

  constructor(clock: { now(): number } = Date) {
    this.#clock = clock
  }

  /** One comparison. `isWhole` is false when status and headers were all that could be compared. */
  addComparison(rule: ScoredRule, differences: readonly ScoredDifference[], isWhole: boolean, requestId: string): void {
    const sum = this.#sumOf(rule)
    sum.compared++
    if (!isWhole) sum.withoutBody++
    if (differences.every(({ seenIn }) => seenIn === "again")) sum.matched++
    if (differences.some(({ seenIn }) => seenIn === "new")) sum.onlyNew++
    if (differences.some(({ seenIn }) => seenIn === "again")) sum.onlyAgain++
    const realFirst = [...differences].sort((a, b) => Number(b.seenIn === "new") - Number(a.seenIn === "new"))
    for (const each of realFirst.slice(0, MAX_FIELDS_AT_ONCE)) addDifference(sum.fields, each, requestId)
  }

  /** A `fallback`, or a request that was to be compared and was not. */
  addEvent(rule: ScoredRule, event: "fallback" | "skipped"): void {
    this.#sumOf(rule)[event === "fallback" ? "fallbacks" : "skipped"]++
  }

  /** Writes what was added, by whomever, until there is nothing more. Resolves at once when another request is writing. Rejects when the database does. */
  async write(database: D1Database): Promise<void> {
    const startedAtMs = this.#clock.now()
    if (startedAtMs - this.#writingSinceMs < WRITER_MS) return
    this.#writingSinceMs = startedAtMs
    try {
      await this.#prepare(database)
      while (this.#sums.size > 0 && this.#clock.now() - startedAtMs < WRITER_MS) {
        const sums = this.#sums
        this.#sums = new Map()
        const statements = [...sums.values()].flatMap((sum) => statementsOf(sum, database, this.#clock.now()))
        for (let at = 0; at < statements.length; at += MAX_STATEMENTS)
          await database.batch(statements.slice(at, at + MAX_STATEMENTS))
      }
    } finally {
      if (this.#writingSinceMs === startedAtMs) this.#writingSinceMs = Number.NEGATIVE_INFINITY
    }
  }

  /** Everything that was written, rules by path, the newest round first. */
  async read(database: D1Database): Promise<RuleScore[]> {
    await this.#prepare(database)
    const [rules, fields] = await database.batch<Row>([
      database.prepare(`SELECT * FROM strangler_rule ORDER BY path, round DESC LIMIT ${MAX_READ_RULES}`),
      database.prepare(
        `SELECT * FROM strangler_field ORDER BY only_new - only_again DESC, only_new DESC, field, kind LIMIT ${MAX_READ_FIELDS}`,
      ),
    ])
    const fieldsOf = Map.groupBy(fields?.results ?? [], ({ path, round }) => `${round} ${path}`)
    return (rules?.results ?? []).map((rule) => scoreOf(rule, fieldsOf.get(`${rule.round} ${rule.path}`) ?? []))
  }

  #sumOf(rule: ScoredRule): RuleSum {
    const key = `${rule.round} ${rule.path}`
    const zero = { compared: 0, matched: 0, onlyNew: 0, onlyAgain: 0, withoutBody: 0, skipped: 0, fallbacks: 0 }
    const sum = this.#sums.get(key) ?? { rule: { path: rule.path, round: rule.round }, ...zero, fields: new Map() }
    this.#sums.set(key, sum)
    return sum
  }

  async #prepare(database: D1Database): Promise<void> {
    if (this.#isPrepared) return
    await database.batch(SCHEMA.map((each) => database.prepare(each)))
    this.#isPrepared = true
  }
}

function addDifference(fields: Map<string, FieldSum>, each: ScoredDifference, requestId: string): void {
  const key = `${each.kind} ${each.field}`
  if (fields.size >= MAX_FIELDS && !fields.has(key)) return
  const sum = fields.get(key) ?? { onlyNew: 0, onlyAgain: 0, inBoth: 0, examples: [] }
  fields.set(key, sum)
  if (each.seenIn === "again") sum.onlyAgain++
  else if (each.seenIn === "both") sum.inBoth++
  else {
    sum.onlyNew++
    sum.examples = [{ legacy: each.first, new: each.other, requestId }, ...sum.examples].slice(0, MAX_EXAMPLES)
  }
}

function statementsOf(sum: RuleSum, database: D1Database, nowMs: number): D1PreparedStatement[] {
  const { path, round } = sum.rule
  const { compared, matched, onlyNew, onlyAgain, withoutBody, skipped, fallbacks } = sum
  const counts = [compared, matched, onlyNew, onlyAgain, withoutBody, skipped, fallbacks]
  const fields = [...sum.fields].map(([key, field]) => {
    const at = key.indexOf(" ")
    const name = [path, round, key.slice(at + 1), key.slice(0, at)]
    const examples = JSON.stringify(field.examples)
    return database.prepare(ADD_FIELD).bind(...name, field.onlyNew, field.onlyAgain, field.inBoth, examples, nowMs)
  })
  const forget = FORGET_ROUNDS.map((each) => database.prepare(each).bind(path, round))
  return [database.prepare(ADD_RULE).bind(path, round, ...counts, nowMs), ...forget, ...fields]
}

type Row = Readonly<Record<string, string | number>>

export interface FieldScore {
  readonly field: string
  readonly kind: string
  /** `noise` does not differ from the new service more often than from the legacy one itself. */
  readonly verdict: "different" | "noise"
  /** Of all comparisons of the rule, 0–100, rounded down at the fourth decimal: 100 is all. */
  readonly matchPercent: number
  readonly noiseAdjustedMatchPercent: number
  /** Comparisons in which the field was not as in the legacy answer: in the new one alone, in a second legacy one alone, in both. */
  readonly onlyNew: number
  readonly onlyAgain: number
  readonly inBoth: number
  /** The latest, newest first. */
  readonly examples: readonly Example[]
}

export interface RuleScore extends ScoredRule {
  readonly compared: number
  readonly matchPercent: number | null
  /** Null when nothing was compared. */
  readonly noiseAdjustedMatchPercent: number | null
  /** Compared by status and headers alone, because a body was longer than the rule allows. */
  readonly comparedWithoutBody: number
  /** Were to be compared and were not. */
  readonly skipped: number
  readonly fallbacks: number
  /** RFC 3339. */
  readonly seenAt: string
  readonly fields: readonly FieldScore[]
  /** There may be others that differ: `fields` holds no more. */
  readonly areFieldsFull: boolean
}

function scoreOf(row: Row, rows: readonly Row[]): RuleScore {
  const number = (name: string) => Number(row[name])
  const compared = number("compared")
  const fields = rows.map((each) => fieldScoreOf(each, compared))
  const [onlyNew, onlyAgain] = [number("only_new"), number("only_again")]
  const own = { onlyNew, onlyAgain, inBoth: compared - number("matched") - onlyNew }
  // Over requests as over fields, noise cancels out. Requests are asked too, since not every field has a row, and no rule matches better than its worst field.
  const adjusted = [
    adjustedMatch(own, compared, isMoreThanChance(own)),
    ...fields.map((each) => each.noiseAdjustedMatchPercent),
  ]
  return {
    path: String(row.path),
    round: number("round"),
    compared,
    matchPercent: compared === 0 ? null : percent(number("matched"), compared),
    noiseAdjustedMatchPercent: compared === 0 ? null : Math.min(...adjusted),
    comparedWithoutBody: number("without_body"),
    skipped: number("skipped"),
    fallbacks: number("fallbacks"),
    seenAt: new Date(number("seen_at_ms")).toISOString(),
    fields,
    areFieldsFull: fields.length >= MAX_FIELDS,
  }
}

function fieldScoreOf(row: Row, compared: number): FieldScore {
  const counts = { onlyNew: Number(row.only_new), onlyAgain: Number(row.only_again), inBoth: Number(row.in_both) }
  const isDifferent = isMoreThanChance(counts)
  return {
    field: String(row.field),
    kind: String(row.kind),
    verdict: isDifferent ? "different" : "noise",
    matchPercent: percent(compared - counts.onlyNew - counts.inBoth, compared),
    noiseAdjustedMatchPercent: adjustedMatch(counts, compared, isDifferent),
    ...counts,
    examples: JSON.parse(String(row.examples)) as Example[],
  }
}

/**
 * Whether the new service differs more often than the legacy one from itself (McNemar's test over the comparisons in which only one of them did).
 * A field that the legacy service always answers alike differs as soon as the new one does so once.
 */
export function isMoreThanChance({ onlyNew, onlyAgain, inBoth }: Readonly<Counts>): boolean {
  if (onlyNew === 0) return false
  if (onlyAgain + inBoth === 0) return true
  return (onlyNew - onlyAgain) / Math.sqrt(onlyNew + onlyAgain) > SURE
}

/** Of the comparisons in which noise hid nothing, the share that matched. */
function adjustedMatch({ onlyNew, onlyAgain }: Readonly<Counts>, compared: number, isDifferent: boolean): number {
  if (!isDifferent) return 100
  const visible = Math.max(compared - onlyAgain, 1)
  return percent(visible - (onlyNew - onlyAgain), visible)
}

function percent(part: number, whole: number): number {
  if (whole <= 0) return 100
  return Math.floor((Math.max(part, 0) / whole) * 1_000_000) / 10_000
}
