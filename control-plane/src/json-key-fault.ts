/**
 * What JSON.parse settles silently and another parser may settle differently: a key given twice, `__proto__`, absurd nesting.
 * Looks at text that JSON.parse has already accepted.
 */
import { escapePointer } from "../../contracts/to-faults.ts"

/** Deeper than any body we take. */
const MAX_DEPTH = 64

interface Frame {
  /** Null in an array. */
  readonly keys: Set<string> | null
  /** Member or index being read, for the pointer. */
  at: string | number
}

/** The first fault of `text`, or null. `text` must be JSON. Linear in its length. */
export function findJsonKeyFault(text: string): { pointer: string; detail: string } | null {
  const frames: Frame[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      const frame = frames.at(-1)
      if (frame?.keys != null && isFollowedByColon(text, end)) {
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
      if (typeof frame?.at === "number") frame.at++
    }
  }
  return null
}

/** Index behind the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1
  return at + 1
}

function isFollowedByColon(text: string, end: number): boolean {
  let at = end
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++
  return text[at] === ":"
}

function pointerOf(frames: readonly Frame[]): string {
  return frames.map(({ at }) => `/${escapePointer(String(at))}`).join("")
}
