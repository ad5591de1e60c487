/** JSON of an upload, read in one way only. */
import { refuse } from "../../../kit/problem.ts"
import { findJsonKeyFault } from "../json-key-fault.ts"

/** The value of `text`. `what` names the text in the message. Throws `upload.malformed`, with a pointer to a doubled or forbidden key. */
export function parseStrictJson(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse("upload.malformed", { detail: `${what} is not JSON.` })
  }
  const fault = findJsonKeyFault(text)
  if (fault !== null) throw refuse("upload.malformed", { detail: `${what} is ambiguous.`, errors: [fault] })
  return value
}
