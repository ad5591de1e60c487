/**
 * What this isolate remembers of the namespace's scripts: read once from the store, kept until the store says that they changed.
 * Called by create-namespace.ts on the hot path (`peek`) and on first use (`load`), and by the `NamespaceMemory` entrypoint (`forget`).
 */
import { type PreparedAssets, prepareAssets } from "./assets/prepare-assets.ts"
import type { ScriptStore, StoredScript } from "./stored-script.ts"

/** The text that production gives; the dispatcher matches it whole. */
export const WORKER_NOT_FOUND = "Worker not found."

export interface ScriptRecord {
  readonly name: string
  readonly script: StoredScript
  /** Null when the script has no code: every request is for its assets. */
  readonly main: string | null
  readonly assets: PreparedAssets | null
  /** Loader ids by key of the outbound parameters. */
  readonly loaderIds: Map<string, string>
}

export class ScriptMemory {
  readonly #store: ScriptStore
  readonly #namespace: string
  readonly #keepAlive: (work: Promise<unknown>) => void
  readonly #records = new Map<string, ScriptRecord>()
  readonly #loading = new Map<string, Promise<ScriptRecord>>()

  /** `keepAlive` is the request's `waitUntil`: others wait for the same read, so it must outlive the request that began it. */
  constructor(store: ScriptStore, namespace: string, keepAlive: (work: Promise<unknown>) => void) {
    this.#store = store
    this.#namespace = namespace
    this.#keepAlive = keepAlive
  }

  /** The record if it is in memory; no I/O. */
  peek(name: string): ScriptRecord | undefined {
    return this.#records.get(name)
  }

  /** The record, read from the store at most once at a time. Rejects with {@link WORKER_NOT_FOUND}; absence is not remembered. */
  load(name: string): Promise<ScriptRecord> {
    const known = this.#records.get(name)
    if (known !== undefined) return Promise.resolve(known)
    const underway = this.#loading.get(name)
    if (underway !== undefined) return underway
    const loading = this.#read(name)
    this.#loading.set(name, loading)
    const settled = loading.then(
      (record) => this.#settle(name, loading, record),
      () => this.#settle(name, loading, null),
    )
    this.#keepAlive(settled)
    return loading
  }

  /** A read that is under way belongs to requests that came before the change: they may have it, nobody after. */
  forget(name: string): void {
    this.#records.delete(name)
    this.#loading.delete(name)
  }

  #settle(name: string, loading: Promise<ScriptRecord>, record: ScriptRecord | null): void {
    if (this.#loading.get(name) !== loading) return
    this.#loading.delete(name)
    if (record !== null) this.#records.set(name, record)
  }

  async #read(name: string): Promise<ScriptRecord> {
    const script = await this.#store.getScript(this.#namespace, name)
    if (script === null) throw new Error(WORKER_NOT_FOUND)
    return {
      name,
      script,
      main: script.metadata.main_module ?? script.metadata.body_part ?? null,
      assets: script.assets === null ? null : await prepareAssets(script),
      loaderIds: new Map(),
    }
  }
}
