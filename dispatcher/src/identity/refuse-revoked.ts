/** Stage "revocation": what was revoked is refused, here and wherever the request goes on. One place that says what is asked of the feed. */
import type { IdentityConfig } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import type { RevocationFeed } from "./revocation-feed.ts"
import type { Subject } from "./subject.ts"

/**
 * Passes, in steady state without a promise; anonymous callers have nothing that could be revoked. `isSensitive` refuses as well while it is not known what was revoked.
 * Refuses `auth.revoked`, `auth.revocation-unknown`.
 */
export function refuseRevoked(
  { revocable }: Subject,
  isSensitive: boolean,
  policy: { readonly identity: IdentityConfig },
  deps: { readonly revocations: RevocationFeed },
  around: { readonly note: (finding: Finding) => void; readonly waitUntil: (work: Promise<unknown>) => void },
): void | Promise<void> {
  const { note, waitUntil } = around
  return deps.revocations.refuseRevoked(revocable, isSensitive, policy.identity.feedMaxAgeMs, note, waitUntil)
}
