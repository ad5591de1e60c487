/**
 * A revocation that a team's Worker asks for through its platform binding: a log-out, an answer to a stolen laptop.
 * Which kinds of targets a team may name is in its grants; the log (revocations/) numbers and keeps what it is given, with who asked.
 */
import { z } from "zod"
import type { PlatformProps } from "../../contracts/platform.ts"
import type { ProblemCode } from "../../contracts/problem-codes.ts"
import {
  MAX_REVOCATIONS_PER_CALL,
  type RevocationRequest,
  type RevocationsApi,
  revocationRequest,
} from "../../contracts/revocation.ts"
import { refuse } from "../../kit/problem.ts"
import { within } from "../../kit/within.ts"
import type { ReadyConfig } from "./dependencies.ts"

/** Milliseconds. */
const APPEND_TIMEOUT_MS = 5_000
const revocationList = z.array(revocationRequest).min(1).max(MAX_REVOCATIONS_PER_CALL)

/**
 * Durable when it answers. `asked` is of any type until checked; of several revocations all are done or none.
 * Refuses `platform.argument-invalid`, `platform.not-granted`, `revocation.log-full`, and `platform.unavailable` when it is not known whether it was done: to revoke again does no harm.
 */
export async function revokeFor(
  asked: unknown,
  { script, team }: Pick<PlatformProps, "script" | "team">,
  config: ReadyConfig,
  log: Pick<RevocationsApi, "append">,
  timeoutMs = APPEND_TIMEOUT_MS,
): Promise<{ readonly seq: number; readonly boundMs: number }> {
  const revocations = revocationsOf(asked)
  for (const { target } of revocations) {
    const grant = `revoke:${target.kind}`
    if (config.loaded.isGranted(team, grant)) continue
    throw refuse("platform.not-granted", { detail: `${script} needs the grant ${grant}.` })
  }
  const appended = within(timeoutMs, log.append(revocations, `script:${script}`))
  const { seq } = await appended.catch((cause: unknown) => {
    throw refuse(codeOf(cause), { cause })
  })
  return { seq, boundMs: config.identity.feedMaxAgeMs }
}

/** Over RPC an Error arrives with nothing but its message. What the log says that it did not take was not taken. */
function codeOf(cause: unknown): ProblemCode {
  switch (cause instanceof Error ? cause.message : "") {
    case "revocation.log-full":
      return "revocation.log-full"
    case "revocation.invalid":
      return "platform.argument-invalid"
    default:
      return "platform.unavailable"
  }
}

function revocationsOf(asked: unknown): readonly RevocationRequest[] {
  const parsed = revocationList.safeParse(asked)
  if (parsed.success) return parsed.data
  throw refuse("platform.argument-invalid", {
    detail: `1–${MAX_REVOCATIONS_PER_CALL} revocations are needed, each with a target and a reason.`,
  })
}
