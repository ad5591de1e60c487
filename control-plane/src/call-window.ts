/**
 * How calls to Cloudflare's API are counted over time, so that no five minutes ever hold more of them than were let through. A leaf.
 * A call counts in the slot in which it was set aside, and goes out within {@link LEASE_MS} of that. So whatever goes out in some five minutes was set aside in the
 * five and a half before their end, and these lie in {@link COUNTED_SLOTS} slots at the most: who looks at as many, the present one included, misses none.
 */

/** Milliseconds over which Cloudflare counts. @see https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
export const WINDOW_MS = 5 * 60_000
export const SLOT_MS = 30_000
/** Milliseconds for which calls stay set aside for whoever asked for them. */
export const LEASE_MS = 30_000
export const COUNTED_SLOTS = (WINDOW_MS + LEASE_MS) / SLOT_MS + 1

export function slotAt(ms: number): number {
  return Math.floor(ms / SLOT_MS)
}

/** When calls of that slot no longer count, milliseconds since the epoch. */
export function leavesAtMs(slot: number): number {
  return (slot + COUNTED_SLOTS) * SLOT_MS
}
