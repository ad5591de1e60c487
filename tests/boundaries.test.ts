/** The import rules of docs/architecture.md, held over every TypeScript file; and proof that each rule can fail. */
import { describe, expect, it } from "vitest"
import { graphOf, type ImportGraph } from "./boundaries/imports-of.ts"
import { cyclesOf, violationsOf } from "./boundaries/rules.ts"
import { read, trackedFiles } from "./boundaries/tracked-files.ts"

const graph = graphOf(new Map(trackedFiles("*.ts").map((file) => [file, read(file)])))

describe("this repository", () => {
  it("holds the table of who may import whom", () => {
    expect(violationsOf(graph)).toEqual([])
  })

  it("has no circle of run-time imports", () => {
    expect(cyclesOf(graph)).toEqual([])
  })

  it("builds problem responses in one place", () => {
    // openapi.ts only tells readers of the API about them.
    const files = filesThatSay("application/problem+json").filter((file) => !file.endsWith("/api/openapi.ts"))
    expect(files).toEqual(["kit/problem.ts"])
  })

  it("is not judged empty", () => {
    expect(graph.size).toBeGreaterThan(20)
    expect(graph.get("kit/problem.ts")?.map((each) => each.target)).toEqual(["contracts/problem-codes.ts"])
  })
})

/** Files whose code, comments left out, contains a quoted `text`. */
function filesThatSay(text: string): string[] {
  const quoted = new RegExp(`["'\`][^"'\`\\n]*${text.replaceAll("+", "\\+")}`)
  return trackedFiles("*.ts").filter(
    // The example cells stand for other companies' code: they know nothing of the kit.
    (file) =>
      !/\.test\.ts$|^(tests|benchmarks|scripts|emulator\/cells)\//.test(file) &&
      quoted.test(withoutComments(read(file))),
  )
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "")
}

/** A tree of one importer and empty files for all it names. */
function tree(file: string, source: string, ...others: string[]): ImportGraph {
  return graphOf(new Map([[file, source], ...others.map((other) => [other, ""] as const)]))
}

describe("the rules", () => {
  const refused: [why: string, file: string, source: string, target?: string][] = [
    ["contracts import kit", "contracts/a.ts", `import "../kit/problem.ts"`, "kit/problem.ts"],
    ["contracts use a package with I/O", "contracts/a.ts", `import { Hono } from "hono"`],
    ["product imports the emulator", "dispatcher/src/x.ts", `import "../../emulator/a.ts"`, "emulator/a.ts"],
    ["product imports tests", "outbound/src/x.ts", `import type { A } from "../../tests/a.ts"`, "tests/a.ts"],
    [
      "product imports what is kept for its tests",
      "control-plane/src/a.ts",
      `import "../test/harness.ts"`,
      "control-plane/test/harness.ts",
    ],
    ["the emulator imports benchmarks", "emulator/a.ts", `import "../benchmarks/a.ts"`, "benchmarks/a.ts"],
    [
      "one Worker imports another",
      "dispatcher/src/x.ts",
      `import "../../outbound/src/egress.ts"`,
      "outbound/src/egress.ts",
    ],
    ["the CLI imports the kit", "cli/a.ts", `import { refuse } from "../kit/problem.ts"`, "kit/problem.ts"],
    [
      "the emulator imports a stage",
      "emulator/a.ts",
      `import "../dispatcher/src/edge/screen.ts"`,
      "dispatcher/src/edge/screen.ts",
    ],
    [
      "the emulator imports the control plane",
      "emulator/a.ts",
      `import "../control-plane/src/env.ts"`,
      "control-plane/src/env.ts",
    ],
    ["a stage imports another", "dispatcher/src/edge/a.ts", `import "../route/b.ts"`, "dispatcher/src/route/b.ts"],
    [
      "a stage imports env.ts for a type",
      "dispatcher/src/edge/a.ts",
      `import type { Env } from "../env.ts"`,
      "dispatcher/src/env.ts",
    ],
    [
      "a stage imports the line",
      "dispatcher/src/edge/a.ts",
      `export { handle } from "../handle.ts"`,
      "dispatcher/src/handle.ts",
    ],
    ["the store imports a door", "control-plane/src/store/a.ts", `import "../api/b.ts"`, "control-plane/src/api/b.ts"],
    [
      "one door imports the other",
      "control-plane/src/api/a.ts",
      `import "../cloudflare-api/b.ts"`,
      "control-plane/src/cloudflare-api/b.ts",
    ],
    [
      "a door goes round the line to Cloudflare",
      "control-plane/src/api/a.ts",
      `import "../script-host/b.ts"`,
      "control-plane/src/script-host/b.ts",
    ],
    [
      "the script host imports the deployment line",
      "control-plane/src/script-host/a.ts",
      `import "../deployment.ts"`,
      "control-plane/src/deployment.ts",
    ],
    ["a kit file imports a sibling", "kit/cors.ts", `import { flags } from "./flags.ts"`, "kit/flags.ts"],
    [
      "a user Worker imports another",
      "user-workers/pages/index.ts",
      `import "../router/zone.ts"`,
      "user-workers/router/zone.ts",
    ],
    ["the SDK is used by the command line", "cli/a.ts", `import Cloudflare from "cloudflare"`],
    ["the SDK is used outside script-host", "control-plane/src/deployment.ts", `import Cloudflare from "cloudflare"`],
    ["the SDK is imported when needed", "control-plane/src/deployment.ts", `await import("cloudflare")`],
    ["a Worker imports a development package", "dispatcher/src/x.ts", `import { Miniflare } from "miniflare"`],
    ["a file that is not there", "cli/a.ts", `import "./missing.ts"`],
  ]
  it.each(refused)("refuse: %s", (_why, file, source, target) => {
    expect(violationsOf(tree(file, source, ...(target === undefined ? [] : [target])))).toHaveLength(1)
  })

  const allowed: [why: string, file: string, source: string, target?: string][] = [
    [
      "a stage imports its own folder",
      "dispatcher/src/edge/a.ts",
      `import "./rules/b.ts"`,
      "dispatcher/src/edge/rules/b.ts",
    ],
    [
      "a stage imports a leaf beside the line",
      "dispatcher/src/edge/a.ts",
      `import "../inbound.ts"`,
      "dispatcher/src/inbound.ts",
    ],
    ["the line imports a stage", "dispatcher/src/handle.ts", `import "./edge/a.ts"`, "dispatcher/src/edge/a.ts"],
    [
      "a folder whose name begins like a stage's",
      "dispatcher/src/edge/a.ts",
      `import "../router.ts"`,
      "dispatcher/src/router.ts",
    ],
    [
      "a door imports the deployment line",
      "control-plane/src/api/a.ts",
      `import "../deployment.ts"`,
      "control-plane/src/deployment.ts",
    ],
    [
      "a part imports the store",
      "control-plane/src/config/a.ts",
      `import "../store/b.ts"`,
      "control-plane/src/store/b.ts",
    ],
    ["kit imports problem.ts", "kit/cors.ts", `import { refuse } from "./problem.ts"`, "kit/problem.ts"],
    [
      "kit imports the cache",
      "kit/cors.ts",
      `import { BoundedCache } from "./bounded-cache.ts"`,
      "kit/bounded-cache.ts",
    ],
    [
      "a user Worker imports its own files",
      "user-workers/pages/index.ts",
      `import "./csp.ts"`,
      "user-workers/pages/csp.ts",
    ],
    [
      "the emulator wraps the line",
      "emulator/a.ts",
      `import "../dispatcher/src/handle.ts"`,
      "dispatcher/src/handle.ts",
    ],
    ["script-host uses the SDK", "control-plane/src/script-host/a.ts", `import Cloudflare from "cloudflare"`],
    ["a test plays a foreign client", "tests/conformance/a.test.ts", `import Cloudflare from "cloudflare"`],
    ["a Worker's runtime module", "dispatcher/src/x.ts", `import { WorkerEntrypoint } from "cloudflare:workers"`],
    ["a test beside its source uses what it needs", "cli/a.test.ts", `import "../tests/b.ts"`, "tests/b.ts"],
  ]
  it.each(allowed)("allow: %s", (_why, file, source, target) => {
    expect(violationsOf(tree(file, source, ...(target === undefined ? [] : [target])))).toEqual([])
  })

  it("see a circle of three, once", () => {
    const circle = graphOf(
      new Map([
        ["cli/a.ts", `import "./b.ts"`],
        ["cli/b.ts", `export { c } from "./c.ts"`],
        ["cli/c.ts", `await import("./a.ts")`],
      ]),
    )
    expect(cyclesOf(circle)).toEqual(["cli/a.ts → cli/b.ts → cli/c.ts → cli/a.ts"])
  })

  it("do not call it a circle when one side needs only a type", () => {
    const pair = graphOf(
      new Map([
        ["cli/a.ts", `import { type B } from "./b.ts"`],
        ["cli/b.ts", `import { a } from "./a.ts"`],
      ]),
    )
    expect(cyclesOf(pair)).toEqual([])
  })
})
