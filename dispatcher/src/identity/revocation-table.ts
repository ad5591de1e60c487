/**
 * Everything in force, in the memory of an isolate: a hash table with open addressing in typed arrays, 20 bytes a slot, no object per entry. It is cut into segments that grow
 * each by itself, so that growing moves little at a time and never needs twice the whole. What is put in is never taken back; what has expired goes when its segment is rebuilt.
 * Beyond {@link RevocationTable.most} entries it only remembers that there is one with such a hash: then whoever asks has to ask elsewhere (`"ask"`).
 */
import { ENTRY_BYTES } from "../../../contracts/revocation.ts"

/** 27–35 bytes for each, 43 MB at the worst: an isolate has 128 MB. */
export const MOST_EXACT = 1_250_000

const SEGMENT_BITS = 6
const SEGMENTS = 1 << SEGMENT_BITS
const SLOTS_LEAST = 16
/** Share of the slots in use after which a segment is rebuilt, and the one it has then. */
const FULL = 0.75
const ROOMY = 0.58
/** At the limit all segments are looked through for what has expired, at most so often. */
const LOOK_AGAIN_S = 60

/** What is known of a credential: `"ask"` when only a place that holds everything can tell. */
export type Verdict = "revoked" | "clear" | "ask"

interface Segment {
  /** Of the three below. */
  readonly memory: ArrayBuffer
  /** Two words of hash per slot. */
  readonly hashes: Uint32Array
  readonly beforeMs: Float64Array
  /** Seconds since the epoch; 0: the slot is free. */
  readonly untilS: Uint32Array
  used: number
}

export class RevocationTable {
  readonly most: number
  readonly #segments: Segment[] = Array.from({ length: SEGMENTS }, () => segmentOf(SLOTS_LEAST))
  #size = 0
  #lookedThroughS = 0
  #beyond: HashFilter | null = null

  constructor(most = MOST_EXACT) {
    this.most = most
  }

  /** Entries held exactly, expired ones that were not dropped yet included. */
  get size(): number {
    return this.#size
  }

  /** Entries of which only the hash is remembered. */
  get beyond(): number {
    return this.#beyond?.added ?? 0
  }

  get sizeBytes(): number {
    let slots = 0
    for (const segment of this.#segments) slots += segment.untilS.length
    return slots * ENTRY_BYTES + (this.#beyond?.sizeBytes ?? 0)
  }

  /** Of a credential made at `madeAtMs` with these hashes. Allocates nothing. A time that is no number counts as before everything. */
  verdict(hashes: readonly Uint8Array[], madeAtMs: number): Verdict {
    let verdict: Verdict = "clear"
    for (const hash of hashes) {
      const first = wordAt(hash, 0)
      const second = wordAt(hash, 4)
      const segment = this.#segmentOf(second)
      const slot = slotOf(segment, first, second)
      if (segment.untilS[slot] !== 0 && !(madeAtMs > (segment.beforeMs[slot] ?? 0))) return "revoked"
      if (this.#beyond?.mayHave(first, second) === true) verdict = "ask"
    }
    return verdict
  }

  /** Puts in whole entries, as contracts/revocation.ts lays them out; of two with one hash, the later time and the later end. */
  merge(entries: Uint8Array, nowS: number): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
    for (let at = 0; at + ENTRY_BYTES <= entries.byteLength; at += ENTRY_BYTES) {
      const untilS = view.getUint32(at + 16, true)
      this.#put(view.getUint32(at, true), view.getUint32(at + 4, true), view.getFloat64(at + 8, true), untilS, nowS)
    }
  }

  #put(first: number, second: number, beforeMs: number, untilS: number, nowS: number): void {
    const segment = this.#segmentOf(second)
    const slot = slotOf(segment, first, second)
    const known = segment.untilS[slot] ?? 0
    if (known !== 0) {
      segment.beforeMs[slot] = Math.max(segment.beforeMs[slot] ?? 0, beforeMs)
      segment.untilS[slot] = Math.max(known, untilS)
      return
    }
    if (untilS < nowS) return
    if (this.#size >= this.most) this.#lookThrough(nowS)
    if (this.#size >= this.most) {
      this.#beyond ??= new HashFilter()
      this.#beyond.add(first, second)
      return
    }
    const roomy = (segment.used + 1) / segment.untilS.length > FULL ? this.#rebuild(second >>> SHIFT, nowS) : segment
    insert(roomy, first, second, beforeMs, untilS)
    this.#size += 1
  }

  #segmentOf(second: number): Segment {
    return this.#segments[second >>> SHIFT] ?? NO_SEGMENT
  }

  /** Without what has expired, and with room for more. */
  #rebuild(index: number, nowS: number): Segment {
    const old = this.#segments[index] ?? NO_SEGMENT
    let live = 0
    for (const untilS of old.untilS) if (untilS !== 0 && untilS >= nowS) live += 1
    const made = segmentOf(Math.max(SLOTS_LEAST, Math.ceil((live + 1) / ROOMY)))
    for (let slot = 0; slot < old.untilS.length; slot += 1) {
      const untilS = old.untilS[slot] ?? 0
      if (untilS === 0 || untilS < nowS) continue
      insert(made, old.hashes[2 * slot] ?? 0, old.hashes[2 * slot + 1] ?? 0, old.beforeMs[slot] ?? 0, untilS)
    }
    this.#size += made.used - old.used
    this.#segments[index] = made
    // Given back now: what is left to the collector would be three times the table by the time it has grown.
    old.memory.transfer(0)
    return made
  }

  #lookThrough(nowS: number): void {
    if (nowS - this.#lookedThroughS < LOOK_AGAIN_S) return
    this.#lookedThroughS = nowS
    for (let index = 0; index < SEGMENTS; index += 1) this.#rebuild(index, nowS)
  }
}

const SHIFT = 32 - SEGMENT_BITS
const NO_SEGMENT = segmentOf(1)

function segmentOf(slots: number): Segment {
  const memory = new ArrayBuffer(slots * ENTRY_BYTES)
  return {
    memory,
    beforeMs: new Float64Array(memory, 0, slots),
    hashes: new Uint32Array(memory, 8 * slots, 2 * slots),
    untilS: new Uint32Array(memory, 16 * slots, slots),
    used: 0,
  }
}

/** Where this hash is, or the free slot where it would be put. The segment goes by the second word, the slot by the first. */
function slotOf({ hashes, untilS }: Segment, first: number, second: number): number {
  const slots = untilS.length
  let slot = Math.floor((first / 0x1_0000_0000) * slots)
  while (untilS[slot] !== 0 && !(hashes[2 * slot] === first && hashes[2 * slot + 1] === second)) {
    slot += 1
    if (slot === slots) slot = 0
  }
  return slot
}

function insert(segment: Segment, first: number, second: number, beforeMs: number, untilS: number): void {
  const slot = slotOf(segment, first, second)
  segment.hashes[2 * slot] = first
  segment.hashes[2 * slot + 1] = second
  segment.beforeMs[slot] = beforeMs
  segment.untilS[slot] = untilS
  segment.used += 1
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  )
}

/**
 * Whether a hash was ever added: never wrongly no (Bloom, 1970). With the {@link MAX_LIVE_REVOCATIONS} that a log holds at most, 1 750 000 of them here,
 * wrongly yes for about 1 hash in 10 000.
 */
class HashFilter {
  readonly #words = new Uint32Array(FILTER_BITS / 32)
  added = 0

  get sizeBytes(): number {
    return this.#words.byteLength
  }

  add(first: number, second: number): void {
    for (let probe = 0; probe < FILTER_PROBES; probe += 1) {
      const bit = bitOf(first, second, probe)
      this.#words[bit >>> 5] = (this.#words[bit >>> 5] ?? 0) | (1 << (bit & 31))
    }
    this.added += 1
  }

  mayHave(first: number, second: number): boolean {
    for (let probe = 0; probe < FILTER_PROBES; probe += 1) {
      const bit = bitOf(first, second, probe)
      if (((this.#words[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false
    }
    return true
  }
}

/** 8 MB. */
const FILTER_BITS = 1 << 26
const FILTER_PROBES = 4

/** Both words are parts of a SHA-256 already; an odd step visits all bits. */
function bitOf(first: number, second: number, probe: number): number {
  return (first + Math.imul(probe, second | 1)) & (FILTER_BITS - 1)
}
