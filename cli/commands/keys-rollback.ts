import type { Command } from "commander"
import { keyRingShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"
import { printKeys } from "../show-keys.ts"

export function keysRollback(io: Io): Command {
  return changeCommandOf(
    "rollback",
    "undo the newest rotation: the key that waits will not sign, or the former one signs again at once; nobody is refused",
    "keys rollback -m 'a cell does not know the new key'",
  ).action(async (options: ChangeOptions) => {
    const body = messageOf(options)
    const { value } = await apiOf(io).postOnce("/v1/keys/rollback", keyRingShape, { body }, io.clock.sleep)
    if (options.json) printJson(io, value)
    else printKeys(io, value)
  })
}
