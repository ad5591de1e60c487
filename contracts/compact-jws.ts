/**
 * The one spelling of a compact JWS that is accepted anywhere: three canonical base64url parts (RFC 7515 §7.1, RFC 4648 §3.5).
 * Token libraries tolerate others, and then one token has many spellings, which no cache, deny-list or log can tell apart.
 */

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** A last character that leaves bits over: after 2 characters of a group four bits must be 0, after 3 two bits. */
const TAIL_OF_TWO = /[AQgw]$/
const TAIL_OF_THREE = /[AEIMQUYcgkosw048]$/

/** Bytes a token may have; more is refused before any work is done. */
export const MAX_TOKEN_BYTES = 8_192

/** True for a compact JWS in its canonical spelling, at most {@link MAX_TOKEN_BYTES} long. Says nothing of its signature. */
export function isCanonicalCompactJws(token: string): boolean {
  return token.length <= MAX_TOKEN_BYTES && COMPACT.test(token) && token.split(".").every(isCanonicalBase64Url)
}

function isCanonicalBase64Url(part: string): boolean {
  const rest = part.length % 4
  if (rest === 0) return true
  if (rest === 1) return false
  return (rest === 2 ? TAIL_OF_TWO : TAIL_OF_THREE).test(part)
}
