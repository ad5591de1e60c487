/**
 * JSON from outside, read in one way only: what JSON.parse would settle silently (a key given twice, `__proto__`) is a fault,
 * because another parser further on may settle it differently (R17). Called for every JSON text that an upload brings.
 */
import { refuse } from "../../../kit/problem.ts"

/** Deeper nesting than any real upload has; keeps the walk's stack small. */
const MAX_DEPTH = 64

interface Frame {
  /** Null in an array. */
  readonly keys: Set<string> | null
  /** The member or index being read, for the pointer. */
  at: string | number
}

interface KeyFault {
  readonly pointer: string
  readonly detail: string
}

/** The value of `text`. `what` names the text in the message. Throws `upload.malformed` with a pointer to a doubled or forbidden key. */
export function parseStrictJson(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse("upload.malformed", { detail: `${what} is not JSON.` })
  }
  const fault = keyFaultOf(text)
  if (fault !== null) throw refuse("upload.malformed", { detail: `${what} is ambiguous.`, errors: [fault] })
  return value
}

/** First key fault of a text that is known to be JSON, or null. Linear in its length. */
function keyFaultOf(text: string): KeyFault | null {
  const frames: Frame[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      const frame = frames.at(-1)
      if (frame?.keys && isKey(text, end)) {
        const key: string = JSON.parse(text.slice(at, end))
        frame.at = key
        if (key === "__proto__") return { pointer: pointerOf(frames), detail: "this key is not allowed" }
        if (frame.keys.has(key)) return { pointer: pointerOf(frames), detail: "this key is given twice" }
        frame.keys.add(key)
      }
      at = end - 1
    } else if (char === "{" || char === "[") {
      if (frames.length === MAX_DEPTH) return { pointer: pointerOf(frames), detail: "is nested too deep" }
      frames.push(char === "{" ? { keys: new Set(), at: "" } : { keys: null, at: 0 })
    } else if (char === "}" || char === "]") frames.pop()
    else if (char === ",") {
      const frame = frames.at(-1)
      if (frame && typeof frame.at === "number") frame.at++
    }
  }
  return null
}

/** Index behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1
  return at + 1
}

/** True when the string that ends at `end` is followed by a colon. */
function isKey(text: string, end: number): boolean {
  let at = end
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++
  return text[at] === ":"
}

function pointerOf(frames: readonly Frame[]): string {
  return frames.map(({ at }) => `/${String(at).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
}
