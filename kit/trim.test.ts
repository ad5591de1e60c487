import { expect, it } from "vitest"
import { isSpaceOrTab, trim, trimEnd } from "./trim.ts"

it.each([
  [" \t a \t", "a"],
  ["a \t b", "a \t b"],
  ["\u00a0a\u00a0", "\u00a0a\u00a0"],
  ["\na\r", "\na\r"],
  [" \t ", ""],
  ["", ""],
])("of %j leaves %j without space and tab around it", (text, trimmed) => {
  expect(trim(text, isSpaceOrTab)).toBe(trimmed)
})

it.each([
  ["/a//", "/a"],
  ["//a/b", "//a/b"],
  ["///", ""],
  ["/a/ ", "/a/ "],
])("of %j leaves %j without the slashes at its end", (text, trimmed) => {
  expect(trimEnd(text, (character) => character === "/")).toBe(trimmed)
})
