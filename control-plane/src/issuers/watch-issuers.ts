/**
 * Looks at the key sets of the issuers that publish one, every 20 seconds within the minute's schedule, and publishes what has changed as config: so that no isolate ever
 * fetches keys, whatever tokens it is shown. The same work whether anything changed or not. What is not good leaves the last good keys in force, and holds up nobody else's.
 */
import type { DispatchConfig } from "../../../contracts/dispatch-config.ts"
import { asRefusal } from "../../../kit/problem.ts"
import { SYSTEM } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { change } from "../config/change.ts"
import type { Dependencies } from "../dependencies.ts"
import type { WatchedIssuer } from "../store/issuer-keys.ts"
import type { IssuerKeysRow } from "../store/rows.ts"
import { LOOK_LIMIT_MS, readKeySet } from "./read-key-set.ts"
import { AT_ONCE, LOOK_EVERY_MS, nextOf } from "./turns.ts"

const LOOKS_PER_MINUTE = 3

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

interface Seen {
  readonly issuer: WatchedIssuer
  readonly lookedAtMs: number
  readonly fault: string | null
  /** What is to be published; null when that is in force already, or nothing good was found. */
  readonly changed: IssuerKeysRow["jwks"] | null
}

/** One look at each whose turn it is. What has come is published and noted without waiting for the rest. False when there is none to look at. */
export async function lookAtIssuers(deps: Dependencies, limitMs = LOOK_LIMIT_MS): Promise<boolean> {
  const watched = await deps.store.issuerKeys.watched()
  const ids = watched.map(({ id }) => id)
  if (watched.length === 0) await deps.store.issuerKeys.note([], ids)
  // Without the notes nobody knows whose turn it is, but keys go before notes.
  const looks = await deps.store.issuerKeys.looks().catch((failure: unknown) => {
    deps.log({ event: "issuers.look-failed", error: String(failure) })
    return []
  })
  const waiting = nextOf(watched, looks)
  const arrived: Seen[] = []
  let settled = Promise.resolve()
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      arrived.push(await lookAt(next, deps, limitMs))
      settled = settled.then(() => settle(arrived.splice(0), ids, deps))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  await settled
  return watched.length > 0
}

/** Never throws. */
async function lookAt(issuer: WatchedIssuer, deps: Dependencies, limitMs: number): Promise<Seen> {
  const read = await readKeySet(issuer.jwksUri, deps.fetch, limitMs)
  const lookedAtMs = deps.clock.now()
  if (!read.ok) {
    deps.log({ event: "issuers.keys-refused", issuer: issuer.id, fault: read.fault })
    return { issuer, lookedAtMs, fault: read.fault, changed: null }
  }
  const isInForce = canonicalJson(read.jwks) === canonicalJson(issuer.found?.jwks)
  return { issuer, lookedAtMs, fault: null, changed: isInForce ? null : read.jwks }
}

/** Publishes what changed, then notes how it went: fresh is what is in force. Never throws. */
async function settle(seen: readonly Seen[], watched: readonly string[], deps: Dependencies): Promise<void> {
  if (seen.length === 0) return
  const faults = await publishEach(
    seen.flatMap(({ issuer, changed }) => (changed === null ? [] : [{ issuer, jwks: changed }])),
    deps,
  )
  const looks = seen.map(({ issuer: { id }, lookedAtMs, fault }) => ({
    issuer: id,
    lookedAtMs,
    fault: faults.get(id) ?? fault,
  }))
  await deps.store.issuerKeys
    .note(looks, watched)
    .catch((failure: unknown) => deps.log({ event: "issuers.look-failed", error: String(failure) }))
}

interface ChangedIssuer {
  readonly issuer: WatchedIssuer
  readonly jwks: IssuerKeysRow["jwks"]
}

/** All in one change, or one by one when that is refused. Says what kept which from being in force; never throws. */
async function publishEach(changed: readonly ChangedIssuer[], deps: Dependencies): Promise<Map<string, string>> {
  if (changed.length === 0) return new Map()
  try {
    await publish(changed, deps)
    return new Map()
  } catch (failure) {
    const { code } = asRefusal(failure)
    // What is recorded and waits for KV would only ask more of it one by one.
    if (changed.length > 1 && code !== "config.not-published") {
      const faults = new Map<string, string>()
      for (const each of changed) for (const [id, fault] of await publishEach([each], deps)) faults.set(id, fault)
      return faults
    }
    const issuers = changed.map(({ issuer }) => issuer.id)
    deps.log({ event: "issuers.keys-not-published", issuers, code, error: String(failure) })
    return new Map(issuers.map((id) => [id, `was found, but not published: ${code}`]))
  }
}

/** What ops have meanwhile had read elsewhere is left alone. */
async function publish(changed: readonly ChangedIssuer[], deps: Dependencies): Promise<void> {
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
