/** The subject that a passport of ours speaks of, where a request goes on: a sibling dispatch, or the exchange for a passport of another audience. */
import type { PassportClaims } from "../../../contracts/passport.ts"
import { PASSPORT_KEYS_IDP, targetHash } from "../../../contracts/revocation.ts"
import { type Revocable, revocableOf } from "./revocation-feed.ts"
import { makeSubject, type Subject } from "./subject.ts"
import { signerOf } from "./verify-passport.ts"

/** `auth_time` counts whole seconds, and the entrance milliseconds: by the end of its second nobody is refused here whom the entrance lets in, who logged in anew right after a revocation. */
const REST_OF_THE_SECOND_MS = 999

/** By the claims as verify-passport.ts keeps them: the same object for the same passport, so that what can revoke it is worked out once. */
const known = new WeakMap<PassportClaims, Subject>()

/** Everything that the passport says of its subject, with what can revoke it by then: so a revocation ends what is under way too. */
export async function subjectOfPassport(claims: PassportClaims): Promise<Subject> {
  const before = known.get(claims)
  if (before !== undefined) return before
  const subject = await makeFrom(claims)
  known.set(claims, subject)
  return subject
}

async function makeFrom(claims: PassportClaims): Promise<Subject> {
  const { kind, idp = null, company = null, companies = null, sid = null, auth_time: authTimeS } = claims
  const authTimeMs = authTimeS === undefined ? null : authTimeS * 1000
  return makeSubject({
    kind,
    id: claims.sub,
    idp,
    scopes: claims.scope === undefined ? [] : claims.scope.split(" "),
    company,
    companies,
    sid,
    authTimeMs,
    level: claims.level ?? 0,
    revocable: await withSigner(
      claims,
      idp === null
        ? null
        : await revocableOf({
            ...(sid === null ? {} : { session: sid }),
            idp,
            subject: claims.sub,
            companies: company === null ? [] : [company],
            madeAtMs: authTimeMs === null ? 0 : authTimeMs + REST_OF_THE_SECOND_MS,
          }),
    ),
  })
}

/** Whoever it speaks of, anonymous ones too: what a revoked key has signed is worth nothing. */
async function withSigner(claims: PassportClaims, revocable: Revocable | null): Promise<Revocable | null> {
  const kid = signerOf(claims)
  if (kid === null) return revocable
  const { hashes, madeAtMs } = revocable ?? { hashes: [], madeAtMs: 0 }
  return { hashes: [...hashes, await targetHash({ kind: "key", idp: PASSPORT_KEYS_IDP, kid })], madeAtMs }
}
