/**
 * Where a passport is allowed to go. Reads the passport without trusting it: the question here is only whether it leaves
 * toward the audience that it names; whether it is genuine is for the receiver to check.
 */
import { PASSPORT_TYP } from "../../contracts/passport.ts"
import { normalizeHeaderName, PASSPORT_HEADER } from "../../contracts/reserved-headers.ts"

/**
 * What the headers and the URL of a call say about passports.
 * `stray`: one is carried somewhere else than as the only value of `x-passport`, or is not readable.
 */
export type PassportCarried =
  | { readonly kind: "none" }
  | { readonly kind: "for"; readonly audience: string }
  | { readonly kind: "stray" }

/**
 * The header of every genuine passport contains its `typ` as text, so a passport copied verbatim contains one of these three
 * strings: the base64url of `passport+jwt`, once per alignment. What is re-encoded, split, or put into a body is not found.
 */
const PASSPORT_MARKS: readonly string[] = [0, 1, 2].map((shift) => {
  const bits = (shift + PASSPORT_TYP.length) * 8
  return btoa(" ".repeat(shift) + PASSPORT_TYP).slice(shift === 0 ? 0 : shift + 1, Math.floor(bits / 6))
})

/** Longest `x-passport` that is decoded, characters; real ones have about 700. */
const PASSPORT_MAX_CHARS = 8192

/** Looks through all header names, in any spelling, all header values, and the URL. */
export function passportCarried(url: string, headers: Headers): PassportCarried {
  if (hasMark(url)) return { kind: "stray" }
  let audience: string | null = null
  for (const [name, value] of headers) {
    if (name === PASSPORT_HEADER) {
      audience = audienceOf(value)
      if (audience === null) return { kind: "stray" }
    } else if (normalizeHeaderName(name) === PASSPORT_HEADER || hasMark(value)) {
      return { kind: "stray" }
    }
  }
  return audience === null ? { kind: "none" } : { kind: "for", audience }
}

function hasMark(text: string): boolean {
  return PASSPORT_MARKS.some((mark) => text.includes(mark))
}

/** `aud` of a compact JWS, unverified; null for anything else, a list of two passports included. */
function audienceOf(token: string): string | null {
  if (token.length > PASSPORT_MAX_CHARS) return null
  const payload = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/.exec(token)?.[1]
  if (payload === undefined) return null
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")))
    if (typeof claims !== "object" || claims === null || !("aud" in claims)) return null
    return typeof claims.aud === "string" ? claims.aud : null
  } catch {
    return null
  }
}
