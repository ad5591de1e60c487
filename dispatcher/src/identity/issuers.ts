/**
 * Issuers of bearer tokens with their keys ready for use. Keys come with the config and from nowhere else: no isolate fetches a JWKS.
 */
import { createLocalJWKSet, type JSONWebKeySet } from "jose"
import type { IssuerConfig } from "../../../contracts/dispatch-config.ts"

export interface Issuer {
  readonly id: string
  readonly config: IssuerConfig
  readonly keys: ReturnType<typeof createLocalJWKSet>
}

/**
 * Issuers across config revisions: an issuer whose settings did not change is the same object in the next revision,
 * and one that changed in any way is another, so that "verified by this issuer object" is a safe cache condition.
 */
export class IssuerRegistry {
  #known = new Map<string, Issuer>()

  /** The issuers of a config, by id. */
  prepare(issuers: Readonly<Record<string, IssuerConfig>>): ReadonlyMap<string, Issuer> {
    const next = new Map<string, Issuer>()
    const byId = new Map<string, Issuer>()
    for (const [id, config] of Object.entries(issuers)) {
      const fingerprint = JSON.stringify([id, config])
      const issuer = this.#known.get(fingerprint) ?? {
        id,
        config,
        keys: createLocalJWKSet(config.jwks as JSONWebKeySet),
      }
      next.set(fingerprint, issuer)
      byId.set(id, issuer)
    }
    this.#known = next
    return byId
  }
}
