/** Whose turn it is to be looked at: a look is bounded in issuers, connections and time, however many there are. Pure. */
import type { Look, WatchedIssuer } from "../store/issuer-keys.ts"
import { LOOK_LIMIT_MS } from "./read-key-set.ts"

export const LOOK_EVERY_MS = 20_000
/** Issuers at a time. The platform gives an invocation six connections; the rest is for publishing what was found. */
export const AT_ONCE = 4
/** Issuers per look: as many as it can take before the next one even if all are silent. More have turns. */
export const MOST_PER_LOOK = AT_ONCE * (LOOK_EVERY_MS / LOOK_LIMIT_MS)

/** How often each of so many issuers has its turn. */
export function turnMs(watched: number): number {
  return LOOK_EVERY_MS * Math.max(1, Math.ceil(watched / MOST_PER_LOOK))
}

/** Those that were longest not looked at; among them first who answered well the last time, so that the silent hold up one another alone. */
export function nextOf(watched: readonly WatchedIssuer[], looks: readonly Look[]): WatchedIssuer[] {
  const lastOf = new Map(looks.map((look) => [look.issuer, look]))
  const lookedAtMs = ({ id }: WatchedIssuer) => lastOf.get(id)?.lookedAtMs ?? 0
  const isAtFault = ({ id }: WatchedIssuer) => Number(lastOf.get(id)?.fault !== null)
  return watched
    .toSorted((left, right) => lookedAtMs(left) - lookedAtMs(right))
    .slice(0, MOST_PER_LOOK)
    .sort((left, right) => isAtFault(left) - isAtFault(right))
}
