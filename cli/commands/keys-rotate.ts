import type { Command } from "commander"
import { keyRingShape } from "../../contracts/api.ts"
import { apiOf, type ChangeOptions, changeCommandOf, messageOf } from "../command.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"
import { printKeys } from "../show-keys.ts"

interface Options extends ChangeOptions {
  readonly immediately?: true
  readonly yes?: true
}

const PRICE =
  "Verifiers that keep their key set refuse every passport until they look again, up to five minutes; those of docs/verify look again at once. Some calls from Worker to Worker fail for up to three minutes."

export function keysRotate(io: Io): Command {
  return changeCommandOf(
    "rotate",
    "publish a new key for passports, which signs once every verifier can know it; nobody is refused",
    "keys rotate -m 'the yearly drill'",
    "keys rotate --immediately --yes -m 'the key may be in a log'    (an emergency: see docs/runbooks/key-rotation.md)",
  )
    .option("--immediately", "the new key signs at once, the others are accepted for four minutes more")
    .option("--yes", "with --immediately: I know what it costs")
    .action(async (options: Options) => {
      if (options.immediately && !options.yes)
        throw new Failure("An immediate rotation has a price", {
          why: PRICE,
          fix: "Leave --immediately out if no key is in wrong hands; otherwise say it again with --yes.",
        })
      const body = { immediately: options.immediately === true, ...messageOf(options) }
      const { value } = await apiOf(io).postOnce("/v1/keys/rotate", keyRingShape, { body }, io.clock.sleep)
      if (options.json) return printJson(io, value)
      printKeys(io, value)
      const next = value.keys.find((key) => key.state === "next")
      if (next !== undefined)
        io.out(
          `${next.kid} is published and signs from ${next.signsFrom}. \`sallyport keys rollback\` takes it back.\n`,
        )
      if (options.immediately)
        io.out(
          `${PRICE}\nWhat the old keys signed is accepted until then; to refuse it now: sallyport revocations create key passports <kid>.\n`,
        )
    })
}
