/**
 * Who may import whom: the table of docs/architecture.md as data, and the functions that hold a graph against it.
 * Every rule counts type imports too, cycles alone excepted: a type that points the wrong way is how a circle begins.
 */
import type { Import, ImportGraph } from "./imports-of.ts"

interface FolderRule {
  /** Folders, or single files, from the repository's root. The folder itself is always allowed. */
  readonly may: readonly string[]
  /** npm packages; absent means that any is fine. */
  readonly packages?: readonly string[]
}

const RUNTIME = ["cloudflare:workers", "hono", "@hono/zod-openapi", "zod", "jose", "@opentelemetry/api"]
/** OpenTelemetry's SDK, and of Node what the flag `nodejs_als` brings: behind kit/tracing.ts and kit/otlp-exporter.ts. */
const TRACING = [
  "node:async_hooks",
  ...["core", "otlp-transformer", "resources", "sdk-trace"].map((name) => `@opentelemetry/${name}`),
]

/** docs/architecture.md has the same table for readers; tests/docs.test.ts holds the two together. */
export const FOLDERS: Readonly<Record<string, FolderRule>> = {
  contracts: { may: [], packages: ["zod"] },
  kit: { may: ["contracts"], packages: [...RUNTIME, ...TRACING, "@launchdarkly/cloudflare-server-sdk"] },
  dispatcher: { may: ["kit", "contracts"], packages: RUNTIME },
  outbound: { may: ["kit", "contracts"], packages: RUNTIME },
  revocations: { may: ["kit", "contracts"], packages: RUNTIME },
  "control-plane": { may: ["kit", "contracts"], packages: [...RUNTIME, "cloudflare"] },
  "user-workers": { may: ["kit", "contracts"], packages: [...RUNTIME, "oauth4webapi"] },
  cli: { may: ["contracts"] },
  emulator: {
    may: [
      "contracts",
      "kit",
      "docs/verify/node",
      "dispatcher/src/index.ts",
      "dispatcher/src/handle.ts",
      "dispatcher/src/dependencies.ts",
      "outbound/src/egress.ts",
      "outbound/src/exchanged-passports.ts",
    ],
  },
  scripts: { may: ["contracts"] },
}
/** May import anything; nothing imports them. */
export const TOP_FOLDERS = ["tests", "benchmarks"]

interface StageRule {
  /** Files of the Worker's source folder that it must not see: entry, straight line, environment. */
  readonly notAbove: readonly string[]
  /** Other stages that it builds on. */
  readonly sees: readonly string[]
}

const LINE = ["index.ts", "handle.ts", "dependencies.ts", "env.ts"]
/** Two doors lead to the deployment line, which is carried out by parts that know neither. */
const DOOR = { notAbove: ["index.ts", "app.ts"], sees: ["config", "keys", "upload", "store"] }
const PARTS_SEE_NOT = ["index.ts", "app.ts", "deployment.ts", "env.ts"]

/** Inside a Worker: `entry → line → stages`. Besides what is named here, a stage sees its own folder and the leaf files beside the line. */
const WORKERS: Readonly<Record<string, Readonly<Record<string, StageRule>>>> = {
  "dispatcher/src": {
    edge: { notAbove: LINE, sees: [] },
    identity: { notAbove: LINE, sees: [] },
    route: { notAbove: LINE, sees: [] },
    forward: { notAbove: LINE, sees: [] },
    trace: { notAbove: LINE, sees: [] },
  },
  "control-plane/src": {
    api: DOOR,
    "cloudflare-api": DOOR,
    config: { notAbove: PARTS_SEE_NOT, sees: ["store"] },
    keys: { notAbove: PARTS_SEE_NOT, sees: ["config", "store"] },
    upload: { notAbove: PARTS_SEE_NOT, sees: ["store"] },
    "script-host": { notAbove: PARTS_SEE_NOT, sees: [] },
    issuers: { notAbove: PARTS_SEE_NOT, sees: ["config", "store"] },
    store: { notAbove: PARTS_SEE_NOT, sees: [] },
  },
}

/** A test, or what a folder `test/` or `testing/` keeps for tests. */
const isTest = (file: string) => /\.test\.ts$|\/(test|testing)\//.test(file)
const top = (file: string) => file.split("/")[0] ?? ""
const inside = (file: string, folder: string) => file === folder || file.startsWith(`${folder}/`)

/** Everything in the graph that breaks a rule, one sentence each; empty when all hold. */
export function violationsOf(graph: ImportGraph): string[] {
  const rules = [folderTable, deadTargets, packages, stages, kitSiblings, userWorkerSiblings, cloudflareSdk]
  const found: string[] = []
  for (const [file, imports] of graph)
    for (const each of imports)
      for (const rule of rules) {
        const reason = rule(file, each, graph)
        if (reason !== null) found.push(`${file} imports ${each.target ?? each.specifier}: ${reason}`)
      }
  return found
}

type Rule = (file: string, each: Import, graph: ImportGraph) => string | null

const folderTable: Rule = (file, { target }) => {
  if (target === null || TOP_FOLDERS.includes(top(file)) || isTest(file)) return null
  if (TOP_FOLDERS.includes(top(target)) || isTest(target)) return "nothing imports tests or benchmarks"
  const rule = FOLDERS[top(file)]
  if (rule === undefined || top(target) === top(file)) return null
  return rule.may.some((allowed) => inside(target, allowed))
    ? null
    : `${top(file)} may import ${rule.may.join(", ") || "nothing"}`
}

const deadTargets: Rule = (_file, { target }, graph) =>
  target === null || !target.endsWith(".ts") || graph.has(target) ? null : "there is no such file"

const packages: Rule = (file, { specifier, target }) => {
  const allowed = FOLDERS[top(file)]?.packages
  if (target !== null || allowed === undefined || isTest(file)) return null
  return allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`))
    ? null
    : `${top(file)} may import the packages ${allowed.join(", ")}`
}

const stages: Rule = (file, { target }) => {
  const worker = Object.keys(WORKERS).find((folder) => inside(file, folder))
  if (worker === undefined || target === null || isTest(file)) return null
  const stageOf = (path: string) => Object.keys(WORKERS[worker] ?? {}).find((name) => inside(path, `${worker}/${name}`))
  const stage = stageOf(file)
  const rule = stage === undefined ? undefined : WORKERS[worker]?.[stage]
  if (rule === undefined) return null
  if (rule.notAbove.some((name) => target === `${worker}/${name}`)) return `${stage} must not see what stands above it`
  const other = stageOf(target)
  return other === undefined || other === stage || rule.sees.includes(other) ? null : `${stage} must not see ${other}`
}

/** kit/README.md names these, and {@link KIT_PARTS}, for readers. */
export const KIT_SHARED: readonly string[] = [
  "kit/problem.ts",
  "kit/bounded-cache.ts",
  "kit/hmac-keys.ts",
  "kit/otlp-exporter.ts",
  "kit/trim.ts",
  "kit/within.ts",
]
/** One helper in two files, so that only those who need the second carry it in their bundle. */
export const KIT_PARTS: Readonly<Record<string, string>> = {
  "kit/launchdarkly-flags.ts": "kit/flags.ts",
  "kit/otlp-exporter.ts": "kit/write-log.ts",
  "kit/return-to.ts": "kit/canonical-path.ts",
  "kit/scoreboard-page.ts": "kit/scoreboard.ts",
}
const kitSiblings: Rule = (file, { target }) =>
  top(file) === "kit" &&
  !isTest(file) &&
  target !== null &&
  top(target) === "kit" &&
  !KIT_SHARED.includes(target) &&
  KIT_PARTS[file] !== target
    ? "kit files stand alone; they share problem.ts, bounded-cache.ts, within.ts, hmac-keys.ts, trim.ts and otlp-exporter.ts only"
    : null

const userWorkerSiblings: Rule = (file, { target }) => {
  if (top(file) !== "user-workers" || target === null || top(target) !== "user-workers") return null
  return file.split("/")[1] === target.split("/")[1] ? null : "a user Worker never sees another"
}

const cloudflareSdk: Rule = (file, { specifier }) =>
  /^cloudflare(\/|$)/.test(specifier) && top(file) !== "tests" && !inside(file, "control-plane/src/script-host")
    ? "control-plane/src/script-host alone talks to Cloudflare"
    : null

/** Each circle of run-time imports once, as `a.ts → b.ts → a.ts`. */
export function cyclesOf(graph: ImportGraph): string[] {
  const state = new Map<string, "open" | "done">()
  const path: string[] = []
  const found: string[] = []
  const visit = (file: string) => {
    if (state.get(file) === "done") return
    if (state.get(file) === "open") {
      found.push([...path.slice(path.indexOf(file)), file].join(" → "))
      return
    }
    state.set(file, "open")
    path.push(file)
    for (const { target, typeOnly } of graph.get(file) ?? [])
      if (!typeOnly && target !== null && graph.has(target)) visit(target)
    path.pop()
    state.set(file, "done")
  }
  for (const file of graph.keys()) visit(file)
  return found
}
