import type { Command } from "commander"
import { listOf } from "../../contracts/api.ts"
import { type RevocationItem, revocationShape } from "../../contracts/api-identity.ts"
import { apiOf, type ListOptions, listCommandOf, listed } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

interface Options extends ListOptions {
  readonly newest?: true
}

const PATH = "/v1/revocations"
/** Items of the one page that the API has of the newest. */
const NEWEST_MOST = 1000

export function revocationsList(io: Io): Command {
  return listCommandOf(
    "list",
    "list revocations that may still matter, oldest first",
    "revocations list",
    "revocations list --newest --limit 20",
  )
    .option("--newest", `the newest first, at most ${NEWEST_MOST}`)
    .action(async (options: Options) => {
      const found = options.newest ? await newest(options, io) : await listed(PATH, revocationShape, options, io, more)
      if (options.json) return printJson(io, found)
      printTable(
        io,
        ["SEQ", "AT", "KIND", "WHAT", "MADE UNTIL", "KEPT UNTIL", "BY", "REASON"],
        found.map(({ seq, at, target: { kind, ...names }, before, keptUntil, actor, reason }) => [
          ...[seq, at, kind],
          Object.values(names).join(" "),
          ...[before ?? "whenever", keptUntil, actor, reason],
        ]),
        "Nothing is revoked.",
      )
    })
}

function olderThan(limit: number): string {
  return limit < NEWEST_MOST
    ? `--limit ${Math.min(limit * 10, NEWEST_MOST)} shows more.`
    : "without --newest, and with a larger --limit, all are listed, oldest first."
}

function more(larger: number): string {
  return `More exist, and these are the oldest: --newest shows the newest first, --limit ${larger} more of them.`
}

/** One page: the API does not go back from there, nor say whether there is anything. */
async function newest({ limit }: Options, io: Io): Promise<RevocationItem[]> {
  if (limit > NEWEST_MOST)
    throw new Failure(`The newest ${limit} cannot be listed at once`, {
      fix: `--limit ${NEWEST_MOST} is the most with --newest; without it all can be listed, oldest first.`,
    })
  const query = new URLSearchParams({ newest: "true", limit: String(limit) })
  const { items } = (await apiOf(io).get(`${PATH}?${query}`, listOf(revocationShape))).value
  if (items.length >= limit) io.err(`Older ones may exist: ${olderThan(limit)}\n`)
  return items
}
