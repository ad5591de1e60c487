/** A team deploys with plain wrangler: publishing, deploying under load, going back, and what the door refuses. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { WranglerError } from "../../emulator/build.ts"
import type { Secrets } from "../../emulator/secrets.ts"
import type { TestPlatform } from "../../emulator/testing.ts"
import { deployWithWrangler } from "../../emulator/upload.ts"
import { UploadRefused, uploadSource } from "../../emulator/upload-source.ts"
import { eventually, load, sallyport, textWorker, usePlatform, useWorkerFolders } from "../harness.ts"

/** SALLYPORT_LOAD_REQUESTS lowers it while one works on this file. */
const REQUESTS = Number(process.env.SALLYPORT_LOAD_REQUESTS ?? 10_000)
const LANES = 16

const platform = usePlatform()
const workerFolder = useWorkerFolders()

interface VersionRow {
  readonly version: number
}
async function versionsOf(script: string): Promise<number[]> {
  const { items } = await platform().api.get<{ items: VersionRow[] }>(`/v1/scripts/${script}/versions`)
  return items.map((row) => row.version).toSorted((a, b) => a - b)
}
async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}

describe("a team's own wrangler", () => {
  const url = "https://hello.example.com/hello/"

  it("uploads a Worker of a few lines, which answers on its route when wrangler has ended", async () => {
    const directory = await workerFolder("hello", textWorker("first"))
    const { version } = await platform().uploadWorker({
      directory,
      script: "hello",
      route: "https://hello.example.com/hello/*",
    })
    const response = await platform().fetch(url)
    expect(version).toBe(1)
    expect(response.headers.get("x-sallyport-release")).toBe("hello--v1")
    expect(await response.text()).toBe("first")
  })

  it(`changes the answer by a second upload with none of ${REQUESTS} requests failing meanwhile`, async () => {
    const token = await platform().tokenOf("test-team")
    const directory = await workerFolder("hello", textWorker("second"))
    // The upload begins once the load runs, and the load goes on until well after it.
    let uploaded = false
    const upload = deployWithWrangler(platform(), token, directory).then(() => {
      uploaded = true
    })
    const during = await load(REQUESTS, LANES, () => platform().fetch(url))
    const rounds = [during]
    while (!uploaded) rounds.push(await load(200, LANES, () => platform().fetch(url)))
    await upload
    await platform().waitForConfig()
    rounds.push(await load(200, LANES, () => platform().fetch(url)))

    const answers = rounds.flat()
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([])
    expect(new Set(answers.map((answer) => answer.body))).toEqual(new Set(["first", "second"]))
    expect(new Set(rounds.at(-1)?.map((answer) => answer.body))).toEqual(new Set(["second"]))
  })

  it("makes no version of code that was uploaded before", async () => {
    const before = await versionsOf("hello")
    const token = await platform().tokenOf("test-team")
    await deployWithWrangler(platform(), token, await workerFolder("hello", textWorker("second")))
    expect(await versionsOf("hello")).toEqual(before)
    expect(before).toEqual([1, 2])
  })

  it("goes back by `sallyport rollback`, without an upload", async () => {
    const token = await platform().tokenOf("test-team")
    expect(await (await platform().fetch(url)).text()).toBe("second")
    const { code, stderr } = await sallyport(platform(), token, "rollback", "hello")
    expect(stderr).toBe("")
    expect(code).toBe(0)
    await served("first")
    expect(await versionsOf("hello")).toEqual([1, 2])
  })

  it("serves what was rolled back to in under a second from the call of the API", async () => {
    expect(await (await platform().fetch(url)).text()).toBe("first")
    const calledAt = performance.now()
    await platform().api.post("/v1/scripts/hello/rollback", { version: 2 })
    await served("second")
    expect(performance.now() - calledAt).toBeLessThan(1_000)
  })

  async function served(text: string): Promise<void> {
    await eventually(15_000, async () => ((await (await platform().fetch(url)).text()) === text ? true : null))
  }

  it("deploys a folder with vars, modules and a message, and they are there", async () => {
    const source = `import text from "./text.txt"
export default { fetch: (_, env) => new Response(env.GREETING + text) }
`
    const directory = await workerFolder("greeter", source, '[vars]\nGREETING = "hello from "\n')
    await writeFile(`${directory}/text.txt`, "a text module")
    // The folder has another name than the Worker.
    const { script } = await platform().uploadWorker({ directory, route: "https://hello.example.com/greeter" })
    expect(script).toBe("greeter")
    const response = await platform().fetch("https://hello.example.com/greeter")
    expect(await response.text()).toBe("hello from a text module")
  })
})

describe("what a deploy keeps of the one before", () => {
  const source = (version: number) =>
    `export default { fetch: (_, { TOKEN = null, GREETING = null }) => Response.json({ version: ${version}, TOKEN, GREETING }) }\n`
  const said = async () => (await platform().fetch("https://hello.example.com/keeper")).json()

  it("is every secret that was sent once, and variables with --keep-vars, until another thing has the name", async () => {
    const token = await platform().tokenOf("test-team")
    const directory = await workerFolder("keeper", source(1), '[vars]\nGREETING = "hello"\n')
    const deploy = async (version: number, toml: string, ...extra: string[]) => {
      await writeFile(`${directory}/index.js`, source(version))
      await writeFile(
        `${directory}/wrangler.toml`,
        `name = "keeper"\nmain = "index.js"\ncompatibility_date = "2026-10-01"\n${toml}`,
      )
      await deployWithWrangler(platform(), token, directory, extra)
      await platform().waitForConfig()
      return said()
    }
    await writeFile(`${directory}/secrets.json`, JSON.stringify({ TOKEN: "of alice" }))
    await platform().uploadWorker({ directory, script: "keeper", route: "https://hello.example.com/keeper" })
    const vars = '[vars]\nGREETING = "hello"\n'
    const all = { TOKEN: "of alice", GREETING: "hello" }
    expect(await deploy(1, vars, "--secrets-file", "secrets.json")).toEqual({ version: 1, ...all })
    expect(await deploy(2, `${vars}[secrets]\nrequired = ["TOKEN"]\n`)).toEqual({ version: 2, ...all })
    expect(await deploy(3, "", "--keep-vars")).toEqual({ version: 3, ...all })
    expect(await deploy(4, "")).toEqual({ version: 4, ...all, GREETING: null })
    expect(await deploy(5, "", "--var", "TOKEN:none")).toEqual({ version: 5, TOKEN: "none", GREETING: null })
    expect(await deploy(6, "")).toEqual({ version: 6, TOKEN: null, GREETING: null })
  })
})

describe("a Worker with the compatibility flags that frameworks set", () => {
  it("is held to its team's egress all the same", async () => {
    const source = 'export default { fetch: async () => fetch("https://elsewhere.example.net/") }\n'
    const flags = [
      "nodejs_compat",
      "global_fetch_strictly_public",
      "enable_nodejs_process_v2",
      "enable_nodejs_fs_module",
    ]
    const directory = await workerFolder("flagged", source, `compatibility_flags = ${JSON.stringify(flags)}\n`)
    await platform().uploadWorker({ directory, script: "flagged", route: "https://hello.example.com/flagged" })
    const response = await platform().fetch("https://hello.example.com/flagged")
    expect(await response.text()).toContain("egress.destination-refused")
  })
})

describe("a folder whose config is JSON with comments", () => {
  it("gives the Worker its name, and one without a config is refused", async () => {
    const directory = await workerFolder("unused", textWorker("configured"))
    await rm(path.join(directory, "wrangler.toml"))
    await expect(platform().uploadWorker({ directory })).rejects.toThrow(/needs a name/)
    const config = { name: "configured", main: "index.js", compatibility_date: "2026-10-01" }
    await writeFile(path.join(directory, "wrangler.jsonc"), `// a comment\n${JSON.stringify(config)}\n`)
    expect(await platform().uploadWorker({ directory })).toMatchObject({ script: "configured", version: 1 })
  })
})

describe("what belongs to another team", () => {
  it("cannot be replaced, and wrangler says why", async () => {
    const token = await platform().tokenOf("intruders")
    const error = await rejectionOf(
      deployWithWrangler(platform(), token, await workerFolder("hello", textWorker("intruder"))),
    )
    expect(error).toBeInstanceOf(WranglerError)
    expect((error as WranglerError).output).toContain("another team")
    expect(await (await platform().fetch("https://hello.example.com/hello/")).text()).toBe("second")
  })

  it("keeps its route", async () => {
    const token = await platform().tokenOf("intruders")
    await uploadSource(platform(), token, "intruder", textWorker("intruder"))
    const to = (path: string) => ["--hostname", "hello.example.com", "--path", path, "--script", "intruder"]
    const attempts: readonly (readonly [code: string, ...command: string[]])[] = [
      ["api.conflict", "routes", "set", "hello", ...to("/other/*"), "--auth", "none"],
      ["route.taken", "routes", "set", "mine", ...to("/hello/*"), "--auth", "none"],
      ["route.under-another-team", "routes", "set", "below", ...to("/hello/x"), "--auth", "none"],
      ["api.not-found", "routes", "delete", "hello"],
    ]
    for (const attempt of attempts) await refusedTo(token, ...attempt)
    expect(await (await platform().fetch("https://hello.example.com/hello/x")).text()).toBe("second")
  })

  it("cannot be deployed, rolled back or even read", async () => {
    const token = await platform().tokenOf("intruders")
    for (const command of [
      ["rollback", "hello"],
      ["versions", "list", "hello"],
      ["scripts", "get", "hello"],
    ])
      await refusedTo(token, "api.not-found", ...command)
  })

  /** That the control plane refused, for this reason: a command line that is mistaken ends with the same exit code. */
  async function refusedTo(token: string, code: string, ...command: string[]): Promise<void> {
    const done = await sallyport(platform(), token, ...command)
    expect(done.stderr, command.join(" ")).toContain(`(${code})`)
    expect(done.code).toBe(1)
  }
})

describe("metadata that the door refuses", () => {
  const bindings = (...list: object[]) => ({ bindings: list })

  it.each([
    ["a dispatch namespace", bindings({ type: "dispatch_namespace", name: "NS", namespace: "production" })],
    ["a worker loader", bindings({ type: "worker_loader", name: "LOADER" })],
    [
      "a Durable Object of a foreign script",
      bindings({ type: "durable_object_namespace", name: "DO", class_name: "A", script_name: "hello" }),
    ],
    ["a service that is not published", bindings({ type: "service", name: "CP", service: "sallyport-control-plane" })],
    [
      "a platform binding of its own making",
      bindings({ type: "service", name: "PLATFORM", service: "sallyport-dispatcher" }),
    ],
    ["a tail consumer", { tail_consumers: [{ service: "spy" }] }],
    ["a streaming tail consumer", { streaming_tail_consumers: [{ service: "spy" }] }],
    ["a cache in front of the Worker", { cache_options: { enabled: true } }],
  ])("refuses %s and writes nothing anywhere", async (_, metadata) => {
    const before = await everythingWritten(platform())
    const token = await platform().tokenOf("test-team")
    const error = await rejectionOf(uploadSource(platform(), token, "refused", textWorker("no"), metadata))
    expect(error).toBeInstanceOf(UploadRefused)
    expect((error as UploadRefused).status).toBe(400)
    expect(await everythingWritten(platform())).toEqual(before)
  })

  it("is told legibly by wrangler", async () => {
    const directory = await workerFolder("refused", textWorker("no"), '[[worker_loaders]]\nbinding = "LOADER"\n')
    const error = await rejectionOf(deployWithWrangler(platform(), await platform().tokenOf("test-team"), directory))
    expect(error).toBeInstanceOf(WranglerError)
    expect((error as WranglerError).output).toMatch(/worker_loader/)
    expect((error as WranglerError).output).not.toContain("malformed response")
  })

  it.each([
    ["a Workflow", '[[workflows]]\nname = "w"\nbinding = "W"\nclass_name = "W"\n', /Workflows are not available/],
    ["a region", '[placement]\nregion = "aws:us-east-1"\n', /placement\/region: teams may not choose/],
  ])("is told by wrangler why not: %s", async (_, toml, reason) => {
    const source = `import { WorkflowEntrypoint } from "cloudflare:workers"\nexport class W extends WorkflowEntrypoint {}\n${textWorker("no")}`
    const directory = await workerFolder("refused", source, toml)
    const error = await rejectionOf(deployWithWrangler(platform(), await platform().tokenOf("test-team"), directory))
    expect(error).toBeInstanceOf(WranglerError)
    expect((error as WranglerError).output).toMatch(reason)
    expect((error as WranglerError).output).not.toContain("--dispatch-namespace production")
  })

  it("refuses a token that nobody was given", async () => {
    const error = await rejectionOf(uploadSource(platform(), `spt_${"A".repeat(43)}`, "refused", textWorker("no")))
    expect(error).toBeInstanceOf(UploadRefused)
    expect((error as UploadRefused).status).toBe(401)
  })
})

/** What ops see, what lies in the buckets, and what the namespace holds: an upload that is refused leaves all of it as it was. */
async function everythingWritten({ api, stateDir, cloudflareApiUrl, accountId }: TestPlatform): Promise<unknown> {
  const { cloudflareApiToken } = JSON.parse(await readFile(path.join(stateDir, "secrets.json"), "utf8")) as Secrets
  const scripts = `/client/v4/accounts/${accountId}/workers/dispatch/namespaces/production/scripts`
  const headers = { authorization: `Bearer ${cloudflareApiToken}` }
  const namespace = await fetch(`${cloudflareApiUrl}${scripts}`, { headers }).then((response) => response.json())
  const blobs = (await readdir(path.join(stateDir, "r2"), { recursive: true })).filter((name) => name.includes("blobs"))
  const seen = await Promise.all([api.get("/v1/scripts"), api.get("/v1/config"), api.get("/v1/audit?limit=1000")])
  expect(blobs.length).toBeGreaterThan(0)
  return { namespace, blobs: blobs.toSorted(), seen }
}
