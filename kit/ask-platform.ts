/**
 * A question to the `PLATFORM` binding whose refusal stays a refusal: over RPC an Error arrives with nothing but its message,
 * which the platform makes the problem code.
 */
import { PROBLEMS, type ProblemCode } from "../contracts/problem-codes.ts"
import { refuse } from "./problem.ts"

/** The platform's answer. Refuses with the platform's own code, or `platform.unavailable` for any other failure. */
export async function askPlatform<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (cause) {
    const code = cause instanceof Error ? cause.message : ""
    throw refuse(isProblemCode(code) ? code : "platform.unavailable", { cause })
  }
}

function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text)
}
