import { Argument, type Command } from "commander"
import type { z } from "zod"
import { type PolicySection, policySections } from "../../contracts/dispatch-config.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

/** Always JSON: what it prints can be edited and given to `policy set`. */
export function policyGet(io: Io): Command {
  return commandOf("get", "show one section of the policy, as JSON", "policy get screen > screen.json")
    .addArgument(new Argument("<section>").choices(Object.keys(policySections)))
    .action(async (section: PolicySection, _options: CommonOptions) => {
      const shape: z.ZodType = policySections[section]
      const { value } = await apiOf(io).get(`/v1/policy/${section}`, shape)
      printJson(io, value)
    })
}
