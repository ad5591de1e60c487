/** Runs command lines of the tests against a doubled control plane, in a world whose time passes only where a command sleeps. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach } from "vitest"
import type { ExitCode } from "../failure.ts"
import type { Io } from "../io.ts"
import { main } from "../main.ts"
import { type ControlPlaneDouble, controlPlaneDouble } from "./control-plane-double.ts"

export const AT = "2026-11-20T10:00:00.000Z"
export const TOKEN = `spt_${"x".repeat(43)}`

export interface Ran {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

/** Made anew for each test; read its members inside of tests only. */
export interface Bench {
  api: ControlPlaneDouble
  /** An empty folder. */
  folder: string
  /** Without `env`: the double is both control plane and edge. */
  run(line: readonly string[], options?: { env?: Record<string, string>; stdin?: string }): Promise<Ran>
}

export function useBench(): Bench {
  const bench: Partial<Bench> = {}
  beforeEach(async () => {
    const api = await controlPlaneDouble()
    bench.api = api
    bench.folder = mkdtempSync(join(tmpdir(), "sallyport-cli-"))
    bench.run = (line, { env = environmentOf(api), stdin = "" } = {}) => runLine(line, env, stdin)
  })
  afterEach(async () => {
    await bench.api?.[Symbol.asyncDispose]()
    if (bench.folder !== undefined) rmSync(bench.folder, { recursive: true })
  })
  return bench as Bench
}

function environmentOf({ url }: ControlPlaneDouble): Record<string, string> {
  return { SALLYPORT_API_URL: url, SALLYPORT_TOKEN: TOKEN, SALLYPORT_EDGE_URL: url }
}

async function runLine(line: readonly string[], env: Io["env"], stdin: string): Promise<Ran> {
  const written = { out: "", err: "" }
  let now = 0
  const code = await main(line, {
    env,
    out: (text) => {
      written.out += text
    },
    err: (text) => {
      written.err += text
    },
    readStdin: async () => stdin,
    readSecret: async () => stdin,
    interactive: false,
    fetch,
    clock: {
      now: () => now,
      sleep: async (ms) => {
        now += ms
      },
    },
  })
  return { code, ...written }
}
