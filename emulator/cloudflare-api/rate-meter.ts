/**
 * Cloudflare's own limit: 1200 requests per five minutes and token; who goes over it is refused everything for five minutes.
 * @see https://developers.cloudflare.com/fundamentals/api/reference/limits/
 */

const WINDOW_MS = 5 * 60_000

interface Window {
  readonly endsAtMs: number
  readonly used: number
}

export type MeterVerdict =
  | { readonly allowed: true; readonly limit: number; readonly remaining: number; readonly resetS: number }
  | { readonly allowed: false; readonly limit: number; readonly retryAfterS: number }

export class RateMeter {
  readonly #limit: number
  readonly #windows = new Map<string, Window>()

  /** `limit` requests per window. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Counts one request of `token` at `nowMs`. */
  take(token: string, nowMs: number): MeterVerdict {
    const last = this.#windows.get(token)
    const window = last === undefined || last.endsAtMs <= nowMs ? { endsAtMs: nowMs + WINDOW_MS, used: 0 } : last
    const used = window.used + 1
    // Going over starts the ban; requests during it do not prolong it.
    const endsAtMs = used === this.#limit + 1 ? nowMs + WINDOW_MS : window.endsAtMs
    this.#windows.set(token, { endsAtMs, used })
    const leftS = Math.ceil((endsAtMs - nowMs) / 1000)
    return used > this.#limit
      ? { allowed: false, limit: this.#limit, retryAfterS: leftS }
      : { allowed: true, limit: this.#limit, remaining: this.#limit - used, resetS: leftS }
  }
}

/** The meter for the variable RATE_LIMIT: null for `off`. @throws Error on anything but `off` or a whole number above 0. */
export function rateMeter(setting: string): RateMeter | null {
  if (setting === "off") return null
  if (!/^[1-9]\d{0,8}$/.test(setting)) throw new Error(`RATE_LIMIT must be a number or "off", not "${setting}"`)
  return new RateMeter(Number(setting))
}
