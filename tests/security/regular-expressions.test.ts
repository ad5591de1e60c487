/**
 * No regular expression of the product takes longer than its input is long: a header, a path or a thrown text of the longest that is let in must not
 * hold up an isolate that all share. Each literal is run over inputs that are made to be slow for it; what is not a literal is not allowed.
 */
import { describe, expect, it } from "vitest"
import { read, trackedFiles } from "../boundaries/tracked-files.ts"
import { literalsOf, slowInputOf } from "./superlinear.ts"

const PRODUCT = ["dispatcher", "kit", "contracts", "outbound", "control-plane", "user-workers", "revocations"]
const files = trackedFiles(...PRODUCT.map((folder) => `${folder}/**.ts`)).filter(
  (file) => !/\.test\.ts$|\/(test|testing|web)\/|\.d\.ts$/.test(file),
)
const literals = files.flatMap(literalsOf)

describe("a regular expression of the product", () => {
  it("takes no longer for four times the input than eight times as long", () => {
    const slow = literals.flatMap(({ file, line, regex }) => {
      const input = slowInputOf(regex)
      return input === null ? [] : [`${file}:${line}: ${regex} on ${input}`]
    })
    expect(slow).toEqual([])
    expect(literals.length).toBeGreaterThan(50)
  })

  it("is a literal, so that it can be tried", () => {
    expect(files.filter((file) => /\bRegExp\(/.test(read(file)))).toEqual([])
  })
})

describe("the search for slow inputs", () => {
  it.each([
    ["a trim of both ends", /^[ \t]+|[ \t]+$/g],
    ["a trim of the end", /[\s\p{Cc}]+$/u],
    ["trailing slashes", /\/+$/],
    ["a token anywhere", /[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|Bearer\s+\S+/gi],
    ["a token that begins with a word", /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*/g],
    ["a comment without an end", /\/\*.*?\*\//g],
    ["a repetition in a repetition", /^(a+)+$/],
    ["two ways to the same", /^(\w|\d)+-$/],
    ["neighbours that share characters", /^\s*[\s\w]*;$/],
  ])("finds one for %s", (_what, regex) => {
    expect(slowInputOf(regex)).not.toBeNull()
  })

  it.each([
    ["a trim of the start", /^[ \t]+/],
    ["one character at the end", /[ \t]$/],
    ["slashes anywhere", /\/+/g],
    [
      "a token that begins where no other character of it stands before",
      /(?<![\w-])[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/gi,
    ],
    ["a comment whose inside is told from its end", /^\/\*[^*]*\*\//],
    ["a repetition", /^a+$/],
    ["two ways that differ", /^([a-z]|\d)+-$/],
    ["neighbours that share no character", /^\s*\w*;$/],
    ["a bounded repetition", /[ \t]{1,20}$/],
  ])("finds none for %s", (_what, regex) => {
    expect(slowInputOf(regex)).toBeNull()
  })
})
