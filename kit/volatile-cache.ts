/**
 * Values for an isolate's life: asked for once at a time, renewed behind the requests before they are too old, and gone with the isolate.
 *
 * What holds between requests of one isolate in this runtime (`tests/e2e/kit.test.ts` shows each): a promise that another request made may be awaited, and its value used;
 * but when that request is cancelled, or has answered, before the promise settled, it never settles, and a request that waits for nothing else hangs until it is cut off.
 * So a load is kept alive with its own request's `waitUntil`, nobody waits for another's load longer than `giveUpMs` by a timer of its own, and whoever waited in vain loads for itself.
 * Values must be plain data: a stub, a stream or a Response belongs to the request that got it, and what came over RPC is copied first.
 */
import { BoundedCache } from "./bounded-cache.ts"
import { refuse } from "./problem.ts"
import { awaitFor } from "./within.ts"

export interface VolatileCacheOptions<T> {
  /** Values per generation, at least 1: never more than twice as many are held. */
  readonly capacity: number
  /** Milliseconds after its load began from which on a value is not given out. */
  readonly ttlMs: number
  /** Milliseconds from which on a value is given out and loaded anew behind the request; default four fifths of `ttlMs`. */
  readonly refreshAfterMs?: number
  /** Milliseconds beyond `ttlMs` in which a value is still given out when its load fails or is given up; default 0. */
  readonly staleIfErrorMs?: number
  /** Milliseconds that a load may take, and that one request waits for another's; default 2000. */
  readonly giveUpMs?: number
  /** What counts as "there is none"; default null and undefined. */
  readonly isNegative?: (value: T) => boolean
  /** Milliseconds that such an answer is kept; default 0, so that made-up keys push nothing out and what is new is seen at once. */
  readonly negativeTtlMs?: number
  /** Milliseconds; default `Date`. */
  readonly clock?: { now(): number }
}

export interface CacheStats {
  /** Asks answered from memory, those that began a renewal included. */
  readonly hits: number
  /** Asks that had to wait, for a load of their own or another's. */
  readonly misses: number
  /** Of `misses`, those that waited for another's load. */
  readonly joined: number
  readonly loads: number
  readonly failures: number
  /** Loads that were no longer waited for. */
  readonly givenUp: number
  /** Asks answered with a value beyond its time, since the load failed. */
  readonly stale: number
  /** hits / (hits + misses); null before the first ask. */
  readonly hitRate: number | null
}

/** Milliseconds after a failed load in which a value that may still be given out is, without another try. */
const FAILURE_PAUSE_MS = 1_000
/** How many loads of others that came to nothing a request waits for before it loads without regard to others. */
const MAX_JOINS = 2

interface Entry<T> {
  readonly value: T
  /** Number of the load that it came from, or of the `forget` that emptied it. */
  readonly load: number
  readonly loadedAt: number
  readonly freshUntil: number
  refreshAt: number
}

/** A load under way. `outcome` is plain data, set before `done` settles, which never rejects. */
interface Flight<T> {
  readonly load: number
  readonly startedAt: number
  done: Promise<void>
  outcome: { readonly value: T } | { readonly error: unknown } | null
}

/**
 * ```ts
 * const zones = new VolatileCache<Zone | null>({ capacity: 5_000, ttlMs: 10_000 })
 *
 * app.get("/where/:company/", async (c) => {
 *   const company = c.req.param("company")
 *   const zone = await zones.get(company, () => askZone(c.env, company), (work) => c.executionCtx.waitUntil(work))
 *   return c.json({ zone, hitRate: zones.stats().hitRate })
 * })
 * ```
 */
export class VolatileCache<T> {
  readonly #options: Required<Omit<VolatileCacheOptions<T>, "capacity">>
  readonly #entries: BoundedCache<Entry<T>>
  /** In the order in which they began. */
  readonly #flights = new Map<string, Flight<T>>()
  readonly #counts = { hits: 0, misses: 0, joined: 0, loads: 0, failures: 0, givenUp: 0, stale: 0 }
  #loads = 0

  /** Throws `TypeError` for bounds that can never be right. */
  constructor(options: VolatileCacheOptions<T>) {
    const { capacity, ttlMs, refreshAfterMs = ttlMs * 0.8, staleIfErrorMs = 0, giveUpMs = 2_000 } = options
    const { negativeTtlMs = 0, isNegative = (value) => value == null, clock = Date } = options
    assertBound("capacity", capacity >= 1)
    assertBound("ttlMs", ttlMs > 0)
    assertBound("refreshAfterMs", refreshAfterMs > 0 && refreshAfterMs <= ttlMs)
    assertBound("staleIfErrorMs", staleIfErrorMs >= 0)
    assertBound("giveUpMs", giveUpMs > 0)
    assertBound("negativeTtlMs", negativeTtlMs >= 0)
    this.#options = { ttlMs, refreshAfterMs, staleIfErrorMs, giveUpMs, negativeTtlMs, isNegative, clock }
    this.#entries = new BoundedCache(capacity)
  }

  /**
   * The value of `key`: from memory, or from `load`, of which one runs at a time per key and isolate. Rejects with what `load` threw, for all who waited for it, or with
   * `dependency.timeout` when it took longer than `giveUpMs`. At most three times that passes, and only when two requests in a row were cancelled while loading.
   * `waitUntil` is the one of the request that asks.
   */
  async get(key: string, load: () => Promise<T>, waitUntil: (work: Promise<unknown>) => void): Promise<T> {
    const now = this.#options.clock.now()
    const entry = this.#entries.get(key)
    if (entry !== undefined && now < entry.freshUntil) {
      this.#counts.hits++
      if (now >= entry.refreshAt && this.#underWay(key) === null) this.#start(key, load, waitUntil)
      return entry.value
    }
    this.#counts.misses++
    if (entry !== undefined && this.#mayBeStale(entry) && now < entry.refreshAt) return this.#stale(entry)
    return this.#await(key, load, waitUntil)
  }

  /** Makes the next ask load anew, and lets no load that is under way bring the old value back. */
  forget(key: string): void {
    this.#flights.delete(key)
    this.#empty(key, ++this.#loads)
  }

  stats(): CacheStats {
    const { hits, misses } = this.#counts
    return { ...this.#counts, hitRate: hits + misses === 0 ? null : hits / (hits + misses) }
  }

  async #await(key: string, load: () => Promise<T>, waitUntil: (work: Promise<unknown>) => void): Promise<T> {
    for (let joins = 0; joins < MAX_JOINS; joins++) {
      const others = this.#underWay(key)
      if (others === null) break
      if (joins === 0) this.#counts.joined++
      const left = this.#options.giveUpMs - (this.#options.clock.now() - others.startedAt)
      await awaitFor(left, others.done)
      if (others.outcome !== null) return this.#settle(key, others)
      this.#giveUp(key, others)
      // Another that waited in vain may have been quicker.
      const entry = this.#entries.get(key)
      if (entry !== undefined && this.#options.clock.now() < entry.freshUntil) return entry.value
    }
    const own = this.#start(key, load, waitUntil)
    await awaitFor(this.#options.giveUpMs, own.done)
    if (own.outcome === null) this.#giveUp(key, own)
    return this.#settle(key, own)
  }

  #settle(key: string, { outcome }: Flight<T>): T {
    if (outcome !== null && "value" in outcome) return outcome.value
    const entry = this.#entries.get(key)
    if (entry !== undefined && this.#mayBeStale(entry)) return this.#stale(entry)
    throw outcome === null ? refuse("dependency.timeout") : outcome.error
  }

  #mayBeStale(entry: Entry<T>): boolean {
    const { ttlMs, staleIfErrorMs, clock } = this.#options
    return clock.now() < entry.loadedAt + ttlMs + staleIfErrorMs
  }

  #stale(entry: Entry<T>): T {
    if (this.#options.clock.now() >= entry.freshUntil) this.#counts.stale++
    return entry.value
  }

  /** The load that a request may wait for. */
  #underWay(key: string): Flight<T> | null {
    const flight = this.#flights.get(key)
    if (flight === undefined) return null
    return this.#options.clock.now() - flight.startedAt < this.#options.giveUpMs ? flight : null
  }

  #giveUp(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) !== flight) return
    this.#counts.givenUp++
    this.#flights.delete(key)
    this.#pause(key)
  }

  #start(key: string, load: () => Promise<T>, waitUntil: (work: Promise<unknown>) => void): Flight<T> {
    const startedAt = this.#options.clock.now()
    this.#dropLost(startedAt)
    this.#counts.loads++
    const flight: Flight<T> = { load: ++this.#loads, startedAt, done: Promise.resolve(), outcome: null }
    // At the end of the map, even where a lost one stood before.
    this.#flights.delete(key)
    this.#flights.set(key, flight)
    flight.done = this.#run(key, load, flight)
    waitUntil(flight.done)
    return flight
  }

  async #run(key: string, load: () => Promise<T>, flight: Flight<T>): Promise<void> {
    try {
      const value = await load()
      flight.outcome = { value }
      this.#keep(key, flight, value)
    } catch (error) {
      flight.outcome = { error }
      this.#counts.failures++
      this.#pause(key)
    }
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }

  /** A load that was given up may still come back, after a later one or a `forget`: then it says nothing new. */
  #keep(key: string, { load, startedAt }: Flight<T>, value: T): void {
    const before = this.#entries.get(key)
    if (before !== undefined && before.load > load) return
    const isNegative = this.#options.isNegative(value)
    const ttlMs = isNegative ? this.#options.negativeTtlMs : this.#options.ttlMs
    if (ttlMs === 0) {
      // What there was is there no more.
      if (before !== undefined) this.#empty(key, load)
      return
    }
    const refreshAt = startedAt + (isNegative ? ttlMs : this.#options.refreshAfterMs)
    // A negative answer is never stretched: `loadedAt` is what stale is counted from.
    const loadedAt = isNegative ? Number.NEGATIVE_INFINITY : startedAt
    this.#entries.set(key, { value, load, loadedAt, freshUntil: startedAt + ttlMs, refreshAt })
  }

  /** An entry without a value: its times say that it is never given out. */
  #empty(key: string, load: number): void {
    const never = Number.NEGATIVE_INFINITY
    this.#entries.set(key, { value: undefined as T, load, loadedAt: never, freshUntil: never, refreshAt: never })
  }

  #pause(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.refreshAt = this.#options.clock.now() + FAILURE_PAUSE_MS
  }

  /** Loads whose request was cancelled leave nothing else that would take them out. */
  #dropLost(now: number): void {
    for (const [key, flight] of this.#flights) {
      if (now - flight.startedAt < this.#options.giveUpMs) return
      this.#giveUp(key, flight)
    }
  }
}

function assertBound(name: string, holds: boolean): void {
  if (!holds) throw new TypeError(`VolatileCache: ${name} is out of its bounds`)
}
