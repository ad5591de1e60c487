/**
 * Ends the control plane at its n-th effect, for tests: the effect is done or not, the answer is lost either way, and nothing works afterwards until it is revived.
 * An effect is a D1 batch, an R2 or KV write, or a call to Cloudflare; it wraps the bindings, product code knows nothing of it.
 */
import type { Overrides } from "../src/dependencies.ts"
import type { Env } from "../src/env.ts"

export interface KillSwitch {
  /** Ends it at the `effect`-th effect from now, counting from 1. */
  arm(effect: number, when: "before" | "after"): void
  revive(): void
  /** True once it has struck. */
  readonly hasStruck: boolean
  overrides(env: Env, fetchCloudflare: typeof fetch): Overrides
}

export function killSwitch(): KillSwitch {
  let left = Number.POSITIVE_INFINITY
  let mode: "before" | "after" = "before"
  let dead = false

  /** Runs an effect of a process that may end with it. */
  async function effect<T>(act: () => Promise<T>): Promise<T> {
    if (dead) throw new Error("killed")
    left--
    if (left > 0) return await act()
    dead = true
    if (mode === "after") await act()
    throw new Error("killed")
  }
  /** The same object with some methods counted. */
  function counted<T extends object>(target: T, methods: readonly string[]): T {
    return new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name)
        if (typeof value !== "function") return value
        if (typeof name !== "string" || !methods.includes(name)) return value.bind(object)
        return (...given: unknown[]) => effect(() => Promise.resolve(value.apply(object, given)))
      },
    })
  }

  return {
    arm(effects, when) {
      left = effects
      mode = when
    },
    revive() {
      left = Number.POSITIVE_INFINITY
      dead = false
    },
    get hasStruck() {
      return dead
    },
    overrides: (env, fetchCloudflare) => ({
      db: counted(env.DB, ["batch"]),
      artifacts: counted(env.ARTIFACTS, ["put"]),
      config: counted(env.CONFIG, ["put", "delete"]),
      fetch: (input, init) => effect(() => fetchCloudflare(input, init)),
    }),
  }
}
