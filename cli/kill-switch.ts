/** The switch of a route or a script, as options of the commands that throw it. */
import { type Command, Option } from "commander"
import { Failure } from "./failure.ts"

export interface KillOptions {
  /** The reason, or false to lift it; absent leaves it as it is. */
  readonly kill?: string | false
  readonly killMode?: "log" | "enforce"
}

/** Adds `--kill`, `--no-kill` and `--kill-mode`. `what` is switched off, such as `the route`. */
export function addKillOptions(command: Command, what: string): Command {
  return command
    .option("--kill <reason>", `switch ${what} off: 503`)
    .option("--no-kill", "switch it on again")
    .addOption(new Option("--kill-mode <mode>", "with --kill; default enforce").choices(["log", "enforce"]))
}

/** What the options ask for: null lifts it, undefined leaves it as it is. Throws a Failure for a mode of no switch, and for a switch without a reason. */
export function killOf({
  kill,
  killMode,
}: KillOptions): { readonly mode: string; readonly reason: string } | null | undefined {
  if (kill !== undefined && kill !== false && kill.trim() === "")
    throw new Failure("A switch is thrown for a reason", {
      why: "Whoever finds it thrown has to know whether it may be lifted.",
      fix: "Say it: --kill 'the reason'.",
    })
  if (typeof kill === "string") return { mode: killMode ?? "enforce", reason: kill }
  if (killMode !== undefined)
    throw new Failure("--kill-mode changes nothing by itself", {
      fix: `Say why: --kill 'the reason' --kill-mode ${killMode}.`,
    })
  return kill === false ? null : undefined
}
