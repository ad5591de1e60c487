/**
 * Trims text of certain characters and no others, where `trim()` takes too many: a look-alike of a space belongs to what it stands beside.
 * By hand, since an engine may try `/[ \t]+$/` anew from each character of a run that does not end the text, as Node does: seconds for a header of 64 KB.
 * The workerd that tests run in is quick with it, and as slow as Node with `/^[ \t]+|[ \t]+$/g`: nothing to rely on.
 */

type Matches = (character: string) => boolean

/** `text` without those at both ends; takes time by the length of the text. Characters are UTF-16 units. */
export function trim(text: string, matches: Matches): string {
  let start = 0
  while (start < text.length && matches(text.charAt(start))) start += 1
  return trimEnd(text.slice(start), matches)
}

/** `text` without those at its end; takes time by their number. */
export function trimEnd(text: string, matches: Matches): string {
  let end = text.length
  while (end > 0 && matches(text.charAt(end - 1))) end -= 1
  return text.slice(0, end)
}

/** What may stand around a cookie or a list's item (RFC 9110 §5.6.3). */
export function isSpaceOrTab(character: string): boolean {
  return character === " " || character === "\t"
}
