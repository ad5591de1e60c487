/** From what somebody asks to be revoked to what is kept: checked once more, with its time, its end and its hash. */
import { z } from "zod"
import { SERVICE_ACCOUNTS_IDP } from "../../contracts/dispatch-config.ts"
import {
  AHEAD_MOST_MS,
  ENTRY_BYTES,
  MAX_CREDENTIAL_LIFETIME_S,
  MAX_REVOCATIONS_PER_CALL,
  MAX_SERVICE_KEY_LIFETIME_S,
  type RevocationKind,
  type RevocationRequest,
  revocationRequest,
  targetHash,
} from "../../contracts/revocation.ts"

/** Kept longer than what is revoked may live: for clocks, and for what is still under way then. */
const KEPT_LONGER_MS = 600_000
/** uint32 seconds: a key never expires, so neither does its revocation. */
const FOREVER_MS = 0xffff_ffff * 1000
/** One of these stands for many credentials, and is taken when the log is full. */
export const SWEEPING: readonly RevocationKind[] = ["key", "company", "everything"]

const call = z.tuple([z.array(revocationRequest).min(1).max(MAX_REVOCATIONS_PER_CALL), z.string().min(1).max(200)])

/** One line of the log as people read it. */
export interface PreparedRow {
  readonly target: RevocationRequest["target"]
  readonly beforeMs: number | null
  readonly keptUntilMs: number
  readonly reason: string
}

export interface Prepared {
  readonly rows: readonly PreparedRow[]
  /** Of the same order: contracts/revocation.ts says how. */
  readonly entries: Uint8Array
  readonly actor: string
}

/** Throws an Error `revocation.invalid` for anything else than what the contract says; RPC arguments have no types at run time. */
export async function prepare(revocations: unknown, actor: unknown, nowMs: number): Promise<Prepared> {
  const parsed = call.safeParse([revocations, actor])
  if (!parsed.success) throw new Error("revocation.invalid")
  const [all, by] = parsed.data
  const rows = all.map((each) => rowOf(each, nowMs))
  return { rows, entries: await encode(rows), actor: by }
}

function rowOf({ target, beforeMs, reason, sessionExpiresAtMs }: RevocationRequest, nowMs: number): PreparedRow {
  const isOutright = target.kind === "session" || target.kind === "key"
  const isWrong =
    (isOutright && beforeMs !== undefined) ||
    (target.kind !== "session" && sessionExpiresAtMs !== undefined) ||
    (beforeMs ?? 0) > nowMs + AHEAD_MOST_MS
  if (isWrong) throw new Error("revocation.invalid")
  const lifetimeMs = (concernsServiceKeys(target) ? MAX_SERVICE_KEY_LIFETIME_S : MAX_CREDENTIAL_LIFETIME_S) * 1000
  const before = isOutright ? null : (beforeMs ?? nowMs)
  if (target.kind === "key") return { target, beforeMs: null, keptUntilMs: FOREVER_MS, reason }
  const expiresMs =
    target.kind === "session"
      ? Math.min(Math.max(sessionExpiresAtMs ?? Number.POSITIVE_INFINITY, nowMs), nowMs + lifetimeMs)
      : Math.max(before ?? 0, nowMs) + lifetimeMs
  return { target, beforeMs: before, keptUntilMs: expiresMs + KEPT_LONGER_MS, reason }
}

/** What may revoke the key of a service account, which lives longer than any session or token. */
function concernsServiceKeys(target: RevocationRequest["target"]): boolean {
  if (target.kind === "subject") return target.idp === SERVICE_ACCOUNTS_IDP
  return target.kind === "company" || target.kind === "everything"
}

async function encode(rows: readonly PreparedRow[]): Promise<Uint8Array> {
  const hashes = await Promise.all(rows.map((row) => targetHash(row.target)))
  const entries = new Uint8Array(rows.length * ENTRY_BYTES)
  const view = new DataView(entries.buffer)
  for (const [index, { beforeMs, keptUntilMs }] of rows.entries()) {
    const at = index * ENTRY_BYTES
    entries.set(hashes[index] ?? [], at)
    view.setFloat64(at + 8, beforeMs ?? Number.POSITIVE_INFINITY, true)
    view.setUint32(at + 16, Math.ceil(keptUntilMs / 1000), true)
  }
  return entries
}
