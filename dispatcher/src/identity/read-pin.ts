/**
 * Reads a release pin. Only the control plane can sign one; whatever is not a valid pin is as if it had not been sent,
 * because a pin is a wish about a version and never a credential.
 */
import { jwtVerify } from "jose"
import { isCanonicalCompactJws } from "../../../contracts/compact-jws.ts"
import { PIN_ALG, PIN_MAX_LIFETIME_S, PIN_TYP } from "../../../contracts/release-pin.ts"

export class PinReader {
  readonly #clock: { now(): number }
  readonly #key: Uint8Array

  /** `secret`: 32 bytes in base64url. Throws on anything shorter. */
  constructor(clock: { now(): number }, secret: string) {
    this.#clock = clock
    this.#key = Uint8Array.from(atob(secret.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
    if (this.#key.length < 32) throw new Error("PIN_KEY: at least 32 bytes are needed")
  }

  /** The version that `pin` asks for of `script`, or null. At once when no pin came. */
  read(pin: string | null, script: string): number | null | Promise<number | null> {
    return pin === null ? null : this.#read(pin, script)
  }

  async #read(pin: string, script: string): Promise<number | null> {
    if (!isCanonicalCompactJws(pin)) return null
    try {
      const { payload } = await jwtVerify(pin, this.#key, {
        algorithms: [PIN_ALG],
        typ: PIN_TYP,
        issuer: "sallyport-control-plane",
        audience: "sallyport-dispatcher",
        requiredClaims: ["exp", "iat"],
        maxTokenAge: PIN_MAX_LIFETIME_S,
        currentDate: new Date(this.#clock.now()),
      })
      const { script: pinned, version } = payload
      return pinned === script && Number.isSafeInteger(version) && (version as number) > 0 ? (version as number) : null
    } catch {
      return null
    }
  }
}
