/** The session store and the relay of the revocation log as tests have them: in memory, counting, and out of order when told. Imported by tests only. */

import {
  ENTRY_BYTES,
  type FeedPage,
  type RelayApi,
  type RevocationTarget,
  targetHash,
} from "../../contracts/revocation.ts"
import type { SessionSeal } from "../../contracts/session.ts"
import { RevocationFeed } from "./identity/revocation-feed.ts"
import type { SessionStore } from "./identity/session-reader.ts"

/** A session of alice that began at `nowMs`, of eight hours, half an hour of them idle at most. */
export function sessionOf(nowMs: number): SessionSeal {
  return {
    idp: "example-idp",
    subject: "alice",
    scopes: [],
    company: null,
    level: 1,
    authenticatedAtMs: nowMs,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + 8 * 3_600_000,
    idleS: 1_800,
  }
}

export class TestSessions implements SessionStore {
  readonly texts = new Map<string, string>()
  /** `get <key>`, `put <key> for <seconds>`. */
  readonly calls: string[] = []
  state: "up" | "down" | "hanging" = "up"

  async get(key: string): Promise<string | null> {
    await this.#called(`get ${key}`)
    return this.texts.get(key) ?? null
  }

  async put(key: string, value: string, options: { readonly expirationTtl: number }): Promise<void> {
    await this.#called(`put ${key} for ${options.expirationTtl}`)
    this.texts.set(key, value)
  }

  async #called(call: string): Promise<void> {
    this.calls.push(call)
    if (this.state === "down") throw new Error("the store is down")
    if (this.state === "hanging") await new Promise(() => undefined)
  }
}

/** Answers for the log itself, so that it is never behind. */
export class TestRelay implements RelayApi {
  calls = 0
  #entries: Uint8Array[] = []

  async revoke(target: RevocationTarget, beforeMs = Number.POSITIVE_INFINITY): Promise<void> {
    const entry = new Uint8Array(ENTRY_BYTES)
    entry.set(await targetHash(target))
    const view = new DataView(entry.buffer)
    view.setFloat64(8, beforeMs, true)
    view.setUint32(16, 0xffff_ffff, true)
    this.#entries.push(entry)
  }

  async since(seq: number): Promise<FeedPage> {
    this.calls += 1
    const news = this.#entries.slice(seq)
    const entries = new Uint8Array(news.length * ENTRY_BYTES)
    for (const [index, entry] of news.entries()) entries.set(entry, index * ENTRY_BYTES)
    return { entries, upTo: this.#entries.length, head: this.#entries.length, ageMs: 0 }
  }

  async revokes(): Promise<boolean> {
    this.calls += 1
    return false
  }
}

/** A feed that knows of no revocation, and the locations at which it asked. */
export function feedOfNothing(clock: { now(): number }): { revocations: RevocationFeed; asked: readonly string[] } {
  const asked: string[] = []
  const since = async (seq: number) => ({ entries: new Uint8Array(), upTo: seq, head: seq, ageMs: 0 })
  const relay = (location: string) => {
    asked.push(location)
    return { since, revokes: async () => false }
  }
  return { revocations: new RevocationFeed({ relay, clock, log: () => undefined }), asked }
}
