import { ROOT_CONTEXT, trace } from "@opentelemetry/api"
import { W3CTraceContextPropagator } from "@opentelemetry/core"
import { describe, it } from "vitest"
import { formatTraceparent, parseTraceparent, scrubPath, withoutTokens } from "./trace-context.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"
const TOKEN = `eyJ${"a".repeat(20)}.${"b".repeat(30)}.${"c".repeat(40)}`

/** Values and whether they are a context: the examples and the MUSTs of W3C Trace Context §3.2.2 and §4.3. */
const VALUES: readonly (readonly [string, string, boolean])[] = [
  ["sampled", `00-${TRACE}-${SPAN}-01`, true],
  ["not sampled", `00-${TRACE}-${SPAN}-00`, true],
  ["flags of a later level", `00-${TRACE}-${SPAN}-03`, true],
  ["a later version", `01-${TRACE}-${SPAN}-01`, true],
  ["a later version with more fields", `cc-${TRACE}-${SPAN}-01-what-the-future-will-be`, true],
  ["a later version with something glued on", `cc-${TRACE}-${SPAN}-01.more`, false],
  ["version 00 with more fields", `00-${TRACE}-${SPAN}-01-more`, false],
  ["version ff", `ff-${TRACE}-${SPAN}-01`, false],
  ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
  ["a trace id of zeros", `00-${"0".repeat(32)}-${SPAN}-01`, false],
  ["a span id of zeros", `00-${TRACE}-${"0".repeat(16)}-01`, false],
  ["a short trace id", `00-${TRACE.slice(1)}-${SPAN}-01`, false],
  ["one flag digit", `00-${TRACE}-${SPAN}-1`, false],
  ["two of them, joined", `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`, false],
  ["nothing", "", false],
]

describe("traceparent", () => {
  it.for(VALUES)("is a context or none, as OpenTelemetry reads it: %s", ([, value, isContext], { expect }) => {
    const parsed = parseTraceparent(value)
    const getter = { get: () => value, keys: () => ["traceparent"] }
    const theirs = trace.getSpanContext(new W3CTraceContextPropagator().extract(ROOT_CONTEXT, {}, getter))
    expect(parsed !== null).toBe(isContext)
    expect(theirs !== undefined).toBe(isContext)
    if (parsed === null || theirs === undefined) return
    expect([parsed.traceId, parsed.spanId]).toEqual([theirs.traceId, theirs.spanId])
    expect(parsed.isSampled).toBe((theirs.traceFlags & 1) === 1)
  })

  it("is absent where there is no header, and none when it is longer than any", ({ expect }) => {
    expect(parseTraceparent(null)).toBeNull()
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`)).toBeNull()
  })

  it("is read as it was written", ({ expect }) => {
    for (const isSampled of [true, false]) {
      const made = { traceId: TRACE, spanId: SPAN, isSampled }
      expect(parseTraceparent(formatTraceparent(made))).toEqual(made)
    }
  })
})

describe("what may stand in a span", () => {
  it("is a path without query and fragment", ({ expect }) => {
    expect(scrubPath("/a/b?sig=secret#x")).toBe("/a/b")
    expect(scrubPath("/a/b#x?y")).toBe("/a/b")
    expect(scrubPath(`/${"a".repeat(3000)}`)).toHaveLength(1024)
  })

  it("is never a token", ({ expect }) => {
    expect(scrubPath(`/download/${TOKEN}/x`)).toBe("/download/[token]/x")
    expect(withoutTokens(`a ${TOKEN} b ${TOKEN}`)).toBe("a [token] b [token]")
  })

  it.for([
    ["a word that goes on into one", `/id-${TOKEN}/x`, "/[token]/x"],
    ["one that begins with what begins one", `/eyJ${TOKEN}/x`, "/[token]/x"],
    ["what begins one alone", "/eyJeyJeyJeyJ/x", "/eyJeyJeyJeyJ/x"],
  ] as const)("is never a token: %s", ([, path, scrubbed], { expect }) => {
    expect(scrubPath(path)).toBe(scrubbed)
  })

  it("is a hostname of three long labels, which only looks like one", ({ expect }) => {
    expect(withoutTokens("application-one.integration.procore-example")).toBe(
      "application-one.integration.procore-example",
    )
  })
})
