/**
 * Looks at the key sets of the issuers that publish one, every 20 seconds within the minute's schedule, and publishes what has changed as config: so that no isolate ever
 * fetches keys, whatever tokens it is shown. The same work whether anything changed or not. What is not good leaves the last good keys in force.
 */
import type { DispatchConfig } from "../../../contracts/dispatch-config.ts"
import { SYSTEM } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { change } from "../config/change.ts"
import type { Dependencies } from "../dependencies.ts"
import type { WatchedIssuer } from "../store/issuer-keys.ts"
import type { IssuerKeysRow } from "../store/rows.ts"
import { LOOK_LIMIT_MS, readKeySet } from "./read-key-set.ts"

export const LOOK_EVERY_MS = 20_000
const LOOKS_PER_MINUTE = 3
/** Looks at a time: the platform gives a Worker six connections. */
const AT_ONCE = 5

/** A minute's looks. Returns when the last one is done, after some 40 s, or at once when no issuer publishes its keys. */
export async function watchIssuers(deps: Dependencies): Promise<void> {
  const begunMs = deps.clock.now()
  for (let look = 0; look < LOOKS_PER_MINUTE; look++) {
    if (look > 0) await deps.wait(Math.max(0, begunMs + look * LOOK_EVERY_MS - deps.clock.now()))
    // What went wrong with this look must not keep the next from happening.
    const isWatching = await lookAtIssuers(deps).catch((failure: unknown) => {
      deps.log({ event: "issuers.look-failed", error: String(failure) })
      return true
    })
    if (!isWatching) return
  }
}

/** One look at each. False when there is none to look at. */
export async function lookAtIssuers(deps: Dependencies, limitMs = LOOK_LIMIT_MS): Promise<boolean> {
  const watched = await deps.store.issuerKeys.watched()
  const looks: { issuer: string; lookedAtMs: number; fault: string | null }[] = []
  const changed: { issuer: WatchedIssuer; jwks: IssuerKeysRow["jwks"] }[] = []
  const look = async (issuer: WatchedIssuer) => {
    const read = await readKeySet(issuer.jwksUri, deps.fetch, limitMs)
    looks.push({ issuer: issuer.id, lookedAtMs: deps.clock.now(), fault: read.ok ? null : read.fault })
    if (!read.ok) deps.log({ event: "issuers.keys-refused", issuer: issuer.id, fault: read.fault })
    else if (canonicalJson(read.jwks) !== canonicalJson(issuer.found?.jwks)) changed.push({ issuer, jwks: read.jwks })
  }
  const waiting = [...watched]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await look(next)
    }),
  )
  if (changed.length > 0) await publish(changed, deps)
  // Fresh is what is in force, so this comes after it.
  await deps.store.issuerKeys.note(looks)
  return watched.length > 0
}

/** What ops have meanwhile had read elsewhere is left alone. */
async function publish(
  changed: readonly { readonly issuer: WatchedIssuer; readonly jwks: IssuerKeysRow["jwks"] }[],
  deps: Dependencies,
): Promise<void> {
  const changedAt = new Date(deps.clock.now()).toISOString()
  const { result: kids } = await change(deps, SYSTEM, ({ policy }) => {
    const issuers = (policy.get("issuers")?.document ?? {}) as DispatchConfig["issuers"]
    const named = changed.filter(({ issuer: { id, jwksUri } }) => issuers[id]?.jwksUri === jwksUri)
    const found = Object.fromEntries(named.map(({ issuer, jwks }) => [issuer.id, jwks.keys.map(({ kid }) => kid)]))
    return {
      edits: named.map(({ issuer: { id, jwksUri }, jwks }) => ({
        table: "issuerKeys",
        put: { issuer: id, jwksUri, jwks, changedAt },
      })),
      audit: { action: "issuers.keys-changed", target: "policy/issuers", detail: { kids: found } },
      result: found,
    }
  })
  deps.log({ event: "issuers.keys-changed", kids })
}
