/** The audit's hash chain, computed independently of the control plane that wrote it. */
import { createHash } from "node:crypto"
import type { AuditRecord } from "../contracts/api.ts"

/** `previousHash` of the first record. */
const GENESIS_HASH = "0".repeat(64)

export interface ChainFault {
  readonly seq: number
  readonly why: string
}

/** The first record that does not follow from the one before it, or null. `records` by rising seq, complete; `known` must be among them. */
export function faultInChain(
  records: readonly AuditRecord[],
  known?: { readonly seq: number; readonly hash: string },
): ChainFault | null {
  let seq = 0
  let hash = GENESIS_HASH
  for (const record of records) {
    if (record.seq !== seq + 1) return { seq: seq + 1, why: "it is missing" }
    if (record.previousHash !== hash) return { seq: record.seq, why: "it does not follow from the one before" }
    if (record.hash !== hashOf(record)) return { seq: record.seq, why: "it was changed" }
    seq = record.seq
    hash = record.hash
  }
  if (known === undefined) return null
  const found = records.find((each) => each.seq === known.seq)
  if (found === undefined) return { seq: known.seq, why: "it is missing from the end" }
  return found.hash === known.hash ? null : { seq: known.seq, why: "it was rewritten since it was noted" }
}

/** SHA-256 (hex) over the record's fields and the hash before it, as a JSON array whose `detail` is canonical JSON text. */
export function hashOf(record: Omit<AuditRecord, "hash">): string {
  const { seq, at, actor, action, target, detail, previousHash } = record
  const text = JSON.stringify([seq, at, actor, action, target, canonicalJson(detail), previousHash])
  return createHash("sha256").update(text).digest("hex")
}

/** Keys in code-unit order, no white space. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(",")}}`
}
