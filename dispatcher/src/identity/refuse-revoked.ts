/** Stage "revocation": what was revoked is refused, here and wherever the request goes on. One place that says what is asked of the feed. */
import type { IdentityConfig } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { freshLoginCookie } from "../../../kit/fresh-login-cookie.ts"
import { Refusal, refuse } from "../../../kit/problem.ts"
import { clearedSessionCookie } from "../../../kit/session-cookie.ts"
import type { RevocationFeed } from "./revocation-feed.ts"
import type { Subject } from "./subject.ts"

/**
 * Passes, in steady state without a promise; anonymous callers have nothing that could be revoked. `isSensitive` refuses as well while it is not known what was revoked.
 * Refuses `auth.revoked`, `auth.revocation-unknown`.
 */
export function refuseRevoked(
  subject: Subject,
  isSensitive: boolean,
  policy: { readonly identity: IdentityConfig },
  deps: { readonly revocations: RevocationFeed },
  around: { readonly note: (finding: Finding) => void; readonly waitUntil: (work: Promise<unknown>) => void },
): void | Promise<void> {
  const { revocable } = subject
  const { note, waitUntil } = around
  try {
    const passing = deps.revocations.refuseRevoked(
      revocable,
      isSensitive,
      policy.identity.feedMaxAgeMs,
      note,
      waitUntil,
    )
    return passing?.catch((thrown: unknown) => {
      throw withoutCookie(thrown, subject)
    })
  } catch (thrown) {
    throw withoutCookie(thrown, subject)
  }
}

/**
 * A revoked session is taken from the browser, which would else be refused at the login as well, for as long as it keeps the cookie; and the browser is to ask for a fresh proof at its next login,
 * wherever that begins, since an old one would be refused again.
 */
function withoutCookie(thrown: unknown, { sid }: Subject): unknown {
  if (!(thrown instanceof Refusal) || thrown.code !== "auth.revoked" || sid === null) return thrown
  return refuse(thrown.code, { ...thrown.options, cookies: [clearedSessionCookie(), freshLoginCookie()] })
}
