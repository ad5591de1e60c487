/** What zod found wrong, as this platform says it: RFC 6901 pointers and plain words. A leaf: who reads a small document takes in no shape of a large one. */
import type { z } from "zod"

/** One fault in a document: where (RFC 6901 JSON pointer) and what. */
export interface Fault {
  readonly pointer: string
  readonly detail: string
}

/** Of one answer: whoever made more mistakes hears of the rest next time. */
export const MAX_FAULTS = 20

/** Faults of a failed parse, {@link MAX_FAULTS} at most, as pointers below `base`. A field that is not known is pointed at by its own name, each by itself. */
export function toFaults(error: z.ZodError, base = ""): Fault[] {
  const faults = error.issues.slice(0, MAX_FAULTS).flatMap((issue) => {
    const pointer = base + issue.path.map((part) => `/${escapePointer(String(part))}`).join("")
    return issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ pointer: `${pointer}/${escapePointer(key)}`, detail: "is not accepted" }))
      : [{ pointer, detail: issue.message }]
  })
  return faults.slice(0, MAX_FAULTS)
}

/** `text` as one part of a pointer. */
export function escapePointer(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1")
}
