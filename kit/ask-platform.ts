/**
 * A question to the `PLATFORM` binding whose refusal stays a refusal: over RPC an Error arrives with nothing but its message,
 * which the platform makes the problem code. For what the platform answers by itself; a request for a sibling (kit/dispatch-sibling.ts) takes as long as the sibling does.
 */
import { PROBLEMS, type ProblemCode } from "../contracts/problem-codes.ts"
import { refuse } from "./problem.ts"
import { within } from "./within.ts"

/**
 * Milliseconds: more than the platform's own bounds put together, so that whatever it will say is heard. It waits 2 s for its config, 2 s more for a newer one (`zoneOf`), and 5 s for a
 * revocation to be durable (`revoke`), of which not to know whether it was done would be worse than to wait.
 */
const GIVE_UP_MS = 10_000

/** The platform's answer. Refuses with the platform's own code, or `platform.unavailable` for any other failure, and when there is no answer within ten seconds. */
export async function askPlatform<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await within(GIVE_UP_MS, question())
  } catch (cause) {
    const code = cause instanceof Error ? cause.message : ""
    throw refuse(isProblemCode(code) ? code : "platform.unavailable", { cause })
  }
}

function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text)
}
