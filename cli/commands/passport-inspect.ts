import type { Command } from "commander"
import { z } from "zod"
import { JWKS_PATH } from "../../contracts/reserved-headers.ts"
import { unreachable } from "../api-client.ts"
import { type CommonOptions, commandOf } from "../command.ts"
import { connection } from "../configuration.ts"
import { type ExitCode, Failure, printable } from "../failure.ts"
import { inspectPassport, inWords } from "../inspect-passport.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"

interface Options extends CommonOptions {
  readonly edge?: string
  readonly at?: string
}

const keySet = z.object({ keys: z.array(z.looseObject({ kid: z.string().optional() })) })
const TIMEOUT_MS = 10_000

export function passportInspect(io: Io, finish: (code: ExitCode) => void): Command {
  return commandOf(
    "inspect",
    "say what a passport says, and whether the edge's key set vouches for it; exits with 1 when it is not valid",
    "passport inspect - < passport.txt",
    "passport inspect eyJ… --edge https://api.example.com --json",
  )
    .argument(
      "<token>",
      "the value of x-passport or txn-token, or - for standard input (which keeps it out of the shell's history)",
    )
    .option("--edge <url>", "whose key set to check it against; default: the edge of `sallyport login`")
    .option("--at <time>", "as if it were then, ISO 8601")
    .action(async (given: string, options: Options) => {
      const token = (given === "-" ? await io.readStdin() : given).trim().replace(/^(x-passport|txn-token):\s*/i, "")
      if (token === "")
        throw new Failure("There is no passport to look at", { fix: "Give the header's value, or pipe it in with -." })
      const nowS = secondsOf(options.at)
      const found = await inspectPassport(token, await keysOf(options, io), nowS)
      if (!found.valid) finish(1)
      if (options.json) return printJson(io, found)
      for (const fault of found.faults) io.out(`✗ ${printable(fault)}\n`)
      if (found.valid) io.out("✓ It is valid: the edge made it, and its time is not over.\n")
      const words = inWords(found, nowS)
      if (Object.keys(words).length > 0) printFields(io, words)
    })
}

async function keysOf({ edge }: Options, io: Io) {
  const url = `${edgeOf(edge, io)}${JWKS_PATH}`
  let response: Response
  try {
    response = await io.fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (thrown) {
    throw unreachable(new URL(url).origin, `GET ${url}`, thrown, TIMEOUT_MS)
  }
  const parsed = keySet.safeParse(await response.json().catch(() => null))
  if (!parsed.success)
    throw new Failure("What answers there is no key set", {
      where: `GET ${url}`,
      fix: "Give the edge's URL with --edge.",
    })
  return parsed.data.keys as (JsonWebKey & { kid?: string })[]
}

/** A token of the control plane is not needed: whoever holds a passport may look at it. */
function edgeOf(edge: string | undefined, io: Io): string {
  const known = edge ?? io.env.SALLYPORT_EDGE_URL ?? storedEdge(io)
  if (known === undefined || !URL.canParse(known))
    throw new Failure("Nobody said where the edge is", {
      fix: "Give --edge <url>, set SALLYPORT_EDGE_URL, or store it with `sallyport login <url> --edge <url>`.",
    })
  return new URL(known).origin
}

function storedEdge(io: Io): string | undefined {
  try {
    return connection(io.env).edgeUrl
  } catch {
    return undefined
  }
}

function secondsOf(at: string | undefined): number {
  const ms = at === undefined ? Date.now() : Date.parse(at)
  if (Number.isNaN(ms)) throw new Failure(`Not a time: ${at}`, { fix: "Write it as 2026-11-20T12:00:00Z." })
  return Math.floor(ms / 1000)
}
