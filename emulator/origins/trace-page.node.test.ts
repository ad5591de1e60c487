import { describe, expect, it } from "vitest"
import type { ReceivedSpan } from "./otlp-receiver.ts"
import { traceListPage, tracePage } from "./trace-page.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"

function span(changes: Partial<ReceivedSpan> = {}): ReceivedSpan {
  return {
    traceId: TRACE,
    spanId: "00f067aa0ba902b7",
    parentSpanId: null,
    name: "GET",
    kind: "server",
    service: "dispatcher",
    attributes: {},
    startNs: "1800000000000000000",
    endNs: "1800000000010000000",
    status: "unset",
    links: [],
    events: [],
    ...changes,
  }
}
const child = span({
  spanId: "b7ad6b7169203331",
  parentSpanId: "00f067aa0ba902b7",
  service: "router",
  endNs: "1800000000005000000",
})

describe("the list of traces", () => {
  it("names a trace by the span that nobody called, also when a child begins in the same instant", () => {
    const page = traceListPage([child, span()])
    expect(page).toContain(`<a href="/traces/${TRACE}">dispatcher GET</a>`)
    expect(page).toMatch(/>2<\/td><td class="number">10\.0</)
  })

  it("shows the newest first, and at most fifty", () => {
    const many = Array.from({ length: 60 }, (_, index) =>
      span({
        traceId: String(index).padStart(32, "a"),
        startNs: `18000000000${String(index).padStart(8, "0")}`,
        service: `s${index}`,
      }),
    )
    const named = [...traceListPage(many).matchAll(/>(s\d+) GET</g)].map(([, service]) => service)
    expect(named).toHaveLength(50)
    expect(named.slice(0, 2)).toEqual(["s59", "s58"])
  })
})

describe("the page of a trace", () => {
  it("stands each span below its caller, with a bar as long as it took", () => {
    const page = tracePage([child, span()]) ?? ""
    expect(page.indexOf("dispatcher")).toBeLessThan(page.indexOf("router"))
    expect(page).toContain("left:0.00%;width:50.00%")
  })

  it("says of a span whose parent is missing that it is", () => {
    expect(tracePage([child])).toContain("its parent did not arrive")
    expect(tracePage([child, span()])).not.toContain("its parent did not arrive")
  })

  it("is none for a trace without spans", () => {
    expect(tracePage([])).toBeNull()
  })

  it("shows nothing that a Worker could write as markup", () => {
    const attributes = { "url.path": `"><script>alert(1)</script>` }
    const hostile = span({ name: "<img src=x>", service: "<b>", attributes })
    for (const page of [tracePage([hostile]), traceListPage([hostile])])
      expect(page).not.toMatch(/<script|<img|<b><|"><s/)
  })
})
