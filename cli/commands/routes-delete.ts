import type { Command } from "commander"
import { routeShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery, segment } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

export function routesDelete(io: Io): Command {
  return changeCommandOf("delete", "delete a route", "routes delete web-pages -m 'moved to pages'")
    .argument("<route>", "its id")
    .action(async (id: string, options: ChangeOptions) => {
      const api = apiOf(io)
      const path = `/v1/routes/${segment(id)}`
      const { value, etag } = await api.get(path, routeShape)
      await api.delete(path + messageQuery(options), { before: { etag } })
      if (options.json) printJson(io, value)
      else io.out(`Deleted route ${id}: ${value.hostname}${value.path}\n`)
    })
}
