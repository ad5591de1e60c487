/**
 * A release pin lets a test or an operator ask for one version of one script, whatever the weights say.
 * Made by the control plane, believed by the dispatcher only with a valid signature: a JWS (HS256) with `typ: release-pin+jwt`.
 */

export const PIN_TYP = "release-pin+jwt"
export const PIN_ALG = "HS256"
/** Seconds a pin lives at most. */
export const PIN_MAX_LIFETIME_S = 86_400

export interface PinClaims {
  readonly iss: "sallyport-control-plane"
  readonly aud: "sallyport-dispatcher"
  readonly script: string
  readonly version: number
  readonly iat: number
  readonly exp: number
}
