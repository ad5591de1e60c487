import type { Command } from "commander"
import { routeShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

/** A route has too many optional parts for columns: it is shown as `routes set` and the API take it. */
export function routesGet(io: Io): Command {
  return commandOf("get", "show one route", "routes get web-pages")
    .argument("<route>", "its id")
    .action(async (id: string, _options: CommonOptions) => {
      const { value } = await apiOf(io).get(`/v1/routes/${segment(id)}`, routeShape)
      printJson(io, value)
    })
}
