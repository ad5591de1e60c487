/**
 * What a call carries of passports, and which audience it is for. Reads a passport without trusting it: the question here is only whether the calling script
 * shows its own, in the one place for it; whether it is genuine is checked where it is exchanged (dispatcher/src/passport-exchange.ts).
 */
import { PASSPORT_TYP, scriptAudience, TXN_TOKEN_TYP } from "../../contracts/passport.ts"
import { AUDIENCE_HEADER, normalizeHeaderName, PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"
import { refuse } from "../../kit/problem.ts"

/**
 * What the headers and the URL of a call say about passports. `own`: one for the calling script, alone in `x-passport`.
 * `stray`: one is carried somewhere else, or is for somebody else, or is not readable.
 */
export type PassportCarried =
  | { readonly kind: "none" }
  | { readonly kind: "own"; readonly token: string; readonly expiresS: number }
  | { readonly kind: "stray" }

/**
 * The header of every genuine passport contains its `typ` as text, so one copied verbatim contains one of these three strings per
 * profile: the base64url of the `typ`, once per alignment. What is re-encoded, split, or put into a body is not found.
 */
const PASSPORT_MARKS: readonly string[] = [PASSPORT_TYP, TXN_TOKEN_TYP].flatMap((typ) =>
  [0, 1, 2].map((shift) => {
    const bits = (shift + typ.length) * 8
    return btoa(" ".repeat(shift) + typ).slice(shift === 0 ? 0 : shift + 1, Math.floor(bits / 6))
  }),
)

/** Longest `x-passport` that is decoded, characters; real ones have about 700. */
const PASSPORT_MAX_CHARS = 8192

/** Looks through all header names, in any spelling, all header values, and the URL. `script`: who calls. */
export function passportCarried(url: string, headers: Headers, script: string): PassportCarried {
  if (hasMark(url)) return { kind: "stray" }
  let own: PassportCarried = { kind: "none" }
  for (const [name, value] of headers) {
    if (name === PASSPORT_HEADER) {
      own = readOwn(value, script)
      if (own.kind === "stray") return own
    } else if (normalizeHeaderName(name) === PASSPORT_HEADER || hasMark(value)) {
      return { kind: "stray" }
    }
  }
  return own
}

/**
 * The audience among `audiences` (the team's, with their origins) to which a call with the script's own passport goes. `wanted`: what the call says in
 * {@link AUDIENCE_HEADER}, null when nothing. Throws `egress.passport-misdirected` when none has the origin, `egress.audience-ambiguous` when several have.
 */
export function audienceAt(
  origin: string,
  wanted: string | null,
  audiences: Readonly<Record<string, readonly string[]>>,
): string {
  const candidates = Object.keys(audiences).filter((name) => audiences[name]?.includes(origin) === true)
  const [first, ...others] = wanted === null ? candidates : candidates.filter((name) => name === wanted)
  if (first === undefined) throw refuse("egress.passport-misdirected")
  if (others.length > 0)
    throw refuse("egress.audience-ambiguous", {
      detail: `Name one of ${candidates.join(", ")} in the header ${AUDIENCE_HEADER}.`,
    })
  return first
}

function hasMark(text: string): boolean {
  return PASSPORT_MARKS.some((mark) => text.includes(mark))
}

/** A compact JWS whose unverified `aud` is the script; `stray` for anything else, a list of two passports included. */
function readOwn(token: string, script: string): PassportCarried {
  const claims = claimsOf(token)
  if (claims?.aud !== scriptAudience(script) || typeof claims.exp !== "number") return { kind: "stray" }
  return { kind: "own", token, expiresS: claims.exp }
}

function claimsOf(token: string): { readonly aud?: unknown; readonly exp?: unknown } | null {
  if (token.length > PASSPORT_MAX_CHARS) return null
  const payload = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(token)?.[1]
  if (payload === undefined) return null
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")))
    return typeof claims === "object" && claims !== null ? claims : null
  } catch {
    return null
  }
}
