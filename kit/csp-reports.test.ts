import { describe, it } from "vitest"
import { type CspReportRecord, cspReports, readReports } from "./csp-reports.ts"

const NEW = "application/reports+json"
const OLD = "application/csp-report"
const VIOLATION = {
  type: "csp-violation",
  age: 10,
  url: "https://app.example.com/x",
  user_agent: "secret-agent",
  body: {
    documentURL: "https://app.example.com/webclients/projects/1234?token=secret#secret",
    blockedURL: "https://evil.example/collect?secret",
    effectiveDirective: "connect-src",
    disposition: "enforce",
    sourceFile: "https://app.example.com/webclients/projects/assets/app-4F3K2QXA.js?secret",
    lineNumber: 3,
    columnNumber: 14,
    sample: "secret",
    originalPolicy: "secret",
  },
}

function sent(body: string, type = NEW): Request {
  return new Request("https://app.example.com/csp", { method: "POST", body, headers: { "content-type": type } })
}

const reportOf = (body: object) =>
  readReports(sent(JSON.stringify([{ type: "csp-violation", body }]))).then(([first]) => first)

describe("readReports", () => {
  it("keeps what was violated and where, and nothing that names a person", async ({ expect }) => {
    const reports = await readReports(sent(JSON.stringify([VIOLATION])))
    expect(reports).toEqual([
      {
        directive: "connect-src",
        disposition: "enforce",
        blocked: "https://evil.example",
        document: "https://app.example.com/webclients/projects/:id",
        source: "https://app.example.com/webclients/projects/assets/app-4F3K2QXA.js",
        line: 3,
        column: 14,
      },
    ])
    expect(JSON.stringify(reports)).not.toContain("secret")
  })

  it("reads the form of browsers without the Reporting API", async ({ expect }) => {
    const report = {
      "document-uri": "https://app.example.com/a?secret",
      "violated-directive": "script-src-elem https://app.example.com",
      "blocked-uri": "inline",
      "line-number": 7,
      "script-sample": "secret",
    }
    expect(await readReports(sent(JSON.stringify({ "csp-report": report }), `${OLD}; charset=utf-8`))).toEqual([
      {
        directive: "script-src-elem",
        disposition: "unknown",
        blocked: "inline",
        document: "https://app.example.com/a",
        source: null,
        line: 7,
        column: null,
      },
    ])
  })

  it("passes over reports of other kinds and takes at most twenty", async ({ expect }) => {
    expect(await readReports(sent(JSON.stringify([{ type: "deprecation", body: {} }, null, 1])))).toEqual([])
    expect(await readReports(sent(JSON.stringify(Array(30).fill(VIOLATION))))).toHaveLength(20)
  })

  it.for([
    ["a number", "/a/123/b", "/a/:id/b"],
    ["a UUID", "/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/a/:id"],
    ["an address", "/a/b@example.com", "/a/:id"],
    ["encoded text", "/a/b%20c", "/a/:id"],
    ["a long text", `/a/${"b".repeat(65)}`, "/a/:id"],
    ["a word", "/a/projects", "/a/projects"],
    ["a word with a number", "/a/v2", "/a/v2"],
  ] as const)("writes %s in a path as it may be kept", async ([, path, kept], { expect }) => {
    const report = await reportOf({ documentURL: `https://app.example.com${path}` })
    expect(report?.document).toBe(`https://app.example.com${kept}`)
  })

  it.for([
    ["a browser's extension", "chrome-extension://abcdefgh/x.js", "chrome-extension:"],
    ["data", "data:text/html,secret", "data:"],
    ["a keyword", "trusted-types-sink", "trusted-types-sink"],
    ["no address", "<secret>", "unknown"],
    ["nothing", undefined, "unknown"],
  ] as const)("names %s without its content", async ([, blockedURL, kept], { expect }) => {
    expect((await reportOf({ blockedURL }))?.blocked).toBe(kept)
  })

  it("keeps no more of an address than a hostname can have", async ({ expect }) => {
    const long = `https://${"a.".repeat(5_000)}example`
    const report = await reportOf({ blockedURL: long, documentURL: long, sourceFile: long })
    expect(Math.max(...[report?.blocked, report?.document, report?.source].map((kept) => kept?.length ?? 0))).toBe(300)
  })

  it("believes no field of another type or alphabet", async ({ expect }) => {
    const odd = {
      documentURL: 5,
      effectiveDirective: "script-src\n{}",
      disposition: "x",
      sourceFile: {},
      lineNumber: "1",
      columnNumber: -1,
    }
    expect(await reportOf(odd)).toEqual({
      directive: "unknown",
      disposition: "unknown",
      blocked: "unknown",
      document: null,
      source: null,
      line: null,
      column: null,
    })
  })

  it.for([
    ["plain JSON", "application/json", "[]", "report.media-type"],
    ["a type that only begins so", `${NEW}x`, "[]", "report.media-type"],
    ["no JSON", NEW, "{", "report.malformed"],
    ["an object where a list must be", NEW, "{}", "report.malformed"],
    ["a list where an object must be", OLD, "[]", "report.malformed"],
    ["an object without a report", OLD, "{}", "report.malformed"],
    ["null", OLD, "null", "report.malformed"],
    ["too much", NEW, `[${" ".repeat(65_536)}]`, "edge.body-too-large"],
  ] as const)("refuses %s", async ([, type, body, code], { expect }) => {
    await expect(readReports(sent(body, type))).rejects.toMatchObject({ code })
  })

  it("refuses a request without a type", async ({ expect }) => {
    const request = new Request("https://app.example.com/csp", { method: "POST", body: new Uint8Array(2) })
    await expect(readReports(request)).rejects.toMatchObject({ code: "report.media-type" })
  })

  it("takes a body just below the limit", async ({ expect }) => {
    expect(await readReports(sent(`[${" ".repeat(65_534)}]`))).toEqual([])
  })
})

describe("cspReports", () => {
  it("answers 204 and logs each violation", async ({ expect }) => {
    const { answer, logged } = endpoint()
    expect((await answer()).status).toBe(204)
    expect(logged).toMatchObject([{ event: "csp-violation", directive: "connect-src", dropped: 0 }])
  })

  it("reads so many a minute, answers the others the same, and says how many they were", async ({ expect }) => {
    const { answer, logged, pass } = endpoint(2)
    for (let i = 0; i < 5; i++) expect((await answer()).status).toBe(204)
    expect(logged).toHaveLength(2)
    pass(59_999)
    await answer()
    expect(logged).toHaveLength(2)
    pass(1)
    await answer()
    await answer()
    expect(logged.map((each) => each.dropped)).toEqual([0, 0, 4, 0])
  })

  for (const perMinute of [0, -1, 1.5, Number.NaN])
    it(`refuses ${perMinute} reports a minute when it is made`, ({ expect }) => {
      expect(() => cspReports({ log: () => {}, perMinute })).toThrow(TypeError)
    })

  function endpoint(perMinute = 60) {
    let now = 1_000_000
    const logged: CspReportRecord[] = []
    const handle = cspReports({ log: (record) => logged.push(record), perMinute, clock: { now: () => now } })
    const answer = () => handle({ req: { raw: sent(JSON.stringify([VIOLATION])) } })
    return { answer, logged, pass: (ms: number) => (now += ms) }
  }
})
