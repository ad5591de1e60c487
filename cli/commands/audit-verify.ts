import type { Command } from "commander"
import { auditShape } from "../../contracts/api.ts"
import { faultInChain } from "../audit-chain.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import { type ExitCode, Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends CommonOptions {
  readonly known?: string
}

/** Computed here, from the records alone: the control plane is not asked whether its own audit is whole. */
export function auditVerify(io: Io, finish: (code: ExitCode) => void): Command {
  return commandOf(
    "verify",
    "recompute the chain of the whole audit; exits with 2 when it is broken",
    "audit verify",
    "audit verify --known 4711=9f86d081…    (a head noted before: finds a chain that was rewritten or cut)",
  )
    .option("--known <seq=hash>", "a record that must still be there")
    .action(async (options: Options) => {
      const known = options.known === undefined ? undefined : knownOf(options.known)
      const { items } = await apiOf(io).list("/v1/audit", auditShape, Number.MAX_SAFE_INTEGER)
      const records = items.toSorted((a, b) => a.seq - b.seq)
      const fault = await faultInChain(records, known)
      const head = records.at(-1)
      if (fault !== null) finish(2)
      if (options.json)
        return printJson(io, {
          records: records.length,
          fault,
          head: head === undefined ? null : { seq: head.seq, hash: head.hash },
        })
      if (fault !== null) io.out(`The chain is broken at record ${fault.seq}: ${fault.why}\n`)
      else io.out(`${records.length} records, the chain holds. Note the head: ${head?.seq ?? 0}=${head?.hash ?? ""}\n`)
    })
}

function knownOf(text: string): { seq: number; hash: string } {
  const match = /^([1-9][0-9]{0,14})=([0-9a-f]{64})$/.exec(text)
  if (match === null)
    throw new Failure(`Not a head: ${text}`, { fix: "Give it as `sallyport audit verify` printed it: seq=hash." })
  return { seq: Number(match[1]), hash: String(match[2]) }
}
