/**
 * Makes a key of the passports. Its private part is sealed in the same breath: in clear it exists within this function alone, and nowhere in what is kept, published,
 * audited or logged.
 */

import type { PassportKeyConfig } from "../../../contracts/dispatch-config.ts"
import { PASSPORT_KEY_PURPOSE } from "../../../contracts/passport-keys.ts"
import { refuse } from "../../../kit/problem.ts"
import { sealWith } from "../../../kit/seal.ts"
import { toHex } from "../../../kit/sha256.ts"

export interface MakeKeyDependencies {
  readonly clock: { now(): number }
  readonly settings: { readonly ringKey: string | null }
}

/** A key that signs from now on, unless its place in the ring says otherwise. Throws `keys.not-configured` without RING_KEY. */
export async function makeKey({ clock, settings }: MakeKeyDependencies): Promise<PassportKeyConfig> {
  if (settings.ringKey === null || settings.ringKey === "") throw refuse("keys.not-configured")
  const nowMs = clock.now()
  const { seal } = await sealWith(settings.ringKey)
  const algorithm = { name: "ECDSA", namedCurve: "P-256" }
  const pair = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair
  const { x, y, d } = (await crypto.subtle.exportKey("jwk", pair.privateKey)) as JsonWebKey
  if (x === undefined || y === undefined || d === undefined) throw new Error("an EC key without coordinates")
  const kid = `${new Date(nowMs).toISOString().slice(0, 10)}.${randomName()}`
  const secret = new TextEncoder().encode(d) as Uint8Array<ArrayBuffer>
  const sealed = await seal(secret, { purpose: PASSPORT_KEY_PURPOSE, name: kid })
  return { kid, x, y, sealed, signsFromMs: nowMs }
}

/** 8 hex digits: kids of one day differ. */
function randomName(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(4)))
}
