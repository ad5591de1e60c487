import { readFileSync } from "node:fs"
import { Argument, type Command } from "commander"
import type { z } from "zod"
import { type PolicySection, policySections } from "../../contracts/dispatch-config.ts"
import { toFaults } from "../../contracts/to-faults.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageQuery } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

/** The section is checked here first, so that a slip is told with its place before anything is sent. */
export function policySet(io: Io): Command {
  return changeCommandOf(
    "set",
    "replace one section of the policy from a JSON file",
    "policy set screen screen.json",
    "policy get flags | sed s/false/true/ | sallyport policy set flags -",
  )
    .addArgument(new Argument("<section>").choices(Object.keys(policySections)))
    .argument("<file>", "JSON, or - for standard input")
    .action(async (section: PolicySection, file: string, options: ChangeOptions) => {
      const shape: z.ZodType = policySections[section]
      const parsed = shape.safeParse(await jsonFrom(file, io))
      if (!parsed.success)
        throw new Failure(`That is not a ${section} policy`, {
          where: file,
          errors: toFaults(parsed.error),
          fix: `\`sallyport policy get ${section}\` shows the present one.`,
        })
      const api = apiOf(io)
      const path = `/v1/policy/${section}`
      const before = await api.find(path, shape)
      const { value } = await api.put(path + messageQuery(options), shape, { body: parsed.data, before })
      if (options.json) printJson(io, value)
      else io.out(`Changed policy ${section}\n`)
    })
}

async function jsonFrom(file: string, io: Io): Promise<unknown> {
  let text: string
  try {
    text = file === "-" ? await io.readStdin() : readFileSync(file, "utf8")
  } catch (thrown) {
    throw new Failure(`Cannot read ${file}`, {
      ...(thrown instanceof Error ? { why: thrown.message } : {}),
      fix: "Give a file that exists, or - for standard input.",
    })
  }
  try {
    return JSON.parse(text)
  } catch (thrown) {
    throw new Failure(`${file} is not JSON`, {
      ...(thrown instanceof Error ? { why: thrown.message } : {}),
      fix: "Correct it; `sallyport policy get` prints a valid one.",
    })
  }
}
