import type { Command } from "commander"
import { noticeShape } from "../../contracts/api.ts"
import { type ListOptions, listCommandOf, listed } from "../command.ts"
import type { ExitCode } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson, printTable } from "../print.ts"

/** Ends with 2 when there is one, so that a script can watch it. */
export function noticesList(io: Io, finish: (code: ExitCode) => void): Command {
  return listCommandOf(
    "list",
    "list what is in force and may not be meant: switches thrown, routes that nobody can pass",
    "notices list",
    `notices list --json | jq -r '.[] | select(.code == "nobody-passes").about'`,
  ).action(async (options: ListOptions) => {
    const notices = await listed("/v1/notices", noticeShape, options, io)
    if (notices.length > 0) finish(2)
    if (options.json) return printJson(io, notices)
    printTable(
      io,
      ["ABOUT", "TEAM", "NOTICE", "DETAIL"],
      notices.map(({ about, team, code, detail }) => [about, team, code, detail]),
      "Nothing to notice: no switch is thrown, and no route is known that nobody can pass.",
    )
  })
}
