/**
 * Holds the config in force: loaded from KV, checked again, kept in memory, refreshed behind the requests.
 * It never goes back to an older revision and never drops the last good one: with KV down, or a malformed revision published,
 * requests go on with what they had (fail stale). With nothing at all it refuses.
 */

import {
  CONFIG_POINTER_KEY,
  type ConfigPointer,
  configKey,
  configPointerSchema,
  type DispatchConfig,
  parseDispatchConfig,
} from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"

/**
 * KV answers from its cache at the location for this long; 30 s is the platform's minimum. That a key is absent is kept as long, so the revisions, which never change, get no
 * longer one: a location that asked for a revision too early would be without it for that time.
 */
const KV_CACHE_TTL_S = 30
/**
 * Milliseconds a request waits for KV when what it has is too old, or nothing. A look that takes longer is given up: its promise may never settle,
 * because the platform cancels background work some time after the response, and then nobody may go on waiting for it.
 */
const WAIT_MS = 2_000
/** Milliseconds between two looks that {@link ConfigHolder.atLeast} causes. */
const LOOK_AGAIN_MS = 100

export interface ConfigSource {
  get(key: string, options: { type: "text"; cacheTtl: number }): Promise<string | null>
}

export interface ConfigHolderOptions<Loaded> {
  readonly source: ConfigSource
  readonly clock: { now(): number }
  /** Milliseconds between two looks at KV. Each is billed, and most find what the location has cached; but a look says nothing of when that was cached, and what lies between two is added to a rollback. */
  readonly refreshMs: number
  /** From this age of the last look on, milliseconds, a request waits for the next one. */
  readonly maxStaleMs: number
  /** Config that came with the bundle, for a cold start with KV down; null when there is none. */
  readonly bundled: DispatchConfig | null
  /** Makes a parsed config ready; may throw, then the revision is rejected. Waits for nothing outside of the isolate. */
  readonly prepare: (config: DispatchConfig) => Loaded | Promise<Loaded>
  /** One line per rejected revision or failed look. */
  readonly log: (event: ConfigEvent) => void
}

export interface ConfigEvent {
  readonly event: "config.loaded" | "config.rejected" | "config.unreachable"
  readonly revision: number | null
  readonly faults?: readonly { readonly pointer: string; readonly detail: string }[]
}

interface InForce<Loaded> {
  readonly revision: number
  readonly loaded: Loaded
  readonly source: "kv" | "bundled"
}

export class ConfigHolder<Loaded> {
  readonly #options: ConfigHolderOptions<Loaded>
  #inForce: InForce<Loaded> | null = null
  /** When KV was last looked at, whatever came of it. */
  #lookedAt = Number.NEGATIVE_INFINITY
  /** When KV last confirmed that nothing newer exists, or gave it. */
  #confirmedAt: number | null = null
  #looking: Promise<void> | null = null
  /** Digest of the revision refused last: it is not fetched again until the pointer moves on. */
  #rejectedDigest: string | null = null

  constructor(options: ConfigHolderOptions<Loaded>) {
    this.#options = options
  }

  /**
   * The config for a request: from memory at once in steady state; awaited only when the last look is older than `maxStaleMs`.
   * `waitUntil` keeps the background look alive. Refuses `config.unavailable` when there has never been a good one.
   */
  current(waitUntil: (work: Promise<unknown>) => void): Loaded | Promise<Loaded> {
    const age = this.#options.clock.now() - this.#lookedAt
    const held = this.#inForce
    if (held !== null && age < this.#options.refreshMs) return held.loaded
    const look = this.#look(waitUntil)
    // The first to find it too old waits, once per look; with a config in hand nobody waits twice.
    if (held !== null && age < this.#options.maxStaleMs) return held.loaded
    return this.#wait(look)
  }

  /**
   * The config, of this revision or a later one: for whoever acts on something that another isolate has already seen. An older one makes it look, though not oftener than
   * each {@link LOOK_AGAIN_MS}, since anybody can name a high revision. Refuses `config.unavailable` when it still finds none.
   */
  async atLeast(revision: number, waitUntil: (work: Promise<unknown>) => void): Promise<Loaded> {
    const current = await this.current(waitUntil)
    if (this.#holds(revision)) return current
    if (this.#looking !== null || this.#options.clock.now() - this.#lookedAt >= LOOK_AGAIN_MS) {
      const found = await this.#wait(this.#look(waitUntil))
      if (this.#holds(revision)) return found
    }
    throw refuse("config.unavailable", { headers: { "retry-after": "1" } })
  }

  #holds(revision: number): boolean {
    return (this.#inForce?.revision ?? 0) >= revision
  }

  /** What is held counts as too old from here on: the next request looks and waits. For whoever knows that something was published. */
  expire(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY
    this.#looking = null
  }

  /** For `/ready`, `/version` and metrics. `confirmedAgeMs` is null until KV was reached once. */
  status(): { revision: number | null; source: "kv" | "bundled" | null; confirmedAgeMs: number | null } {
    const confirmedAgeMs = this.#confirmedAt === null ? null : this.#options.clock.now() - this.#confirmedAt
    return {
      revision: this.#inForce?.revision ?? null,
      source: this.#inForce?.source ?? null,
      confirmedAgeMs,
    }
  }

  async #wait(look: Promise<void>): Promise<Loaded> {
    await Promise.race([look, new Promise<void>((resolve) => setTimeout(resolve, WAIT_MS))])
    if (this.#inForce === null && this.#options.bundled !== null) await this.#adopt(this.#options.bundled, "bundled")
    if (this.#inForce === null) throw refuse("config.unavailable", { headers: { "retry-after": "5" } })
    return this.#inForce.loaded
  }

  /** One look at a time per isolate, whoever asks, until it is given up. */
  #look(waitUntil: (work: Promise<unknown>) => void): Promise<void> {
    const now = this.#options.clock.now()
    if (this.#looking !== null && now - this.#lookedAt < WAIT_MS) return this.#looking
    this.#lookedAt = now
    const look = this.#refresh().finally(() => {
      if (this.#looking === look) this.#looking = null
    })
    this.#looking = look
    waitUntil(look)
    return look
  }

  async #refresh(): Promise<void> {
    try {
      const pointer = await this.#pointer()
      if (pointer === null) return
      const isNewer = pointer.revision > (this.#inForce?.revision ?? 0)
      if (isNewer && pointer.digest !== this.#rejectedDigest) await this.#load(pointer)
      // An edge that cannot take up what is published must show: it has confirmed nothing.
      if ((this.#inForce?.revision ?? 0) >= pointer.revision) this.#confirmedAt = this.#options.clock.now()
    } catch {
      this.#options.log({ event: "config.unreachable", revision: this.#inForce?.revision ?? null })
    }
  }

  async #pointer(): Promise<ConfigPointer | null> {
    const text = await this.#options.source.get(CONFIG_POINTER_KEY, {
      type: "text",
      cacheTtl: KV_CACHE_TTL_S,
    })
    if (text === null) return null
    const parsed = configPointerSchema.safeParse(jsonOrNull(text))
    if (parsed.success) return parsed.data
    this.#reject(null, [{ pointer: "", detail: "the pointer is malformed" }])
    return null
  }

  async #load(pointer: ConfigPointer): Promise<void> {
    const text = await this.#options.source.get(configKey(pointer.revision), {
      type: "text",
      cacheTtl: KV_CACHE_TTL_S,
    })
    // The pointer can be seen at a location before the revision it names; the next look finds both.
    if (text === null) return
    if ((await sha256Hex(text)) !== pointer.digest) {
      return this.#reject(pointer, [{ pointer: "", detail: "the digest is not the pointer's" }])
    }
    const parsed = parseDispatchConfig(text)
    if (!parsed.ok) return this.#reject(pointer, parsed.faults)
    if (parsed.value.revision !== pointer.revision) {
      return this.#reject(pointer, [{ pointer: "/revision", detail: "is not the pointer's" }])
    }
    try {
      await this.#adopt(parsed.value, "kv")
    } catch (thrown) {
      this.#reject(pointer, [{ pointer: "", detail: thrown instanceof Error ? thrown.message : "cannot be prepared" }])
    }
  }

  async #adopt(config: DispatchConfig, source: "kv" | "bundled"): Promise<void> {
    // A look that was given up may still come back, after a later one found something newer.
    const isOld = () => config.revision <= (this.#inForce?.revision ?? 0)
    if (isOld()) return
    const loaded = await this.#options.prepare(config)
    if (isOld()) return
    this.#inForce = { revision: config.revision, loaded, source }
    this.#rejectedDigest = null
    this.#options.log({ event: "config.loaded", revision: config.revision })
  }

  #reject(pointer: ConfigPointer | null, faults: readonly { pointer: string; detail: string }[]): void {
    this.#rejectedDigest = pointer?.digest ?? this.#rejectedDigest
    this.#options.log({ event: "config.rejected", revision: pointer?.revision ?? null, faults })
  }
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
