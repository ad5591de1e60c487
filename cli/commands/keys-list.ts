import type { Command } from "commander"
import { keyRingShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"
import { edgeKeys, printKeys } from "../show-keys.ts"

export function keysList(io: Io): Command {
  return commandOf(
    "list",
    "show which keys sign and verify passports, until when, and whether the edge goes along",
    "keys list",
  ).action(async (options: CommonOptions) => {
    const api = apiOf(io)
    const { value } = await api.get("/v1/keys", keyRingShape)
    const asked = await edgeKeys(api.connection.edgeUrl, io)
    if (options.json) printJson(io, { ...value, ...asked })
    else printKeys(io, value, asked)
  })
}
