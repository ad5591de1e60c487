/** Who calls, as the credential's check found it. Made by authenticate.ts; one object per credential, reused while it is valid. */
import type { SubjectKind } from "../../../contracts/passport.ts"

export interface Subject {
  readonly kind: SubjectKind
  /** `anonymous` for anonymous. */
  readonly id: string
  /** Id of the issuer in the config; null for anonymous. */
  readonly idp: string | null
  readonly scopes: readonly string[]
  readonly company: string | null
  /** Differs whenever anything a passport says of the subject differs. */
  readonly cacheKey: string
}

export const ANONYMOUS: Subject = {
  kind: "anonymous",
  id: "anonymous",
  idp: null,
  scopes: [],
  company: null,
  cacheKey: "anonymous",
}

/** Builds a subject with its cache key; JSON keeps the parts apart whatever they contain. */
export function makeSubject(parts: Omit<Subject, "cacheKey">): Subject {
  return {
    ...parts,
    cacheKey: JSON.stringify([parts.kind, parts.idp, parts.id, parts.company, parts.scopes]),
  }
}
