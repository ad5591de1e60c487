/** What comes over RPC has no types at run time: every argument is of any type until it was looked at here. */
import { refuse } from "../../kit/problem.ts"

/** A string of at most 8192 characters; an array would become an `aud` of several. Refuses `platform.argument-invalid`. */
export function textArgument(value: unknown): string {
  if (typeof value === "string" && value.length <= 8_192) return value
  throw refuse("platform.argument-invalid", { detail: "A string of at most 8192 characters is needed." })
}

/** A config revision; 0, which any has reached, when there is none. Refuses `platform.argument-invalid`. */
export function revisionArgument(value: unknown): number {
  if (value === undefined) return 0
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value)
  throw refuse("platform.argument-invalid", { detail: "A config revision is a whole number." })
}
