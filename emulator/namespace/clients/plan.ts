/** What install.ts is told: which entries of `env` are doors, and which client stands before each. Types only; travels as JSON. */

export type Client =
  | { readonly kind: "kv" | "r2" | "d1" | "queue" | "ratelimit" | "analytics" }
  /** `scope` separates the object ids of one class from those of another. */
  | { readonly kind: "objects"; readonly scope: string }
  /** A binding type that has no local counterpart. */
  | { readonly kind: "unavailable"; readonly type: string }

export interface ClientPlan {
  /** By binding name. */
  readonly clients: Readonly<Record<string, Client>>
  /** Name in `env` of the cache door, to be removed. */
  readonly caches: string
  /** True for a service worker: its bindings are globals. */
  readonly globals: boolean
}
