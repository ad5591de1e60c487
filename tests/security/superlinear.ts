/**
 * Whether a regular expression's time grows faster than its input: found by running it, over repetitions of what it looks for, that then do not end as it wants.
 * A backtracking engine takes n² steps where a repetition can begin at every character of a run, and 2ⁿ where it can be divided in many ways.
 * Used by regular-expressions.test.ts alone.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { parseSync, Visitor } from "oxc-parser"
import { bestMs, growsFaster } from "../../kit/testing/growth.ts"
import { ROOT } from "../boundaries/tracked-files.ts"

/** UTF-16 units of the inputs, ascending: small steps first, so that one that doubles with each character is caught before it hangs. */
const SIZES = [12, 16, 20, 24, 40, 64, 100, 160, 256, 1_024, 4_096, 16_384]
/** Milliseconds that say nothing: the clock's grain, the engine's compiling. What takes longer is held against a quarter of its size. */
const FLOOR_MS = 1
const RUNS = 5
/** For every pattern, beside what it itself looks for. */
const ALWAYS = ["a", "A", "0", " ", "\t", ".", "-", "/", "=", "\u00a0"]
/** Matches of a pattern, by a fixed seed; how much of each is repeated, and how many characters of it are looked at. */
const MATCHES = { seed: 1, numRuns: 4, most: 24, pumped: 3 }

export interface Literal {
  readonly file: string
  readonly line: number
  readonly regex: RegExp
}

/** The regular expressions that stand in a file as literals. */
export function literalsOf(file: string): Literal[] {
  const source = readFileSync(join(ROOT, file), "utf8")
  const found: Literal[] = []
  new Visitor({
    Literal(node) {
      if (!("regex" in node)) return
      const { pattern, flags } = node.regex
      found.push({ file, line: source.slice(0, node.start).split("\n").length, regex: new RegExp(pattern, flags) })
    },
  }).visit(parseSync(file, source).program)
  return found
}

/** The input for which `regex` takes much longer than for a quarter of it, for a message; null when there is none among those tried. */
export function slowInputOf(regex: RegExp): string | null {
  // Without an unbounded repetition there is nothing to grow with the input but the places where a match may begin.
  if (!/[*+]|\{\d+,\}/.test(regex.source)) return null
  for (const { prefix, unit, end } of attacksOn(regex)) {
    const input = (size: number) => prefix + unit.repeat(Math.ceil(size / unit.length)) + end
    for (const size of SIZES) {
      if (quickestMs(regex, input(size), 1) <= FLOOR_MS) continue
      const ms = quickestMs(regex, input(size), RUNS)
      // The machine was busy with something else: a longer one may still be slow.
      if (ms <= FLOOR_MS) continue
      const [long, short] = [input(size), input(size / 4)]
      const precision = { floorMs: FLOOR_MS, grainMs: 0, runs: RUNS }
      if (
        !growsFaster(
          () => match(regex, long),
          () => match(regex, short),
          precision,
        )
      )
        continue
      return `${JSON.stringify(prefix)} + ${JSON.stringify(unit)} × ${Math.ceil(size / unit.length)} + ${JSON.stringify(end)}: ${ms.toFixed(1)} ms`
    }
  }
  return null
}

/** One more than asked for where the first was slow: it may have been the engine's compiling. */
function quickestMs(regex: RegExp, input: string, runs: number): number {
  const first = bestMs(() => match(regex, input), { floorMs: 0, runs })
  return runs === 1 && first > FLOOR_MS
    ? Math.min(
        first,
        bestMs(() => match(regex, input), { floorMs: 0, runs }),
      )
    : first
}

/** Every match, where the expression is global: as `test` and `exec` it does no more than this. */
function match(regex: RegExp, input: string): void {
  input.replace(regex, "")
}

interface Attack {
  readonly prefix: string
  /** Repeated until the input has its size. */
  readonly unit: string
  readonly end: string
}

/** Runs of single characters and of pairs, and matches of which a part is repeated; none ends as the expression wants. */
function attacksOn(regex: RegExp): Attack[] {
  const matches = matchesOf(regex)
  const words = regex.source.match(/[A-Za-z]{2,}/g) ?? []
  const characters = [...new Set([...ALWAYS, ...matches.join("").slice(0, 8), ...regex.source.replace(/\w/g, "")])]
  const pairs = characters.flatMap((one) => characters.map((other) => (one === other ? one : one + other)))
  const units = [...words, ...words.flatMap((word) => characters.map((each) => word + each)), ...pairs]
  return [
    ...units.flatMap((unit) => [
      { prefix: "", unit, end: "\u0000" },
      { prefix: "x", unit, end: "x" },
    ]),
    ...matches.flatMap(pumped),
  ]
}

function pumped(match: string): Attack[] {
  const attacks: Attack[] = [{ prefix: "", unit: match, end: "\u0000" }]
  for (let at = 0; at < match.length; at++)
    for (let length = 1; length <= MATCHES.pumped && at + length <= match.length; length++)
      attacks.push({ prefix: match.slice(0, at), unit: match.slice(at, at + length), end: "\u0000" })
  return attacks.filter(({ unit }) => unit !== "")
}

/** Some strings that match; none where fast-check does not know the syntax. */
function matchesOf(regex: RegExp): string[] {
  try {
    return fc.sample(fc.stringMatching(regex, { size: "xsmall" }), MATCHES).map((each) => each.slice(0, MATCHES.most))
  } catch {
    return []
  }
}
