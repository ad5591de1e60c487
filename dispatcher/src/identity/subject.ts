/** Who calls, as the credential's check found it, and what the config's directory of subjects adds. One object per credential, reused while nothing of it changes. */
import type { SubjectConfig } from "../../../contracts/dispatch-config.ts"
import type { SubjectKind } from "../../../contracts/passport.ts"
import { type Revocable, revocableOf } from "./revocation-feed.ts"

export interface Subject {
  readonly kind: SubjectKind
  /** `anonymous` for anonymous. */
  readonly id: string
  /** Id of the issuer in the config, or `SERVICE_ACCOUNTS_IDP`; null for anonymous. */
  readonly idp: string | null
  readonly scopes: readonly string[]
  readonly company: string | null
  /** Companies that the subject is a member of, none when empty; null where the directory says nothing. */
  readonly companies: readonly string[] | null
  /** Handle of the session; null for any other credential. */
  readonly sid: string | null
  /** When the person proved who they are, or else the credential was issued, milliseconds since the epoch; null when nobody said. */
  readonly authTimeMs: number | null
  /** Level of the session, contracts/session.ts; 0 when nothing is known. */
  readonly level: number
  /** What can revoke the credential; null for anonymous. */
  readonly revocable: Revocable | null
  /** Differs whenever anything a passport says of the subject differs. */
  readonly cacheKey: string
}

export const ANONYMOUS: Subject = {
  kind: "anonymous",
  id: "anonymous",
  idp: null,
  scopes: [],
  company: null,
  companies: null,
  sid: null,
  authTimeMs: null,
  level: 0,
  revocable: null,
  cacheKey: "anonymous",
}

/** Builds a subject with its cache key; JSON keeps the parts apart whatever they contain. */
export function makeSubject(parts: Omit<Subject, "cacheKey">): Subject {
  const { kind, idp, id, company, scopes, companies, sid, authTimeMs, level } = parts
  return {
    ...parts,
    cacheKey: JSON.stringify([kind, idp, id, company, scopes, companies, sid, authTimeMs, level]),
  }
}

/** What a credential itself says. */
export interface CredentialFacts extends Omit<Subject, "cacheKey" | "revocable" | "companies" | "idp"> {
  readonly idp: string
  /** The key that signed it, or that it is; null where none can be revoked on its own. */
  readonly kid: string | null
}

/** The config's directory: `<idp>/<subject>` → what it adds. */
export type SubjectsDirectory = Readonly<Record<string, SubjectConfig>>

/** The subject of one credential, kept with it between requests: made anew when the directory says something else of it, and only then. */
export class KeptSubject {
  readonly facts: CredentialFacts
  readonly #key: string
  #directory: SubjectsDirectory | null = null
  #entry: SubjectConfig | undefined
  #subject: Subject | null = null

  constructor(facts: CredentialFacts) {
    this.facts = facts
    this.#key = `${facts.idp}/${facts.id}`
  }

  /** The subject under this directory: at once, unless it is the first time or something changed. */
  under(directory: SubjectsDirectory): Subject | Promise<Subject> {
    if (this.#subject !== null && directory === this.#directory) return this.#subject
    const entry = Object.hasOwn(directory, this.#key) ? directory[this.#key] : undefined
    // Each revision of the config is another object, whatever changed in it.
    if (this.#subject === null || JSON.stringify(entry) !== JSON.stringify(this.#entry))
      return this.#make(directory, entry)
    this.#directory = directory
    return this.#subject
  }

  async #make(directory: SubjectsDirectory, entry: SubjectConfig | undefined): Promise<Subject> {
    const { kid, ...facts } = this.facts
    const { scopes = [], companies = null } = entry ?? {}
    const subject = makeSubject({
      ...facts,
      scopes: [...new Set([...facts.scopes, ...scopes])],
      companies,
      revocable: await revocableOf({
        ...(facts.sid === null ? {} : { session: facts.sid }),
        ...(kid === null ? {} : { kid }),
        idp: facts.idp,
        subject: facts.id,
        companies: facts.company === null ? [] : [facts.company],
        // Unknown is the beginning of time: every revocation holds for it.
        madeAtMs: facts.authTimeMs ?? 0,
      }),
    })
    this.#directory = directory
    this.#entry = entry
    this.#subject = subject
    return subject
  }
}
