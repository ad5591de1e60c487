/**
 * The same statement as a Transaction Token, for destinations that speak that draft rather than ours: who calls in `sub`, what is known of the request in
 * `rctx`, what the gateway decided in `tctx`. Its header is the same but for `typ`, so that neither can be shown for the other.
 * @see draft-ietf-oauth-transaction-tokens
 */
import type { JWTPayload } from "jose"
import type { PassportClaims } from "../../../contracts/passport.ts"

/**
 * The claims of a passport in the draft's shape. `sub` is `<idp>/<subject>`, because it must be unique among all whom `aud` knows, whoever vouches for them.
 * `txn` is the token's own id: a token may serve several requests of one caller, whose common id is in the trip. `req_wl` is the script that sends it;
 * `scope` may be empty and is always there. The session's handle is left out: it is of use to our own Workers alone.
 */
export function txnTokenClaims(claims: PassportClaims): JWTPayload {
  const { iss, aud, sub, iat, nbf, exp, jti, idp, scope = "", act, facts, sid: _sid, ...decided } = claims
  const principal = idp === undefined ? sub : `${idp}/${sub}`
  const tctx = {
    ...decided,
    ...(idp === undefined ? {} : { idp }),
    ...(act?.act === undefined ? {} : { act: act.act }),
  }
  return { iss, aud, sub: principal, iat, nbf, exp, jti, txn: jti, scope, req_wl: act?.sub ?? iss, rctx: facts, tctx }
}
