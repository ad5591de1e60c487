import type { Command } from "commander"
import { explainCreate, explanationShape } from "../../contracts/api.ts"
import { toFaults } from "../../contracts/to-faults.ts"
import { apiOf, type CommonOptions, collect, commandOf } from "../command.ts"
import { type ExitCode, Failure, printable } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends CommonOptions {
  readonly method: string
  readonly header?: readonly string[]
  readonly ip?: string
  readonly country?: string
  readonly colo?: string
  readonly asn?: string
  readonly tls?: string
  readonly bot?: string
  readonly nonZeroExitCode?: true
}

export function explain(io: Io, finish: (code: ExitCode) => void): Command {
  return commandOf(
    "explain",
    "show what the edge would do with a request, and why; nothing is dispatched",
    "explain https://api.procore.com/rest/v1.0/projects --header 'authorization: Bearer …' --country GB",
  )
    .argument("<url>", "full URL of the request")
    .option("-X, --method <method>", "HTTP method", "GET")
    .option("-H, --header <name: value>", "a request header; repeatable", collect)
    .option("--ip <address>", "client address to assume; without one, no denied address is looked for")
    .option("--country <code>", "country to assume, such as GB")
    .option("--colo <code>", "Cloudflare location to assume")
    .option("--asn <number>", "network number to assume")
    .option("--tls <version>", "TLS version to assume, such as TLSv1.2; default TLSv1.3")
    .option("--bot <score>", "bot score to assume, 1–99")
    .option("--non-zero-exit-code", "exit with 2 when the request would be refused")
    .action(async (url: string, options: Options) => {
      const body = explainCreate.safeParse({
        url,
        method: options.method.toUpperCase(),
        headers: headersOf(options.header ?? []),
        facts: factsOf(options),
      })
      if (!body.success)
        throw new Failure("That request cannot be explained", {
          errors: toFaults(body.error),
          fix: "Give a full URL such as https://api.procore.com/rest/v1.0/me, and facts as --help shows.",
        })
      const { value } = await apiOf(io).post("/v1/explain", explanationShape, { body: body.data })
      if (options.nonZeroExitCode && value.outcome.kind === "problem") finish(2)
      if (options.json) return printJson(io, value)
      for (const { stage, says } of value.steps) io.out(`${stage.padEnd(12)}  ${printable(says)}\n`)
      io.out(`${outcomeOf(value.outcome)}  (config revision ${value.configRevision})\n`)
    })
}

function outcomeOf(outcome: ReturnType<typeof explanationShape.parse>["outcome"]): string {
  if (outcome.kind === "dispatch") return `→ ${outcome.placedName}, with a passport for ${outcome.audience}`
  if (outcome.kind === "problem") return `→ ${outcome.status} ${outcome.code}`
  if (outcome.kind === "withheld") return `→ not shown: ${outcome.what}`
  return `→ answered by the gateway itself: ${outcome.what}`
}

/** Several values of one header are joined as HTTP does. */
function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon < 1)
      throw new Failure(`Not a header: ${line}`, { fix: "Write it as name: value, such as 'accept: text/html'." })
    const name = line.slice(0, colon).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return headers
}

function factsOf({ ip, country, colo, asn, tls, bot }: Options): Record<string, string | number> | undefined {
  const facts = Object.entries({ ip, country: country?.toUpperCase(), colo: colo?.toUpperCase(), tls }).filter(
    ([, value]) => value !== undefined,
  )
  const numbers = Object.entries({ asn, bot }).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, Number(text)]],
  )
  const all = [...facts, ...numbers]
  return all.length === 0 ? undefined : Object.fromEntries(all)
}
