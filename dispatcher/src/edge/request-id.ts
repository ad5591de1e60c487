/**
 * Request ids, made by the gateway and by nobody else: ULIDs, so that they sort by time and cannot be guessed from one another.
 * Random bytes are drawn in batches, because the call costs more than the bytes.
 */

/** Crockford's base 32. @see https://github.com/ulid/spec */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
/** Ten bits as two characters. */
const PAIRS = Array.from({ length: 1024 }, (_, bits) => `${ALPHABET[bits >> 5]}${ALPHABET[bits & 31]}`)
const PAIRS_PER_ID = 8
const BATCH = PAIRS_PER_ID * 256

/** Makes ids of 26 characters: 48 bits of time, 80 of chance. `now` gives milliseconds since the epoch, `fill` random 16-bit numbers. */
export function requestIds(
  now: () => number = Date.now,
  fill: (pool: Uint16Array) => void = (pool) => void crypto.getRandomValues(pool),
): () => string {
  const pool = new Uint16Array(BATCH)
  let used = BATCH
  let stampedAt = -1
  let stamp = ""
  return () => {
    // Not at start-up: the platform gives out no randomness outside a request.
    if (used === BATCH) {
      fill(pool)
      used = 0
    }
    const at = now()
    if (at !== stampedAt) {
      stampedAt = at
      stamp = timeText(at)
    }
    let id = stamp
    for (const end = used + PAIRS_PER_ID; used < end; used++) id += PAIRS[(pool[used] ?? 0) & 1023]
    return id
  }
}

function timeText(at: number): string {
  let text = ""
  for (let rest = at, digits = 0; digits < 10; digits++, rest = Math.floor(rest / 32)) text = ALPHABET[rest % 32] + text
  return text
}
