/**
 * The edge against cases that no one here wrote: path traversal payloads, the WHATWG URL test data and the protocol tests of the
 * OWASP Core Rule Set (paths, queries, lengths, methods). The files are found through SALLYPORT_CORPORA and never committed.
 * What a backend would make of a path is judged by a decoder of this file's own, which shares nothing with the edge's.
 */
import { describe, expect, it } from "vitest"
import { screen as screenSchema } from "../../contracts/dispatch-config.ts"
import { Brake } from "../../dispatcher/src/edge/brake.ts"
import { type Inbound, readInbound } from "../../dispatcher/src/edge/read-inbound.ts"
import { compileScreen, screen } from "../../dispatcher/src/edge/screen.ts"
import { asRefusal, Refusal } from "../../kit/problem.ts"
import { readCorpus } from "./corpora.ts"

/** Runs `body` over the text of a corpus; skipped, and said so, where it is absent. */
function describeCorpus(file: string, body: (text: string) => void): void {
  const text = readCorpus(file)
  describe.skipIf(text === null)(file, () => body(text ?? ""))
}

/** As the runtime hands a request over, or with a URL that no parser has touched. */
function requestOf(url: string, method = "GET", headers: Headers = new Headers()): Request {
  const hasBody = headers.has("transfer-encoding") || Number(headers.get("content-length") ?? 0) > 0
  return { url, method, headers, body: hasBody ? new ReadableStream() : null } as unknown as Request
}

/** What the edge reads, or null when it refuses; anything else it throws fails the test. */
function read(url: string): Inbound | null {
  try {
    return readInbound(requestOf(url), "id")
  } catch (thrown) {
    if (thrown instanceof Refusal) return null
    throw thrown
  }
}

/** One decoding as the most tolerant of backends does it: `%XX`, `%uXXXX`, what is malformed as it stands, overlong and broken UTF-8 by arithmetic. */
function decodeLeniently(text: string): string {
  const codes: number[] = []
  for (let at = 0; at < text.length; at++) {
    const wide = /^%u([0-9a-f]{4})/i.exec(text.slice(at, at + 6))
    const narrow = /^%([0-9a-f]{2})/i.exec(text.slice(at, at + 3))
    const hex = wide?.[1] ?? narrow?.[1]
    codes.push(hex === undefined ? text.charCodeAt(at) : Number.parseInt(hex, 16))
    if (hex !== undefined) at += hex.length + (wide === null ? 0 : 1)
  }
  let decoded = ""
  for (let at = 0; at < codes.length; at++) {
    const lead = codes[at] ?? 0
    const more = lead < 0xc0 || lead > 0xfd ? 0 : [0xe0, 0xf0, 0xf8, 0xfc, 0xfe].findIndex((bound) => lead < bound) + 1
    let value = more === 0 ? lead : lead & (0x3f >> more)
    for (let left = more; left > 0; left--) value = (value << 6) | ((codes[++at] ?? 0) & 0x3f)
    decoded += value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) ? "\ufffd" : String.fromCodePoint(value)
  }
  return decoded
}

/** The resource a backend would serve: cut at NUL, backslash as slash, `..;x` as `..`, empty and dot segments resolved. */
function resolveAsBackend(decoded: string): string {
  const resolved: string[] = []
  const [text = ""] = decoded.split("\0")
  for (const segment of text.replaceAll("\\", "/").split("/")) {
    const name = /^\.{0,2};/.test(segment) ? segment.slice(0, segment.indexOf(";")) : segment
    if (name === "..") resolved.pop()
    else if (name !== "" && name !== ".") resolved.push(name)
  }
  return `/${resolved.join("/")}`
}

/** Path of a URL that was never parsed. */
const pathOf = (url: string) => /^[a-z]+:\/\/[^/]*([^?#]*)/.exec(url)?.[1] ?? ""
const withoutLastSlash = (text: string) => (text.length > 1 && text.endsWith("/") ? text.slice(0, -1) : text)

it("judges with a decoder that does see through the tricks", () => {
  for (const trick of [
    "/a/..%2fadmin",
    "/a/..;/admin",
    "/a/%2e%2e%5cadmin",
    "/a/%c0%ae%c0%ae/admin",
    "/%61dmin",
    "/a/..%u2215../admin%00.png",
  ])
    expect(resolveAsBackend(decodeLeniently(trick).replaceAll("\u2215", "/"))).toBe("/admin")
  for (const trick of ["/a/%252e%252e/admin", "/a/..%252fadmin", "/%2561dmin"])
    expect(resolveAsBackend(decodeLeniently(decodeLeniently(trick)))).toBe("/admin")
  expect(resolveAsBackend(decodeLeniently("/caf%C3%A9/a;b/%F0%9F%98%80"))).toBe("/caf\u00e9/a;b/\u{1f600}")
})

describeCorpus("traversal.txt", (text) => {
  const payloads = text.split("\n").filter((line) => line !== "")
  const places = ["/", "/files/", "/files", "/public/x/"]

  it.each(places)("never decides on another path than a backend serves, with payloads after %s", (place) => {
    const misread: string[] = []
    let tried = 0
    let passed = 0
    for (const payload of payloads)
      for (const url of urlsWith(place + payload)) {
        tried++
        const inbound = read(url)
        if (inbound === null) continue
        passed++
        const decided = withoutLastSlash(decodeURIComponent(inbound.path))
        const once = decodeLeniently(pathOf(url))
        const served = [pathOf(url), once, decodeLeniently(once)].map(resolveAsBackend)
        // A backend that does not decode sees the same segments, spelled as they came.
        served[0] = resolveAsBackend(decodeURIComponent(pathOf(url)))
        const isCutAlike = pathOf(url).split("/").length === inbound.path.split("/").length
        if (!isCutAlike || served.some((each) => each !== decided)) misread.push(url)
      }
    process.stderr.write(
      `Traversal after ${place}: ${payloads.length} payloads, ${tried} paths, ${passed} with one reading passed, ${misread.length} misread\n`,
    )
    expect(misread).toEqual([])
    expect(passed).toBeGreaterThan(0)
    expect(tried - passed).toBeGreaterThan(payloads.length)
  })

  /** As a URL parser leaves it, which is what the runtime hands over, and as it is. */
  function urlsWith(target: string): string[] {
    const raw = `https://api.procore.com${target}`
    return URL.canParse(raw) ? [new URL(raw).href, raw] : [raw]
  }
})

interface UrlCase {
  readonly input: string
  readonly href?: string
  readonly hostname?: string
  readonly protocol?: string
  readonly pathname?: string
}

describeCorpus("urltestdata.json", (text) => {
  const cases = (text === "" ? [] : JSON.parse(text)).filter((each: unknown) => typeof each === "object") as UrlCase[]
  const web = cases.filter(({ href, protocol }) => href !== undefined && /^https?:$/.test(protocol ?? ""))

  it("takes the hostname and the path that the URL standard takes, or refuses", () => {
    const misread = web.filter(({ href = "", hostname = "", pathname = "" }) => {
      const inbound = read(href)
      if (inbound === null) return false
      return inbound.hostname !== hostname || decodeURIComponent(inbound.path) !== decodeURIComponent(pathname)
    })
    expect(misread).toEqual([])
    expect(web.filter(({ href = "" }) => read(href) !== null).length).toBeGreaterThan(web.length / 4)
  })

  it("refuses every address, every empty label and every trailing dot", () => {
    const suspicious = web.filter(({ hostname = "" }) => /^\[|(^|\.)\d+$|\.\.|^\.|\.$/.test(hostname))
    expect(suspicious.length).toBeGreaterThan(10)
    expect(suspicious.filter(({ href = "" }) => read(href) !== null)).toEqual([])
  })

  it("never takes another host from an unparsed URL than a parser does", () => {
    const misread = cases.filter(({ input }) => {
      const inbound = read(input)
      return inbound !== null && URL.canParse(input) && new URL(input).hostname !== inbound.hostname
    })
    expect(misread).toEqual([])
  })
})

interface RuleTest {
  readonly id: string
  readonly stages: readonly {
    readonly input: {
      readonly method?: string
      readonly uri?: string
      readonly version?: string
      readonly headers?: Record<string, unknown>
      readonly data?: string
      readonly encoded_request?: string
    }
    readonly output: {
      readonly status?: number
      readonly expect_error?: boolean
      readonly log?: { readonly expect_ids?: unknown }
    }
  }[]
}
type Stage = RuleTest["stages"][number]

/**
 * Families 911 (methods), 920 (protocol) and 921 (smuggling). Most of what 920 and 921 refuse is content: query arguments, bodies, file names, user agents,
 * ranges, charsets. The edge does not judge content; rules and Workers do. What it does judge are these.
 */
const OURS: Readonly<Record<string, string>> = {
  "911100": "method",
  "920100": "request line",
  "920160": "Content-Length is a number",
  "920170": "GET and HEAD carry no body",
  "920171": "GET and HEAD carry no body",
  "920181": "Content-Length with Transfer-Encoding",
  "920350": "Host is an address",
  "920610": "fragment in the request target",
  "921190": "line end in the path",
}
/** Escapes that are no text, or no UTF-8, are ours in the path and not in the query. */
const ESCAPES = /^920(220|221|230|240|250|260|270|271|272)$/
const pathHasEscape = ({ input }: Stage) => /%(?![2-7][0-9a-f])/i.test((input.uri ?? "").split("?")[0] ?? "")

/** What the runtime answers before a Worker is asked: these cannot be tried here, and are not counted as passed. */
function whyNotTried({ input }: Stage): string | null {
  if (input.encoded_request !== undefined || /\s/.test(`${input.method}${input.uri}`)) return "raw bytes on the wire"
  if (input.version !== undefined && input.version !== "HTTP/1.1") return "another HTTP version"
  if (/^https?:/.test(input.uri ?? "")) return "a target in absolute form"
  if (input.method === "CONNECT" || input.uri === "*") return "CONNECT and `OPTIONS *`"
  if (urlOf(input) === null) return "a Host that is none"
  return headersOf(input) === null ? "a header value that is none" : null
}

function urlOf({ headers = {}, uri = "/" }: Stage["input"]): string | null {
  const host = Object.entries(headers).find(([name]) => name.toLowerCase() === "host")?.[1]
  const url = `https://${host === "localhost" ? "api.procore.com" : String(host ?? "")}${uri}`
  return host === undefined || !URL.canParse(url) ? null : new URL(url).href
}

/** With the length of the data where a test does not state it, as any client would send it. */
function headersOf({ headers = {}, data }: Stage["input"]): Headers | null {
  try {
    const sent = new Headers(Object.entries(headers).map(([name, value]) => [name, String(value)]))
    if (data && !sent.has("content-length") && !sent.has("transfer-encoding"))
      sent.set("content-length", String(data.length))
    return sent
  } catch {
    return null
  }
}

/** The rule set's own default methods; all else as a config would have it. */
const rules = compileScreen(
  screenSchema.parse({
    tls: { mode: "enforce", whenUnknown: "allow" },
    methods: { mode: "enforce", allow: ["GET", "HEAD", "POST", "OPTIONS"] },
    size: { mode: "enforce" },
    addresses: { mode: "enforce" },
    countries: { mode: "enforce" },
    asns: { mode: "enforce" },
    brake: { mode: "off" },
  }),
)

/** The code of the edge's refusal, or null when the request passes. */
function refusalOf({ input }: Stage): string | null {
  try {
    const inbound = readInbound(
      requestOf(urlOf(input) ?? "", input.method ?? "GET", headersOf(input) ?? new Headers()),
      "id",
    )
    const ignore = () => undefined
    screen(inbound, rules, new Brake(undefined, { now: () => 0 }), ignore, ignore)
    return null
  } catch (thrown) {
    return asRefusal(thrown).code
  }
}

describeCorpus("crs-protocol.json", (text) => {
  const tests = (text === "" ? [] : JSON.parse(text)) as RuleTest[]
  const stages = tests
    .filter(({ id }) => /^(911|920|921)/.test(id))
    .flatMap(({ id, stages: all }) => all.map((stage) => ({ id, rule: id.slice(0, 6), stage })))
  const mustRefuse = stages.filter(
    ({ stage: { output } }) => output.log?.expect_ids !== undefined || output.status === 400 || output.expect_error,
  )
  const tried = stages.filter(({ stage }) => whyNotTried(stage) === null)
  const isOurs = ({ rule, stage }: (typeof stages)[number]) =>
    rule in OURS || (ESCAPES.test(rule) && pathHasEscape(stage))

  it("refuses whatever the rule set refuses for a reason that is the edge's business", () => {
    const ours = tried.filter((each) => mustRefuse.includes(each) && isOurs(each))
    const missed = ours.filter(({ stage }) => refusalOf(stage) === null)
    expect(missed.map(({ id }) => id)).toEqual([])
    expect(ours.length).toBeGreaterThanOrEqual(FLOOR.oursRefused)
  })

  it("passes whatever the rule set passes, but for what two readers would read differently", () => {
    const passing = tried.filter((each) => !mustRefuse.includes(each))
    const refused = passing.filter(({ stage }) => refusalOf(stage) !== null)
    // The edge is stricter than the rule set's defaults: both lengths at once; bytes in the path that are no UTF-8.
    const unexplained = refused.filter(
      ({ stage }) => !hasTwoLengths(stage) && !/%(?:c[01]|f[5-9a-f])/i.test(stage.input.uri ?? ""),
    )
    expect(unexplained.map(({ id }) => id)).toEqual([])
    process.stderr.write(
      `Core Rule Set: ${passing.length - refused.length} of ${passing.length} that must pass do; refused on purpose: ${refused.map(({ id }) => id).join(", ")}\n`,
    )
    expect(passing.length - refused.length).toBeGreaterThanOrEqual(FLOOR.passed)
  })

  it("says what it leaves to others, and what could not be tried", () => {
    const refused = tried.filter((each) => mustRefuse.includes(each) && refusalOf(each.stage) !== null)
    const left = tried.filter((each) => mustRefuse.includes(each) && refusalOf(each.stage) === null)
    const notTried = stages.filter(({ stage }) => whyNotTried(stage) !== null)
    process.stderr.write(
      [
        `Core Rule Set, families 911, 920, 921: ${stages.length} requests, ${tried.length} tried.`,
        `  refused as they must be: ${refused.length} (${tally(refused.map(({ rule }) => rule))})`,
        `  left to rules and Workers: ${left.length} (${tally(left.map(({ rule }) => rule))})`,
        `  not tried: ${notTried.length} (${tally(notTried.map(({ stage }) => whyNotTried(stage) ?? ""))})\n`,
      ].join("\n"),
    )
    expect(refused.length).toBeGreaterThanOrEqual(FLOOR.refused)
    expect(left.filter((each) => isOurs(each))).toEqual([])
  })

  function hasTwoLengths({ input }: Stage): boolean {
    const names = Object.keys(input.headers ?? {}).map((name) => name.toLowerCase())
    return names.includes("content-length") && names.includes("transfer-encoding")
  }
})

/** Counts reached when this was written; the corpora may grow. */
const FLOOR = { oursRefused: 12, refused: 13, passed: 118 }

function tally(words: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].map(([word, count]) => `${word} ×${count}`).join(", ")
}
