/** Every command of the command line against the real control plane and edge: what unit tests assume of the API is true. */
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, expect, it } from "vitest"
import { processIo } from "../../cli/io.ts"
import { main } from "../../cli/main.ts"
import type { Deployment, Route, Version } from "../../contracts/api.ts"
import { ROOT, textWorker, usePlatform } from "../harness.ts"

const platform = usePlatform()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-cli-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command in this process, with real HTTP and real time, as ops unless another token is given. */
async function sallyport(line: string, { stdin = "", token = platform().opsToken } = {}): Promise<Ran> {
  const written = { out: "", err: "" }
  const { controlPlaneUrl, edgeUrl } = platform()
  const code = await main(wordsOf(line), {
    ...processIo(),
    env: { SALLYPORT_API_URL: controlPlaneUrl, SALLYPORT_EDGE_URL: edgeUrl, SALLYPORT_TOKEN: token },
    out: (text) => {
      written.out += text
    },
    err: (text) => {
      written.err += text
    },
    readStdin: async () => stdin,
  })
  return { code, ...written }
}

/** Words, of which some may be quoted. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "")
}

/** Runs a command that must succeed, and gives its JSON. */
async function json<T>(line: string, options = {}): Promise<T> {
  const { code, out, err } = await sallyport(`${line} --json`, options)
  expect(err).toBe("")
  expect(code).toBe(0)
  return JSON.parse(out) as T
}

it("logs in by the launcher and is then known without being told again", async () => {
  const config = path.join(folder, "config.json")
  const launcher = path.join(ROOT, "cli", "sallyport.mjs")
  const { controlPlaneUrl, edgeUrl, opsToken } = platform()
  const run = (words: string[], env: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [launcher, ...words], {
      env: { PATH: process.env.PATH, SALLYPORT_CONFIG: config, ...env },
    })
  const { stdout } = await run(["login", controlPlaneUrl, "--edge", edgeUrl], { SALLYPORT_TOKEN: opsToken })
  expect(stdout).toContain("as ops")
  expect((await run(["ping"])).stdout).toContain("answers in")
  await expect(run(["teams", "get", "nobody"])).rejects.toMatchObject({ code: 1 })
})

it("makes a team with a token that can do what the team may", async () => {
  await json("teams set cli-team --grant zones:read --egress https://cell.example:8443 -m 'for the test'")
  await json("teams set cli-team --no-egress")
  expect(await json("teams get cli-team")).toMatchObject({ grants: ["zones:read"], egress: [] })
  expect(await json<object[]>("teams list")).toContainEqual(expect.objectContaining({ name: "cli-team" }))

  const created = await json<{ id: string; token: string }>("tokens create CI --team cli-team --expires-in-days 1")
  expect(await json("whoami", { token: created.token })).toMatchObject({ role: "team", team: "cli-team" })
  expect(await sallyport("config show", { token: created.token })).toMatchObject({ code: 1 })
  expect(await json<object[]>("tokens list --team cli-team")).toHaveLength(1)
  await json(`tokens revoke ${created.id}`)
  const refused = await sallyport("whoami", { token: created.token })
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("api.unauthenticated") })
})

it("makes a hostname and a route, and explains a request to it", async () => {
  for (const text of ["one", "two"])
    await platform().uploadWorker({ source: textWorker(text), script: "cli-files", team: "cli-team" })
  await json("hostnames set cli.example.com --team cli-team")
  expect(await json<object[]>("hostnames list")).toContainEqual(
    expect.objectContaining({ hostname: "cli.example.com", team: "cli-team" }),
  )
  const made = await json<Route>(
    "routes set cli-files --hostname cli.example.com --path '/files/*' --script cli-files --team cli-team --auth none",
  )
  expect(made).toMatchObject({ id: "cli-files", path: "/files/*", team: "cli-team" })
  expect(await json<object[]>("routes list")).toContainEqual(expect.objectContaining({ id: "cli-files" }))

  await platform().waitForConfig()
  const { out } = await sallyport("explain https://cli.example.com/files/1 --country GB --tls TLSv1.3")
  expect(out).toContain("→ cli-files--v2, with a passport for script:cli-files")
  const lost = await sallyport("explain https://cli.example.com/elsewhere --tls TLSv1.3 --non-zero-exit-code")
  expect(lost).toMatchObject({ code: 2, out: expect.stringContaining("404 route.not-found") })
})

it("shows versions and deployments", async () => {
  const versions = await json<Version[]>("versions list cli-files")
  expect(versions.map((each) => each.version).toSorted()).toEqual([1, 2])
  expect(await json("versions view cli-files 1")).toMatchObject({ placedName: "cli-files--v1", state: "verified" })
  expect((await json<Deployment[]>("deployments list cli-files")).length).toBe(2)
  expect(await json("deployments status cli-files")).toMatchObject({ releases: [{ version: 2, weightBps: 10_000 }] })
  expect((await sallyport("scripts list")).out).toContain("cli-files")
})

it("deploys, waits until the edge has it, and goes back", async () => {
  const answer = async () => (await platform().fetch("https://cli.example.com/files/1")).text()
  const deployed = await json<Deployment & { waited: { inForce: boolean } }>("deployments create cli-files 1 --wait")
  expect(deployed).toMatchObject({ phase: "published", waited: { inForce: true } })
  expect(await answer()).toBe("one")
  const { code, out } = await sallyport("rollback cli-files --wait -m 'one was better'")
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("in force at the edge after") })
  expect(await answer()).toBe("two")
  expect(await json("rollback cli-files --to 1 --wait")).toMatchObject({ releases: [{ version: 1 }] })
  expect(await answer()).toBe("one")
})

it("publishes a built folder without deploying it, once", async () => {
  const built = path.join(folder, "dist")
  await mkdir(built)
  await writeFile(path.join(built, "index.js"), textWorker("three"))
  await writeFile(path.join(built, "index.js.map"), "{}")
  const token = await platform().tokenOf("cli-team")
  const line = `versions upload cli-files ${built} --main index.js --compatibility-date 2026-10-01 --tag abc -m 'by hand'`
  const published = await json<Version & { created: boolean }>(line, { token })
  expect(published).toMatchObject({ version: 3, created: true, tag: "abc", message: "by hand" })
  expect(await json(line, { token })).toMatchObject({ version: 3, created: false })
  expect(await json("deployments status cli-files")).toMatchObject({ releases: [{ version: 1 }] })
  expect(await sallyport(line.replace("index.js", "main.js"))).toMatchObject({ code: 1 })
})

it("refuses a version that was never uploaded, saying where and what to do", async () => {
  const { code, err } = await sallyport("deployments create cli-files 1=50 77=50")
  expect(code).toBe(1)
  expect(err).toContain("  do  ")
  expect(err).toMatch(/request id {2}\S+/)
})

it("pins one request to a version", async () => {
  const { out } = await sallyport("pins create cli-files 2 --lifetime-s 60")
  const [name = "", value = ""] = out.trim().split(": ")
  const pinned = await platform().fetch("https://cli.example.com/files/1", { headers: { [name]: value } })
  expect(await pinned.text()).toBe("two")
})

it("gives a route weights of its own, switches it off and on, and deletes it", async () => {
  const weighted = await json<Route>("routes set cli-files --releases 1=90 2=10 --sticky-by company")
  expect(weighted.releases).toHaveLength(2)
  await json("routes set cli-files --kill 'not now'")
  await platform().waitForConfig()
  const killed = await platform().fetch("https://cli.example.com/files/1")
  expect(killed.status).toBe(503)
  await killed.body?.cancel()
  const back = await json<Route>("routes set cli-files --no-kill --no-releases")
  expect(back).not.toHaveProperty("releases")
  expect(back).not.toHaveProperty("kill")
  expect(back.auth.mode).toBe("none")
  await json("routes delete cli-files")
  expect(await sallyport("routes delete cli-files")).toMatchObject({ code: 1 })
})

it("switches a whole team off and on, for ops alone", async () => {
  const token = await platform().tokenOf("cli-team")
  await json("routes set cli-team --hostname cli.example.com --path '/team/*' --script cli-files --auth none", {
    token,
  })
  const answered = async () => {
    await platform().waitForConfig()
    const { status, body } = await platform().fetch("https://cli.example.com/team/1")
    await body?.cancel()
    return status
  }
  expect(await sallyport("teams set cli-team --kill 'not I'", { token })).toMatchObject({ code: 1 })
  expect(await answered()).toBe(200)
  await json("teams set cli-team --kill 'leaked'")
  expect(await answered()).toBe(503)
  const { out } = await sallyport("explain https://cli.example.com/team/1")
  expect(out).toContain("dispatch.team-killed")
  await json("teams set cli-team --no-kill")
  expect(await answered()).toBe(200)
  await json("routes delete cli-team")
})

it("says what a change left behind that nobody can pass, and lists it", async () => {
  await json(
    "routes set cli-files --hostname cli.example.com --path '/files/*' --script cli-files --team cli-team --auth none",
  )
  const { err, code } = await sallyport("scripts set cli-files --require-level 2")
  expect([code, err]).toEqual([
    0,
    "notice: routes/cli-files: it looks at no credential (auth.mode none), and cli-files asks for one (access)\n",
  ])
  expect(await sallyport("notices list")).toMatchObject({ code: 2, out: expect.stringContaining("nobody-passes") })
  await sallyport("scripts set cli-files --no-require")
  expect(await sallyport("notices list")).toMatchObject({ code: 0 })
  await json("routes delete cli-files")
})

it("leaves a route that ops switched off to ops, and says what is wrong with a name or a hostname", async () => {
  const token = await platform().tokenOf("cli-team")
  const make = "--hostname cli.example.com --path '/off/*' --script cli-files --auth none"
  await json(`routes set cli-off ${make}`, { token })
  await json("routes set cli-off --kill 'by ops'")
  expect(await json("routes set cli-off --timeout-ms 5000", { token })).toMatchObject({ kill: { reason: "by ops" } })
  for (const line of ["routes set cli-off --no-kill", "routes delete cli-off"])
    expect(await sallyport(line, { token })).toMatchObject({ code: 1, err: expect.stringContaining("only they") })
  await json("routes set cli-off --no-kill")
  await json("routes delete cli-off", { token })

  const named = await sallyport(`routes set R1 ${make}`, { token })
  expect(named).toMatchObject({ code: 1, err: expect.stringContaining("beginning with a letter") })
  const hosted = await sallyport(`routes set r1 ${make.replace("cli.example", "CLI.example")}`, { token })
  expect(hosted).toMatchObject({ code: 1, err: expect.stringContaining("write cli.example.com") })
})

it("takes back a hostname and a team that were made by mistake, and the edge knows the hostname no longer", async () => {
  await json("teams set cli-slip")
  const { id } = await json<{ id: string }>("tokens create CI --team cli-slip")
  await json("hostnames set slip.example.com --team cli-slip")
  const answered = async () => {
    await platform().waitForConfig()
    const { code } = (await (await platform().fetch("https://slip.example.com/")).json()) as { code: string }
    return code
  }
  expect(await answered()).toBe("route.not-found")
  const refused = await sallyport("teams delete cli-slip")
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("/hostnames/slip.example.com") })
  expect(refused.err).toContain(`/tokens/${id}`)
  expect(await json("hostnames delete slip.example.com --dry-run")).toMatchObject({ team: "cli-slip" })
  expect(await answered()).toBe("route.not-found")
  await json("hostnames delete slip.example.com -m 'a slip'")
  expect(await answered()).toBe("route.hostname-unknown")
  await json(`tokens revoke ${id}`)
  expect(await json("teams delete cli-slip -m 'a slip'")).toMatchObject({ name: "cli-slip" })
  expect(await sallyport("teams get cli-slip")).toMatchObject({ code: 1 })
})

it("changes a script's settings and a section of the policy", async () => {
  await json("scripts set cli-files --timeout-ms 5000 --no-deploy-on-upload")
  expect(await json("scripts get cli-files")).toMatchObject({ timeoutMs: 5000, deployOnUpload: false })
  const file = path.join(folder, "flags.json")
  await writeFile(file, JSON.stringify({ "new-ui": true }))
  await json(`policy set flags ${file} -m 'show it'`)
  expect(JSON.parse((await sallyport("policy get flags")).out)).toEqual({ "new-ui": true })
})

it("shows the config's history, and verifies the audit by itself", async () => {
  const { revision } = await json<{ revision: number }>("config show")
  const { out, err } = await sallyport("config history --limit 3 --json")
  const history = JSON.parse(out) as { revision: number; reason: string }[]
  expect(history.map((each) => each.revision)).toEqual([revision, revision - 1, revision - 2])
  expect(err).toBe("More exist: --limit 30 shows more of them.\n")
  expect((await sallyport("audit list --limit 5")).out).toContain("policy.put")

  const whole = await json<{ fault: null; head: { seq: number; hash: string } }>("audit verify")
  expect(whole.fault).toBeNull()
  expect(await platform().api.get("/v1/audit/verify")).toMatchObject({ intact: true, head: whole.head })
  expect(await sallyport(`audit verify --known ${whole.head.seq}=${"0".repeat(64)}`)).toMatchObject({ code: 2 })
})
