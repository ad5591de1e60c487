import { beforeEach, describe, expect, it } from "vitest"
import { CONFIG_POINTER_KEY, configKey, type DispatchConfig } from "../../../contracts/dispatch-config.ts"
import { exampleConfig } from "../example-config.ts"
import { type ConfigEvent, ConfigHolder } from "./config.ts"

/** KV as the dispatcher sees it: text by key, or down. */
class Store {
  readonly texts = new Map<string, string>()
  isDown = false
  isHung = false
  reads = 0
  async get(key: string): Promise<string | null> {
    this.reads += 1
    if (this.isHung) return new Promise(() => undefined)
    if (this.isDown) throw new Error("KV GET failed: 500 Internal Server Error")
    return this.texts.get(key) ?? null
  }
  async publish(config: DispatchConfig, text = JSON.stringify(config)): Promise<void> {
    this.texts.set(configKey(config.revision), text)
    await this.point(config.revision, text)
  }
  async point(revision: number, text: string): Promise<void> {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
    const digest = [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    this.texts.set(CONFIG_POINTER_KEY, JSON.stringify({ revision, digest, sizeBytes: text.length }))
  }
}

describe("ConfigHolder", () => {
  let store: Store
  let now: number
  let events: ConfigEvent[]
  let background: Promise<unknown>[]

  beforeEach(() => {
    store = new Store()
    now = 1_800_000_000_000
    events = []
    background = []
  })

  function holder(bundled: DispatchConfig | null = null): ConfigHolder<DispatchConfig> {
    return new ConfigHolder({
      source: store,
      clock: { now: () => now },
      refreshMs: 5_000,
      maxStaleMs: 60_000,
      bundled,
      prepare: (config) => config,
      log: (event) => events.push(event),
    })
  }
  const waitUntil = (work: Promise<unknown>) => void background.push(work)
  async function revisionOf(config: ConfigHolder<DispatchConfig>): Promise<number> {
    const { revision } = await config.current(waitUntil)
    await Promise.all(background)
    return revision
  }

  it("loads the revision that the pointer names", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    expect(await revisionOf(holder())).toBe(3)
  })

  it("reads nothing from KV while the last look is fresh, and answers without a promise", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    const { reads } = store
    now += 4_999
    expect(config.current(waitUntil)).toMatchObject({ revision: 3 })
    expect(store.reads).toBe(reads)
  })

  it("refreshes behind the request, which is answered from memory", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }))
    now += 5_000
    expect(config.current(waitUntil)).toMatchObject({ revision: 3 })
    await Promise.all(background)
    expect(config.current(waitUntil)).toMatchObject({ revision: 4 })
  })

  it("makes a request wait when the last look is older than the bound", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }))
    now += 60_000
    expect(await revisionOf(config)).toBe(4)
  })

  it("makes the next request wait for a look when it is told that something was published", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }))
    config.expire()
    expect(await revisionOf(config)).toBe(4)
  })

  it("looks at once for a revision that it is told there is, and reads nothing when it has it", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }))
    now += 100
    expect(await config.atLeast(4, waitUntil)).toMatchObject({ revision: 4 })
    const { reads } = store
    for (const revision of [0, 3, 4]) await config.atLeast(revision, waitUntil)
    expect(store.reads).toBe(reads)
  })

  it("refuses rather than act on an older one than that", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    now += 100
    await expect(config.atLeast(4, waitUntil)).rejects.toMatchObject({ code: "config.unavailable" })
    expect(config.current(waitUntil)).toMatchObject({ revision: 3 })
  })

  it("looks ten times a second at most for revisions that anybody may have made up", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    now += 1_000
    const { reads } = store
    for (let each = 0; each < 1_000; each++) {
      now += 1
      await expect(config.atLeast(Number.MAX_SAFE_INTEGER, waitUntil)).rejects.toMatchObject({
        code: "config.unavailable",
      })
    }
    expect(store.reads - reads).toBeLessThanOrEqual(10)
  })

  it("looks once for any number of concurrent requests", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await Promise.all(Array.from({ length: 50 }, () => config.current(waitUntil)))
    expect(store.reads).toBe(2)
  })

  it("never goes back to an older revision", async () => {
    await store.publish(exampleConfig({ revision: 4 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 3 }))
    now += 60_000
    expect(await revisionOf(config)).toBe(4)
  })

  it("goes on with the last good config while KV is down, without asking at every request", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    store.isDown = true
    now += 3_600_000
    expect(await revisionOf(config)).toBe(3)
    const { reads } = store
    for (let request = 0; request < 100; request++) config.current(waitUntil)
    expect(store.reads).toBe(reads)
    expect(config.status().confirmedAgeMs).toBe(3_600_000)
    expect(events.at(-1)?.event).toBe("config.unreachable")
  })

  it.each([
    ["not JSON", "{"],
    ["empty", ""],
    ["another format", JSON.stringify({ ...exampleConfig({ revision: 4 }), format: 2 })],
    ["an unknown field", JSON.stringify({ ...exampleConfig({ revision: 4 }), surprise: true })],
    ["another revision than the pointer's", JSON.stringify(exampleConfig({ revision: 9 }))],
    ["a route to a script that is not there", JSON.stringify(exampleConfig({ revision: 4, scripts: {} }))],
  ])("keeps the last good config when the next is %s", async (_what, text) => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }), text)
    now += 60_000
    expect(await revisionOf(config)).toBe(3)
    expect(events.at(-1)?.event).toBe("config.rejected")
  })

  it("keeps the last good config when the text is not what the pointer's digest says", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }))
    store.texts.set(configKey(4), JSON.stringify(exampleConfig({ revision: 4, flags: { tampered: true } })))
    now += 60_000
    expect(await revisionOf(config)).toBe(3)
  })

  it("does not fetch a rejected revision again, and takes the one after it", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }), "{")
    now += 60_000
    await revisionOf(config)
    const { reads } = store
    now += 60_000
    await revisionOf(config)
    expect(store.reads).toBe(reads + 1)
    await store.publish(exampleConfig({ revision: 5 }))
    now += 60_000
    expect(await revisionOf(config)).toBe(5)
  })

  it("serves the bundled config on a cold start with KV down, and KV's once it is back", async () => {
    store.isDown = true
    const config = holder(exampleConfig({ revision: 2 }))
    expect(await revisionOf(config)).toBe(2)
    expect(config.status()).toEqual({ revision: 2, source: "bundled", confirmedAgeMs: null })
    store.isDown = false
    await store.publish(exampleConfig({ revision: 3 }))
    now += 60_000
    expect(await revisionOf(config)).toBe(3)
  })

  it("gives up a look that never comes back, and takes up the next revision by a later one", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    store.isHung = true
    now += 5_000
    expect(config.current(() => undefined)).toMatchObject({ revision: 3 })
    store.isHung = false
    await store.publish(exampleConfig({ revision: 4 }))
    now += 5_000
    const answer = config.current(waitUntil)
    expect(answer).toMatchObject({ revision: 3 })
    await Promise.all(background)
    expect(config.current(waitUntil)).toMatchObject({ revision: 4 })
  })

  it("does not call itself confirmed while it cannot take up what is published", async () => {
    await store.publish(exampleConfig({ revision: 3 }))
    const config = holder()
    await revisionOf(config)
    await store.publish(exampleConfig({ revision: 4 }), "{")
    now += 60_000
    await revisionOf(config)
    expect(config.status()).toEqual({ revision: 3, source: "kv", confirmedAgeMs: 60_000 })
  })

  it("refuses when there has never been a config", async () => {
    await expect(holder().current(waitUntil)).rejects.toMatchObject({ code: "config.unavailable" })
  })
})
