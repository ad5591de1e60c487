/**
 * Where browsers send what a Content-Security-Policy stopped (kit/csp.ts, `reportPath`). The endpoint is open to everybody, so a report is believed only as far as
 * its fields have the alphabet they must have, and what reaches the log names no person: no query, no sample of the page, no user agent.
 * @see https://www.w3.org/TR/CSP3/#reporting, https://www.w3.org/TR/reporting-1/
 */
import { isRecord } from "../contracts/is-record.ts"
import { refuse } from "./problem.ts"

/** What is kept of a violation. */
export interface CspReportRecord {
  readonly event: "csp-violation"
  readonly directive: string
  readonly disposition: "enforce" | "report" | "unknown"
  /** Origin, scheme or keyword of what was blocked. */
  readonly blocked: string
  /** Origin and path of the page; segments that look like ids are `:id`. Null when it was none. */
  readonly document: string | null
  /** The same of the script that did it; only its scheme when it was none of the web, such as a browser extension's. */
  readonly source: string | null
  readonly line: number | null
  readonly column: number | null
  /** Requests with reports that were not read since the last record, for there were too many. */
  readonly dropped: number
}

export interface CspReportsOptions {
  readonly log: (record: CspReportRecord) => void
  /** Requests per minute and isolate of which the reports are read; default 60. The others are answered the same. */
  readonly perMinute?: number
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
}

const MAX_REPORT_BYTES = 64 * 1024
/** Of one request; browsers send what gathered within a minute or so. */
const MAX_REPORTS = 20
/** A URL, as the standard parses it, may have a hostname of any length. */
const MAX_ADDRESS_CHARS = 300
const WINDOW_MS = 60_000

/**
 * The endpoint of `reportPath`: takes `application/reports+json` and `application/csp-report`, answers 204. Anybody can send anything here, so what it logs is
 * bounded in number, length and alphabet. Refuses `report.media-type`, `report.malformed`, `edge.body-too-large`.
 */
export function cspReports(options: CspReportsOptions): (c: { req: { raw: Request } }) => Promise<Response> {
  const { log, perMinute = 60, clock = Date } = options
  if (!Number.isInteger(perMinute) || perMinute < 1) throw new TypeError("perMinute must be a whole number from 1")
  let windowStart = Number.NEGATIVE_INFINITY
  let read = 0
  let dropped = 0
  return async function cspReports({ req }) {
    const now = clock.now()
    if (now - windowStart >= WINDOW_MS) {
      windowStart = now
      read = 0
    }
    if (read >= perMinute) {
      dropped += 1
      return new Response(null, { status: 204 })
    }
    read += 1
    for (const report of await readReports(req.raw)) {
      log({ event: "csp-violation", ...report, dropped })
      dropped = 0
    }
    return new Response(null, { status: 204 })
  }
}

type Report = Omit<CspReportRecord, "event" | "dropped">

/** The violations in a request, scrubbed; reports of other kinds are passed over. */
export async function readReports(request: Request): Promise<Report[]> {
  const type = request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase()
  if (type !== "application/reports+json" && type !== "application/csp-report") throw refuse("report.media-type")
  const content = parseJson(await readText(request))
  if (type === "application/csp-report") {
    if (!isRecord(content) || !isRecord(content["csp-report"])) throw refuse("report.malformed")
    return [fromLegacy(content["csp-report"])]
  }
  if (!Array.isArray(content)) throw refuse("report.malformed")
  return content
    .slice(0, MAX_REPORTS)
    .flatMap((each) =>
      isRecord(each) && each.type === "csp-violation" && isRecord(each.body) ? [fromBody(each.body)] : [],
    )
}

type Fields = Readonly<Record<string, unknown>>

function fromBody(body: Fields): Report {
  return {
    directive: keyword(body.effectiveDirective),
    disposition: dispositionOf(body.disposition),
    blocked: blockedOf(body.blockedURL),
    document: placeOf(body.documentURL),
    source: placeOf(body.sourceFile),
    line: position(body.lineNumber),
    column: position(body.columnNumber),
  }
}

/** Without `effective-directive` an old browser says `violated-directive`, with its sources behind. */
function fromLegacy(report: Fields): Report {
  const violated = report["effective-directive"] ?? report["violated-directive"]
  return {
    directive: keyword(typeof violated === "string" ? violated.split(" ", 1)[0] : violated),
    disposition: dispositionOf(report.disposition),
    blocked: blockedOf(report["blocked-uri"]),
    document: placeOf(report["document-uri"]),
    source: placeOf(report["source-file"]),
    line: position(report["line-number"]),
    column: position(report["column-number"]),
  }
}

function keyword(value: unknown): string {
  return typeof value === "string" && /^[a-z-]{1,40}$/.test(value) ? value : "unknown"
}

function dispositionOf(value: unknown): Report["disposition"] {
  return value === "enforce" || value === "report" ? value : "unknown"
}

function blockedOf(value: unknown): string {
  const url = typeof value === "string" ? URL.parse(value) : null
  if (url === null) return keyword(value)
  return isOfTheWeb(url) ? url.origin.slice(0, MAX_ADDRESS_CHARS) : url.protocol.slice(0, 40)
}

function placeOf(value: unknown): string | null {
  const url = typeof value === "string" ? URL.parse(value) : null
  if (url === null) return null
  if (!isOfTheWeb(url)) return url.protocol.slice(0, 40)
  return (url.origin + url.pathname.split("/").map(withoutId).join("/")).slice(0, MAX_ADDRESS_CHARS)
}

function isOfTheWeb({ protocol }: URL): boolean {
  return /^(https?|wss?):$/.test(protocol)
}

/** Numbers, UUIDs, addresses, encoded text and whatever is long may name somebody. A built file's name stays: `app-4F3K2QXA.js`. */
function withoutId(segment: string): string {
  return /^\d+$|^[0-9a-f-]{16,}$|[@%]|^.{65,}$/i.test(segment) ? ":id" : segment
}

function position(value: unknown): number | null {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 1e9 ? Number(value) : null
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse("report.malformed")
  }
}

/** Counted while it is read: a length is only what the sender says. */
async function readText(request: Request): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  let sizeBytes = 0
  for await (const chunk of request.body ?? []) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > MAX_REPORT_BYTES) throw refuse("edge.body-too-large")
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
