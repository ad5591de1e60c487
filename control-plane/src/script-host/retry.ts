/**
 * When and how often a call to Cloudflare is made again: the SDK's own retries are off, because they repeat any method.
 * Every call that passes here is idempotent (a read, a PUT of the same content under its own name, an upload named by its hash).
 * Waits with full jitter, never beyond the budget, and as long as Retry-After says or not at all.
 */
import { APIError } from "cloudflare/error"
import { mayPass, refusalOf } from "./classify-failure.ts"

/** Milliseconds. One call with all its repetitions ends within `budgetMs` plus one timeout of the SDK. */
export const RETRY = { attempts: 4, baseDelayMs: 250, maxDelayMs: 8_000, budgetMs: 40_000 } as const

export interface RetryDependencies {
  readonly clock: { now(): number }
  readonly wait: (ms: number) => Promise<void>
  /** 0 ≤ x < 1. */
  readonly random: () => number
}

/**
 * The result of `call`, which gets the number of the attempt, tried up to {@link RETRY.attempts} times while the failure may pass.
 * Throws `cloudflare.refused` for what would fail again, `cloudflare.unavailable` for what did not pass in time.
 */
export async function withRetry<T>(deps: RetryDependencies, call: (attempt: number) => Promise<T>): Promise<T> {
  const startedAt = deps.clock.now()
  for (let attempt = 1; ; attempt++) {
    try {
      return await call(attempt)
    } catch (failure) {
      const refusal = refusalOf(failure)
      if (!mayPass(failure)) throw refusal
      const delayMs = retryAfterMs(failure, deps.clock.now()) ?? backoffMs(attempt, deps.random())
      const leftMs = RETRY.budgetMs - (deps.clock.now() - startedAt)
      if (attempt >= RETRY.attempts || delayMs > leftMs) throw refusal
      await deps.wait(delayMs)
    }
  }
}

function backoffMs(attempt: number, random: number): number {
  return Math.ceil(random * Math.min(RETRY.maxDelayMs, RETRY.baseDelayMs * 2 ** attempt))
}

/** Of Retry-After, which is seconds or an HTTP date; null when absent or neither. */
export function retryAfterMs(failure: unknown, now: number): number | null {
  const header = failure instanceof APIError ? failure.headers?.get("retry-after") : null
  if (header == null) return null
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}
