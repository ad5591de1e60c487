/** What the command line needs of the world around it, so that tests give it another one. */
import { text } from "node:stream/consumers"
import { setTimeout } from "node:timers/promises"

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** All of standard input. */
  readonly readStdin: () => Promise<string>
  /** True when a person types. */
  readonly interactive: boolean
  readonly fetch: typeof fetch
  /** Milliseconds. */
  readonly clock: { now(): number; sleep(ms: number): Promise<void> }
}

export function processIo(): Io {
  return {
    env: process.env,
    out: (line) => process.stdout.write(line),
    err: (line) => process.stderr.write(line),
    readStdin: () => text(process.stdin),
    interactive: process.stdin.isTTY === true,
    fetch,
    clock: { now: () => performance.now(), sleep: (ms) => setTimeout(ms) },
  }
}
