/**
 * Which version of a script answers: a weighted rendezvous hash of the sticky key, or a signed pin.
 * Rendezvous is monotone for any number of versions: raising one weight moves callers only to that version, never between others,
 * and two routes with different weights of one script keep their canary rings nested. Nothing random, nothing stored.
 */
import type { ReleaseWeight, StickyBy } from "../../../contracts/dispatch-config.ts"
import { companyOf } from "../../../kit/company-detection.ts"

export interface StickyFacts {
  readonly company: string | null
  /** Null for anonymous callers. */
  readonly subject: string | null
  readonly requestId: string
}

/** What a request offers to stick by. A company that the credential vouches for goes before the one the request merely names, which a client could vary until it likes the version. */
export function stickyFactsOf(
  inbound: {
    readonly request: Request
    readonly path: string
    readonly query: string
    readonly requestId: string
  },
  subject: {
    readonly kind: string
    readonly id: string
    readonly idp: string | null
    readonly company: string | null
  },
): StickyFacts {
  const named = () => companyOf(inbound.request.headers.get("procore-company-id"), inbound.path, inbound.query)
  return {
    company: subject.company ?? named(),
    subject: subject.kind === "anonymous" ? null : `${subject.idp}|${subject.id}`,
    requestId: inbound.requestId,
  }
}

/** `company:42`, `subject:idp|alice` or `request:<id>`: the first that the request has, beginning at `by`. */
export function stickyKeyOf(by: StickyBy, facts: StickyFacts): string {
  if (by === "company" && facts.company !== null) return `company:${facts.company}`
  if (by !== "request" && facts.subject !== null) return `subject:${facts.subject}`
  return `request:${facts.requestId}`
}

/** The version for `stickyKey`. `weights` sum to 10 000 (the config's parser holds that); `script` salts the hash, so that being early for one script says nothing of another. */
export function weighVersions(script: string, weights: readonly ReleaseWeight[], stickyKey: string): number {
  let winner = 0
  let best = Number.NEGATIVE_INFINITY
  for (const { version, weightBps } of weights) {
    if (weightBps === 0) continue
    // -w / ln(u): highest score wins with probability w / Σw, and grows with w alone.
    const score = -weightBps / Math.log(unitHash(`${script}\0${version}\0${stickyKey}`))
    if (score > best) {
      best = score
      winner = version
    }
  }
  return winner
}

/** A number in (0, 1), uniform: FNV-1a over UTF-16 units, finished by MurmurHash3's mixer (FNV alone is uneven in its high bits). */
function unitHash(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash >>> 0) + 0.5) / 0x1_0000_0000
}
