/**
 * The collector's spans for people: the newest traces, and one trace as a waterfall. Plain HTML without a script, so that it works wherever a browser does.
 * Nothing here judges whether a trace is whole; a span whose parent never came stands at the top level and says so.
 */
import { escapeHtml } from "./escape-html.ts"
import type { ReceivedSpan } from "./otlp-receiver.ts"

const NEWEST = 50
/** Levels that the indentation shows. */
const DEEPEST = 20

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
  body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
  h1 { font-size: 1.5rem; overflow-wrap: anywhere }
  table { border-collapse: collapse; width: 100% }
  th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); vertical-align: top }
  .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
  .lane { position: relative; min-width: 4rem; width: 24vw; max-width: 22rem; height: 1rem; margin-top: .25rem }
  .bar { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; background: #3b6fb6 }
  .bar.error { background: #b3423a }
  .quiet { opacity: .7; font-size: .85em; overflow-wrap: anywhere }
`

/** All kept spans, newest trace first. */
export function traceListPage(spans: readonly ReceivedSpan[]): string {
  const traces = new Map<string, ReceivedSpan[]>()
  for (const span of spans) {
    const known = traces.get(span.traceId)
    if (known === undefined) traces.set(span.traceId, [span])
    else known.push(span)
  }
  const rows = [...traces]
    .map(([traceId, members]) => ({ traceId, members, first: rootOf(members) }))
    .sort((a, b) => (BigInt(a.first.startNs) < BigInt(b.first.startNs) ? 1 : -1))
    .slice(0, NEWEST)
    .map(({ traceId, members, first }) => {
      const failed = members.some(({ status }) => status === "error") ? "error" : ""
      const at = new Date(Number(BigInt(first.startNs) / 1_000_000n)).toISOString().slice(11, 23)
      return `<tr><td>${at}</td><td><a href="/traces/${traceId}">${escapeHtml(first.service)} ${escapeHtml(first.name)}</a>
        <div class="quiet">${escapeHtml(textOf(first.attributes["url.path"] ?? ""))}</div></td>
        <td class="number">${members.length}</td><td class="number">${durationMs(first).toFixed(1)}</td><td>${failed}</td></tr>`
    })
  const empty = "<p>None yet. Send a request through the edge, and load this page again.</p>"
  const head =
    '<tr><th>UTC</th><th>first span</th><th class="number">spans</th><th class="number">ms</th><th></th></tr>'
  return page("Traces", rows.length === 0 ? empty : `<table>${head}${rows.join("")}</table>`)
}

/** The spans of one trace; null when there are none. */
export function tracePage(spans: readonly ReceivedSpan[]): string | null {
  if (spans.length === 0) return null
  const begin = Number(BigInt(earliest(spans).startNs) / 1000n)
  const end = spans.reduce((latest, { endNs }) => Math.max(latest, Number(BigInt(endNs) / 1000n)), begin)
  const widthUs = Math.max(1, end - begin)
  const rows = inOrder(spans).map(({ span, level, isOrphan }) => {
    const left = ((Number(BigInt(span.startNs) / 1000n) - begin) * 100) / widthUs
    const width = (durationMs(span) * 100_000) / widthUs
    const facts = Object.entries(span.attributes).map(([name, value]) => `${name}=${textOf(value)}`)
    return `<tr><td style="padding-left:${0.6 + Math.min(level, DEEPEST) * 1.2}rem">${escapeHtml(span.service)} <b>${escapeHtml(span.name)}</b>
      <span class="quiet">${span.kind}${isOrphan ? ", its parent did not arrive" : ""}</span>
      <div class="quiet">${escapeHtml(facts.join("  "))}</div></td>
      <td><div class="lane"><div class="bar ${span.status}" style="left:${left.toFixed(2)}%;width:${width.toFixed(2)}%"></div></div></td>
      <td class="number">${durationMs(span).toFixed(1)} ms</td></tr>`
  })
  const traceId = spans[0]?.traceId ?? ""
  return page(`Trace ${traceId}`, `<p><a href="/">all traces</a></p><table>${rows.join("")}</table>`)
}

interface Placed {
  readonly span: ReceivedSpan
  readonly level: number
  readonly isOrphan: boolean
}

/** Parents before their children, siblings by time. One that was delivered twice counts once. */
function inOrder(spans: readonly ReceivedSpan[]): Placed[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const children = Map.groupBy(byId.values(), ({ parentSpanId }) =>
    parentSpanId !== null && byId.has(parentSpanId) ? parentSpanId : "",
  )
  const placed: Placed[] = []
  // Not by calling itself: whoever sends spans says how deep they go.
  const waiting: Placed[] = []
  const wait = (parent: string, level: number) => {
    const lastFirst = (children.get(parent) ?? []).toSorted((a, b) => (BigInt(a.startNs) < BigInt(b.startNs) ? 1 : -1))
    waiting.push(...lastFirst.map((span) => ({ span, level, isOrphan: level === 0 && span.parentSpanId !== null })))
  }
  wait("", 0)
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    placed.push(next)
    wait(next.span.spanId, next.level + 1)
  }
  return placed
}

/** Clocks of a process tick in milliseconds: of two that begin together, the one that nobody called. */
function rootOf(spans: readonly ReceivedSpan[]): ReceivedSpan {
  return spans.find(({ parentSpanId }) => parentSpanId === null) ?? earliest(spans)
}

function earliest(spans: readonly ReceivedSpan[]): ReceivedSpan {
  const [first, ...rest] = spans
  if (first === undefined) throw new RangeError("no spans")
  return rest.reduce((known, span) => (BigInt(span.startNs) < BigInt(known.startNs) ? span : known), first)
}

/** JSON for lists and objects: an object's own `toString` may be anything. */
function textOf(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value)
}

function durationMs({ startNs, endNs }: ReceivedSpan): number {
  return Number(BigInt(endNs) - BigInt(startNs)) / 1e6
}

function page(title: string, content: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style><h1>${escapeHtml(title)}</h1>${content}</html>\n`
}
