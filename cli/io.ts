/** What the command line needs of the world around it, so that tests give it another one. */
import { createInterface } from "node:readline"
import { Writable } from "node:stream"
import { text } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** All of standard input. */
  readonly readStdin: () => Promise<string>
  /** One line that a person types or pastes, not shown while they do. */
  readonly readSecret: () => Promise<string>
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
    readSecret,
    interactive: process.stdin.isTTY === true,
    fetch,
    clock: { now: () => performance.now(), sleep },
  }
}

/** readline takes the terminal's echo over, and what it echoes goes nowhere. Ctrl-C and Ctrl-D give an empty line. */
function readSecret(): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  return new Promise((resolve) => {
    lines.once("line", (line) => {
      resolve(line)
      lines.close()
    })
    lines.once("SIGINT", () => lines.close())
    lines.once("close", () => resolve(""))
  })
}
