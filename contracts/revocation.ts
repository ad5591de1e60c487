/**
 * Revocations: what is no longer accepted although it has not expired. A feed, not a look-up: the log (revocations/) numbers them, relays pass them on,
 * each isolate of the dispatcher holds the live ones in memory. Nothing ever takes one back; it is dropped when what it names would have expired anyway.
 */
import { z } from "zod"
import { companyId, idpName } from "./dispatch-config.ts"
import { sessionHandle } from "./session.ts"

/** `kid` of the gateway's own passports rather than of an issuer's tokens: the `idp` of a `key` target. */
export const PASSPORT_KEYS_IDP = "passports"

export const revocationTarget = z.discriminatedUnion("kind", [
  /** One session. */
  z.strictObject({ kind: z.literal("session"), session: sessionHandle }),
  /** All credentials of one subject of one identity provider made until `beforeMs`. */
  z.strictObject({ kind: z.literal("subject"), idp: idpName, subject: z.string().min(1).max(500) }),
  /** All credentials bound to one company made until `beforeMs`. */
  z.strictObject({ kind: z.literal("company"), company: companyId }),
  /** Every credential whatsoever made until `beforeMs`. */
  z.strictObject({ kind: z.literal("everything") }),
  /** Everything that this key has signed, whenever. */
  z.strictObject({ kind: z.literal("key"), idp: idpName, kid: z.string().min(1).max(200) }),
])
export type RevocationTarget = z.output<typeof revocationTarget>
export type RevocationKind = RevocationTarget["kind"]

export const revocation = z.strictObject({
  target: revocationTarget,
  /** Credentials made at or before this are refused, milliseconds since the epoch; not of sessions and keys, which are refused outright. At most {@link AHEAD_MOST_MS} in the future. */
  beforeMs: z.int().min(0).optional(),
  /** For whoever asks later; never shown to the subject. */
  reason: z.string().min(1).max(200),
})
export type Revocation = z.output<typeof revocation>

/**
 * As whoever knows the session asks for it: its entry is kept until `sessionExpiresAtMs` and a while, without it for {@link MAX_CREDENTIAL_LIFETIME_S}. Never earlier than the session's real end:
 * what is forgotten is refused no more.
 */
export const revocationRequest = z.strictObject({
  ...revocation.shape,
  sessionExpiresAtMs: z.int().min(0).optional(),
})
export type RevocationRequest = z.output<typeof revocationRequest>

/** Milliseconds that `beforeMs` may be ahead of who is asked: clocks of identity providers are. */
export const AHEAD_MOST_MS = 60_000
/** Seconds that the key of a service account may live: the longest-lived credential there is. */
export const MAX_SERVICE_KEY_LIFETIME_S = 366 * 86_400
/** Seconds that a revocation of anything but a session is kept: the longest that a credential may live. Sessions and tokens that live longer are not accepted. */
export const MAX_CREDENTIAL_LIFETIME_S = 30 * 86_400
/** Of one append. */
export const MAX_REVOCATIONS_PER_CALL = 5_000
/** In force at one time. From here on the log takes only what stands for many: keys, companies, everything. */
export const MAX_LIVE_REVOCATIONS = 3_000_000

/**
 * One entry on its way to the isolates, {@link ENTRY_BYTES} bytes, little-endian: 8 of the target's hash, 8 (float64) `beforeMs`, 4 (uint32) seconds since the epoch at which it may be dropped.
 * `beforeMs` is +Infinity for sessions and keys.
 */
export const ENTRY_BYTES = 20

/** First 8 bytes of SHA-256 of the target as text; two targets share one by chance in 1 of 2^64 pairs, and then the wrong one has to log in again. */
export async function targetHash(target: RevocationTarget): Promise<Uint8Array> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(partsOf(target))))
  return new Uint8Array(digest, 0, 8)
}

function partsOf(target: RevocationTarget): readonly string[] {
  switch (target.kind) {
    case "session":
      return ["session", target.session]
    case "subject":
      return ["subject", target.idp, target.subject]
    case "company":
      return ["company", target.company]
    case "everything":
      return ["everything"]
    case "key":
      return ["key", target.idp, target.kid]
  }
}

/** What an isolate asks its relay, and a relay the log. Sequence numbers grow with time, also over a log that was lost or put back to an older state; there are gaps between them. */
export interface FeedPage {
  /** Whole entries, oldest first: those after the asked-for sequence number, and perhaps some from before it; at most {@link FEED_PAGE_ENTRIES}. */
  readonly entries: Uint8Array
  /** Sequence number of the last entry in `entries`, or the asked-for one when there is none. Ask again from here. */
  readonly upTo: number
  /** Sequence number of the newest entry known to who answers. `upTo < head`: there is more. */
  readonly head: number
  /** Milliseconds since who answers last heard from the log itself; 0 from the log. */
  readonly ageMs: number
}
/** Of an answer; one that is stored already and longer goes out as it is. */
export const FEED_PAGE_ENTRIES = 20_000

/** Of a relay (Durable Object `RevocationRelay`, one per location) and of the log. */
export interface FeedApi {
  /** `seq` 0 asks for everything still alive. Throws when the log was never heard of. */
  since(seq: number): Promise<FeedPage>
}

/** RPC surface of a relay. */
export interface RelayApi extends FeedApi {
  /**
   * Whether a credential made at `madeAtMs` falls under an entry for one of these hashes, 8 bytes each, at most 300 of them: for isolates that cannot hold every entry.
   * Slow, and asked of few credentials. Throws when the log was never heard of.
   */
  revokes(hashes: Uint8Array, madeAtMs: number): Promise<boolean>
}

export interface Appended {
  /** Sequence number of the last one. */
  readonly seq: number
  readonly atMs: number
}

export interface RevocationEntry {
  readonly seq: number
  readonly atMs: number
  readonly target: RevocationTarget
  readonly beforeMs: number | null
  /** Milliseconds; dropped after this. */
  readonly keptUntilMs: number
  readonly reason: string
  /** Who asked: `ops:<token>`, `script:<name>`, … */
  readonly actor: string
}

export interface FeedStatus {
  /** Sequence number of the newest entry; 0 before the first. */
  readonly head: number
  /** Entries still kept. */
  readonly live: number
  /** That were heard of within the last minute. */
  readonly relays: number
  /** Of the log's storage. */
  readonly bytes: number
}

/** RPC surface of the revocations Worker's entrypoint `Revocations`, bound by the dispatcher (for teams with the grant) and by the control plane. */
export interface RevocationsApi {
  /**
   * Durable when it answers. Throws an Error whose message is a problem code: `revocation.invalid`, `revocation.log-full`; then nothing of the call was taken.
   */
  append(revocations: readonly RevocationRequest[], actor: string): Promise<Appended>
  /** Oldest first: those after a sequence number, or without one the newest. `limit` is 100 unless given, at most 1 000. */
  list(query: { readonly after?: number; readonly limit?: number }): Promise<readonly RevocationEntry[]>
  status(): Promise<FeedStatus>
}
