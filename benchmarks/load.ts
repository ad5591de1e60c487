/**
 * Load from a process of its own, on loopback, over kept-alive connections: what generates it does not share an event loop with what starts the platform.
 * The child is load-child.ts; it speaks one JSON line back.
 */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"

export interface Load {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** One header more, whose value changes from request to request; all values come equally often. */
  readonly vary?: { readonly header: string; readonly values: readonly string[] }
  readonly connections: number
  readonly seconds: number
}

export interface Measured {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds from the request's last byte to the response's. */
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Rejects when a single response was not 2xx, or a connection failed: a figure over refusals is worth nothing. */
export async function load(options: Load): Promise<Measured> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(import.meta.dirname, "load-child.ts"), JSON.stringify(options)],
    { maxBuffer: 1_000_000 },
  )
  const measured = JSON.parse(stdout) as Measured & { failed: number }
  if (measured.failed > 0 || measured.requests === 0)
    throw new Error(`${measured.failed} of ${measured.requests} requests to ${options.url} failed`)
  return measured
}
