/**
 * Who calls, read from the verified passport: with this no team's Worker parses a claim, a scope or a time of its own. Stands behind `requirePassport()`.
 * It knows nothing that the passport does not say, and holds nothing with which one could log in.
 */
import type { MiddlewareHandler } from "hono"
import type { PassportClaims, SubjectKind } from "../contracts/passport.ts"

export interface Session {
  /** `user` a person, `service` a program, `anonymous` nobody: then everything below is null, 0 or empty. */
  readonly kind: SubjectKind
  /** As the identity provider names it; unique together with `idp`. */
  readonly subject: string | null
  /** Id of the identity provider in the dispatch config. */
  readonly idp: string | null
  /** The company that the credential is bound to, decimal text; null when it is bound to none. */
  readonly company: string | null
  /** Companies that the caller is a member of, none when empty; null where the directory says nothing. */
  readonly companies: readonly string[] | null
  readonly scopes: readonly string[]
  /** How sure the identity provider was: 0 unknown, 1 one factor, 2 several, 3 several, one of them hardware. */
  readonly level: number
  /** Milliseconds since the epoch at which the person proved who they are, or the credential was issued; null when nobody said. */
  readonly authenticatedAtMs: number | null
  /** Names the session for `PLATFORM.revoke({ kind: "session", … })`; null for every other credential. */
  readonly handle: string | null
}

export interface SessionVariables {
  readonly session: Session
}

interface Variables extends SessionVariables {
  readonly passport: PassportClaims
}

/**
 * Sets `session`. Without the passport check before it every request ends with a TypeError. Refuses nobody: whether a caller must be somebody is the route's to ask, and a Worker's own conditions are one look.
 *
 * ```ts
 * const app = worker<Env, PassportVariables & SessionVariables>({ log: writeLog })
 * app.use(requirePassport({ script: "example" }), session())
 * app.get("/me", (c) => c.json({ hello: c.var.session.subject, company: c.var.session.company }))
 * app.delete("/me", (c) => {
 *   if (c.var.session.level < 2 || !c.var.session.scopes.includes("me:delete")) throw refuse("auth.not-allowed")
 *   return c.body(null, 204)
 * })
 * ```
 */
export function session(): MiddlewareHandler<{ Variables: Variables }> {
  return async function session(c, next) {
    const { passport } = c.var
    if (passport === undefined)
      throw new TypeError(
        'session() stands behind requirePassport(), which sets "passport": app.use(requirePassport(…), session())',
      )
    c.set("session", sessionOf(passport))
    await next()
  }
}

/** {@link session} without Hono. `passport`: verified, as `passportRequirement` gives it. */
export function sessionOf(passport: PassportClaims): Session {
  const { kind, sub, idp, company, companies, scope, level, auth_time, sid } = passport
  const isAnonymous = kind === "anonymous"
  return {
    kind,
    subject: isAnonymous ? null : sub,
    idp: idp ?? null,
    company: company ?? null,
    companies: companies ?? null,
    scopes: scope === undefined ? [] : scope.split(" "),
    level: level ?? 0,
    authenticatedAtMs: auth_time === undefined ? null : auth_time * 1000,
    handle: sid ?? null,
  }
}
