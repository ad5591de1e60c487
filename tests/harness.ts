/**
 * What the end-to-end tests share: one running platform per file, folders that real wrangler deploys, load, and what a problem looks like.
 * Everything goes through `sallyport/testing`, as a team's own tests would.
 */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, expect, type TaskMeta } from "vitest"
import { chooseAllPorts, ORIGIN_PORT_NAMES, type OriginPorts, PORT_NAMES, type Ports } from "../emulator/ports.ts"
import { startTestPlatform, type TestPlatform, type TestPlatformOptions } from "../emulator/testing.ts"

export const ROOT = path.dirname(import.meta.dirname)

/** Starts a platform before this file's tests and stops it after them. Call the result inside tests only. */
export function usePlatform(
  options: TestPlatformOptions = {},
  prepare: (platform: TestPlatform) => Promise<void> = async () => {},
): () => TestPlatform {
  let platform: TestPlatform | undefined
  beforeAll(async () => {
    platform = await startTestPlatform(options)
    await prepare(platform)
  })
  afterAll(() => platform?.dispose())
  return () => {
    if (platform === undefined) throw new Error("The platform is up inside tests only")
    return platform
  }
}

/** Free ports for a platform and for the example's origins. */
export function anyPorts(): Promise<Ports & OriginPorts> {
  return chooseAllPorts(Object.fromEntries([...PORT_NAMES, ...ORIGIN_PORT_NAMES].map((name) => [name, 0])))
}

/** Folders with a Worker for real wrangler; removed after the file's tests. */
export function useWorkerFolders(): (name: string, source: string, toml?: string) => Promise<string> {
  const made: string[] = []
  afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))))
  return async (name, source, toml = "") => {
    const folder = await mkdtemp(path.join(tmpdir(), "sallyport-worker-"))
    made.push(folder)
    await mkdir(folder, { recursive: true })
    await writeFile(path.join(folder, "index.js"), source)
    const head = `name = "${name}"\nmain = "index.js"\ncompatibility_date = "2026-10-01"\n`
    await writeFile(path.join(folder, "wrangler.toml"), head + toml)
    return folder
  }
}

/** A Worker that answers this text on every path. */
export function textWorker(text: string): string {
  return `export default { fetch: () => new Response(${JSON.stringify(text)}) }\n`
}

declare module "vitest" {
  interface TaskMeta {
    figures?: Readonly<Record<string, number | string>> & { readonly name: string }
  }
}

/**
 * Says what a test counted, to whoever reads vitest's JSON report, as `npm run bench -- full-size` does. To be called before the counts are judged: one that fails is
 * worth knowing too.
 */
export function counted(task: { readonly meta: TaskMeta }, name: string, figures: Readonly<Record<string, number>>) {
  task.meta.figures = { ...figures, name }
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly release: string | null
}

/** Sends `total` requests, `width` at a time, and gives every answer; a broken connection counts as status 0. */
export async function load(
  total: number,
  width: number,
  send: (index: number) => Promise<Response>,
): Promise<Answer[]> {
  const answers: Answer[] = []
  let next = 0
  const lane = async () => {
    while (next < total) {
      const index = next++
      answers[index] = await send(index).then(toAnswer, (error: unknown) => ({
        status: 0,
        body: String(error),
        release: null,
      }))
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  return answers
}

export async function toAnswer(response: Response): Promise<Answer> {
  return {
    status: response.status,
    body: await response.text(),
    release: response.headers.get("x-sallyport-release"),
  }
}

/** Holds an answer against a problem code, and makes sure that none of `secrets` (a tenant's text, say) is in it. */
export async function expectProblem(response: Response, status: number, code: string, ...secrets: string[]) {
  const text = await response.text()
  expect(response.headers.get("content-type")).toBe("application/problem+json")
  expect({ status: response.status, ...(JSON.parse(text) as object) }).toMatchObject({ status, code })
  const wire = text + [...response.headers].join("\n")
  for (const secret of secrets) expect(wire).not.toContain(secret)
}

/** Runs the command line as its own process, as a team or as ops. */
export async function sallyport(
  platform: TestPlatform,
  token: string,
  ...parameters: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [path.join(ROOT, "cli", "index.ts"), ...parameters], {
    env: {
      ...process.env,
      SALLYPORT_API_URL: platform.controlPlaneUrl,
      SALLYPORT_EDGE_URL: platform.edgeUrl,
      SALLYPORT_TOKEN: token,
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk
  })
  const code = await new Promise<number>((resolve) => child.once("close", (exit) => resolve(exit ?? 1)))
  return { code, stdout, stderr }
}

/** Looks every 10 ms until `look` gives something; rejects after `withinMs`. For what the edge learns in the background. */
export async function eventually<T>(withinMs: number, look: () => Promise<T | null>): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > until) throw new Error(`It did not happen within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
