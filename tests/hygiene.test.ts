/** What no file of the repository may hold: a path of somebody's machine, a package registry's host, a credential. */
import { describe, expect, it } from "vitest"
import { ROOT, read, trackedFiles } from "./boundaries/tracked-files.ts"

const FORBIDDEN = {
  "a path of one machine": /(?<![\w.~$})-])\/(?:work|root|tmp|Users|home)\/[\w.]/,
  "a package registry's host": /https?:\/\/[\w.-]*(?:registry|npmjs|yarnpkg)[\w.-]*\.[a-z]+/i,
  "an API token": /(?<![A-Za-z0-9])spt_(?!(.)\1+)[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/,
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
} as const

/** Attack corpora hold such paths on purpose; they are data, not ours. */
const DATA = /(^|\/)(corpora|vectors)\//

function findings(text: string): string[] {
  return Object.entries(FORBIDDEN).flatMap(([what, pattern]) => {
    const found = pattern.exec(text)
    return found === null ? [] : [`${what}: ${found[0]}`]
  })
}

describe("tracked files", () => {
  it("name no machine, no registry and no credential", () => {
    const bad = trackedFiles()
      .filter((file) => !DATA.test(file) && file !== "tests/hygiene.test.ts")
      .flatMap((file) => findings(read(file)).map((finding) => `${file} holds ${finding}`))
    expect(bad).toEqual([])
  })

  it("do not hold the path of this checkout", () => {
    const here = ROOT.replace(/\/$/, "")
    expect(trackedFiles().filter((file) => read(file).includes(`${here}/`))).toEqual([])
  })

  it("leave the origin of packages to npm's configuration", () => {
    const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, { resolved?: string }> }
    const resolved = Object.entries(lock.packages).filter(([, each]) => each.resolved !== undefined)
    expect(resolved).toEqual([])
    expect(read(".npmrc")).toContain("omit-lockfile-registry-resolved=true")
  })
})

/**
 * What a file of migrations may not hold: wrangler sends it to D1 as one text, and whoever cuts it there has taken quotes and semicolons of comments for the
 * code's, and a trigger's inner semicolon for its end unless it stands on one line between upper-case BEGIN and END (workers-sdk#3892, #4713).
 */
function misleading(sql: string): string[] {
  const comments = (sql.match(/'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\//g) ?? []).filter(
    (each) => !each.startsWith("'"),
  )
  const triggers = sql.split("\n").filter((line) => /^\s*CREATE\s+(TEMP\w*\s+)?TRIGGER\b/i.test(line))
  return [
    ...comments.filter((each) => /['"`;]/.test(each)),
    ...triggers.filter((line) => !/\bBEGIN\b.*;\s*END;/.test(line)),
  ]
}

describe("migrations", () => {
  const files = trackedFiles("*.sql")

  it("hold nothing in comments or triggers at which D1 could cut them apart", () => {
    expect(files.length).toBeGreaterThan(0)
    expect(files.flatMap((file) => misleading(read(file)).map((text) => `${file}: ${text}`))).toEqual([])
  })

  it.each([
    ["-- the audit's seq"],
    ["a TEXT, -- one; two"],
    ["-- `seq` of a row"],
    ['-- "seq" of a row'],
    ["/* one;\n two */"],
    ["a TEXT DEFAULT 'it''s', -- isn't"],
    ["CREATE TRIGGER t BEFORE UPDATE ON a BEGIN\n  SELECT 1;\nEND;"],
    ["CREATE TRIGGER t BEFORE UPDATE ON a begin SELECT 1; end;"],
  ])("are found misleading: %j", (sql) => {
    expect(misleading(sql)).toHaveLength(1)
  })

  it.each([
    ["-- JSON: string[] of origins"],
    ["a TEXT DEFAULT 'x; -- y', -- of a row"],
    ["CREATE TRIGGER t BEFORE UPDATE ON a BEGIN SELECT RAISE(ABORT, 'no; no'); END;"],
  ])("pass: %j", (sql) => {
    expect(misleading(sql)).toEqual([])
  })
})

describe("servers of loopback", () => {
  /** Two that are no HTTP server, and one in a process of its own whose callers end with it. */
  const OTHERS = ["emulator/ports.ts", "tests/security/canaries-tap.ts", "benchmarks/upload/origins-child.ts"]

  it("all listen through emulator/listen.ts, which keeps idle connections longer than callers do", () => {
    const listening = trackedFiles().filter((file) => /\.m?[tj]s$/.test(file) && /\.listen\(/.test(read(file)))
    expect(listening.filter((file) => file !== "tests/hygiene.test.ts").sort()).toEqual(
      [...OTHERS, "emulator/listen.ts"].sort(),
    )
  })
})

describe("the search", () => {
  it.each([
    ["cd /work/a"],
    [`"/root/.npmrc"`],
    ["file:///home/alice/x"],
    ["https://registry.example.org/zod"],
    ["https://npm-registry.example/zod"],
    [`spt_${"abcdefghij".repeat(4)}klm`],
    ["-----BEGIN EC PRIVATE KEY-----"],
  ])("finds %s", (text) => {
    expect(findings(text)).toHaveLength(1)
  })

  it.each([
    ["import x from './work/a.ts'"],
    ["/workers/scripts/x"],
    ["GET /homepage/x"],
    ["$" + "{base}/work/x"],
    ["https://api.procore.com/rest/v1.0/me"],
    [`spt_${"x".repeat(43)}`],
    ["-----BEGIN PUBLIC KEY-----"],
  ])("passes %s", (text) => {
    expect(findings(text)).toEqual([])
  })
})
