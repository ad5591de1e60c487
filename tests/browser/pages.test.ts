/**
 * The pages Worker as people meet it: a real Chromium, by the hostnames of a laptop, in front of the whole platform, with releases that real wrangler deploys.
 * `SALLYPORT_SCREENSHOTS=<folder>` keeps the pictures that it takes.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { CspEvaluator } from "csp_evaluator"
import { Severity } from "csp_evaluator/dist/finding.js"
import { CspParser } from "csp_evaluator/dist/parser.js"
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { deployWithWrangler } from "../../emulator/upload.ts"
import { buildPages } from "../../user-workers/pages/build.mjs"
import { eventually, ROOT, usePlatform } from "../harness.ts"
import { openChromium } from "./open-chromium.ts"
import { openTab } from "./open-tab.ts"
import { startTlsFront, type TlsFront } from "./tls-front.ts"

const FOLDER = path.join(ROOT, "user-workers/pages")
const TEAM = "web"
/** Names the page of one project gives the way back; each release has another. */
const BACK = '"All projects"'

const platform = usePlatform({}, async (started) => {
  const route = { hostname: "app.procore.com", path: "/webclients/*", auth: "none" } as const
  await started.uploadWorker({ directory: FOLDER, team: TEAM, route })
})
let browser: Browser
let front: TlsFront
let folder = ""

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-browser-"))
  front = await startTlsFront(platform().edgeUrl)
  browser = await openChromium([front.keyHash])
})
afterAll(async () => {
  await browser?.close()
  await front?.close()
  if (folder !== "") await rm(folder, { recursive: true, force: true })
})

const plain = (at: string, hostname = "app.procore.localhost") =>
  `http://${hostname}:${new URL(platform().edgeUrl).port}${at}`
const screenshot = (name: string) => path.join(process.env.SALLYPORT_SCREENSHOTS ?? folder, `${name}.png`)

/** Builds the apps from changed sources and deploys them, as the script `script`. */
async function deploy(name: string, change: (web: string) => Promise<void>, script = "pages"): Promise<void> {
  const [web, out] = [path.join(folder, name, "web"), path.join(folder, name, "public")]
  await cp(path.join(FOLDER, "web"), web, { recursive: true })
  await change(web)
  await buildPages(web, out)
  await deployWithWrangler(platform(), await platform().tokenOf(TEAM), FOLDER, ["--name", script, "--assets", out])
  await platform().waitForConfig()
}

async function replaceIn(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(file, "utf8")
  expect(text).toContain(from)
  await writeFile(file, text.replaceAll(from, to))
}

const release = (name: string) =>
  deploy(name, (web) => replaceIn(path.join(web, "projects/pages/project.js"), BACK, `"Back ${name}"`))

describe("the apps", () => {
  for (const [name, at, heading] of [
    ["start", "/webclients/", "Web clients"],
    ["request", "/webclients/request", "This request"],
    ["projects", "/webclients/projects/", "All projects"],
    ["project", "/webclients/projects/9007199254740993", "Depot 7"],
    ["drawings", "/webclients/drawings/", "Harbour Street Library"],
    ["sheet", "/webclients/drawings/A-102", "A-102 First floor"],
    ["nowhere", "/webclients/projects/no/such/page", "Not found"],
  ] as const)
    for (const colorScheme of ["light", "dark"] as const)
      it(`open at ${at} in ${colorScheme}, without a violation or a complaint`, async () => {
        const tab = await openTab(browser, plain(at), { colorScheme })
        await tab.page.getByRole("heading", { level: 1, name: heading }).waitFor()
        await tab.page.screenshot({ path: screenshot(`${name}-${colorScheme}`) })
        expect(await tab.violations()).toEqual([])
        expect(tab.complaints).toEqual([])
        await tab.close()
      })

  it("fit a narrow screen", async () => {
    for (const [name, at] of [
      ["projects", "/webclients/projects/"],
      ["sheet", "/webclients/drawings/A-101"],
    ] as const) {
      const tab = await openTab(browser, plain(at), { viewport: { width: 360, height: 720 } })
      await tab.page.getByRole("heading", { level: 1 }).waitFor()
      await tab.page.screenshot({ path: screenshot(`${name}-narrow`) })
      const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth
      expect(await tab.page.evaluate(overflow)).toBe(0)
      await tab.close()
    }
  })

  it("go from page to page and back without loading anew, and move the focus", async () => {
    const tab = await openTab(browser, plain("/webclients/projects/"))
    await tab.page.evaluate(() => Object.assign(window, { sameDocument: true }))
    await tab.page.getByRole("link", { name: "Mill Lane Bridge" }).click()
    await tab.page.getByRole("heading", { level: 1, name: "Mill Lane Bridge" }).waitFor()
    expect(await tab.page.title()).toBe("Mill Lane Bridge – Projects")
    expect(await tab.page.evaluate(() => document.activeElement?.id)).toBe("main")
    await tab.page.goBack()
    await tab.page.getByLabel("Find by name or place").fill("cardiff")
    await tab.page.getByText("1 project", { exact: true }).waitFor()
    expect(await tab.page.evaluate(() => "sameDocument" in window)).toBe(true)
    expect(tab.complaints).toEqual([])
    await tab.close()
  })

  for (const app of ["projects", "drawings"])
    it(`keep the theme that was chosen in ${app}, set by the inline script before anything is drawn`, async () => {
      const tab = await openTab(browser, plain(`/webclients/${app}/`), { colorScheme: "light" })
      await tab.page.getByRole("button", { name: "Dark", pressed: false }).click()
      await tab.page.getByRole("button", { name: "Dark", pressed: true }).waitFor()
      await tab.page.reload()
      expect(await tab.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
      expect(await tab.violations()).toEqual([])
      await tab.close()
    })

  it("have policies of which Google's evaluator has nothing serious to say", async () => {
    for (const app of ["", "projects/", "drawings/"]) {
      const response = await platform().fetch(`https://app.procore.com/webclients/${app}`)
      const policy = response.headers.get("content-security-policy") ?? ""
      const findings = new CspEvaluator(new CspParser(policy).csp).evaluate()
      expect(policy).not.toBe("")
      expect(findings.filter(({ severity }) => severity <= Severity.HIGH_MAYBE)).toEqual([])
    }
  })
})

describe("a page that does what its policy forbids", () => {
  const RAN = "document.documentElement.dataset.ran = 'yes'"

  beforeAll(async () => {
    // As if someone had got a script into the pages: the policy is all that stands against it.
    await deploy(
      "tampered",
      async (web) => {
        for (const app of ["projects", "drawings"])
          await replaceIn(path.join(web, app, "index.html"), "</body>", `<script>${RAN}</script></body>`)
        // Only the trial policy of the start page forbids it.
        await replaceIn(
          path.join(web, "start/index.html"),
          "</head>",
          '<link rel="preload" as="font" href="/webclients/a.woff2" crossorigin /></head>',
        )
      },
      "tampered",
    )
    const route = { hostname: "tampered.procore.com", path: "/webclients/*", auth: "none" } as const
    await platform().putRoute("tampered", { ...route, script: "tampered", team: TEAM })
  })

  for (const app of ["projects", "drawings"])
    it(`is stopped in ${app}, while the page itself runs`, async () => {
      const tab = await openTab(browser, plain(`/webclients/${app}/`, "tampered.procore.localhost"))
      await tab.page.getByRole("heading", { level: 1 }).waitFor()
      expect(await tab.page.evaluate(() => document.documentElement.dataset.ran)).toBeUndefined()
      expect(await tab.violations()).toEqual([
        { directive: "script-src-elem", blocked: "inline", disposition: "enforce" },
      ])
      await tab.close()
    })

  it("is reported by the browser, and the report is logged without what names a person", async () => {
    const url = `https://tampered.procore.localhost:${front.port}/webclients/projects/1001?token=secret`
    // Chromium sends reports only for origins that may work in the background.
    const tab = await openTab(browser, url, { permissions: ["background-sync"] })
    const line = await eventually(15_000, () => logged('"csp-violation"'))
    expect(JSON.parse(line)).toMatchObject({
      event: "csp-violation",
      directive: "script-src-elem",
      disposition: "enforce",
      blocked: "inline",
      document: `https://tampered.procore.localhost:${front.port}/webclients/projects/:id`,
    })
    expect(line).not.toContain("secret")
    await tab.close()
  })

  it("is only reported where the policy is on trial", async () => {
    const url = `https://tampered.procore.localhost:${front.port}/webclients/`
    const tab = await openTab(browser, url, { permissions: ["background-sync"] })
    const line = await eventually(15_000, () => logged('"directive":"font-src"'))
    expect(JSON.parse(line)).toMatchObject({ disposition: "report" })
    await tab.close()
  })

  async function logged(text: string): Promise<string | null> {
    const lines = (await readFile(platform().logFile, "utf8")).split("\n").filter((line) => line.includes(text))
    const [line] = lines
    return line === undefined ? null : line.slice(line.indexOf("{"))
  }
})

describe("an open tab", () => {
  it("loads a chunk of its own release after two deploys, while a new tab has the newest", async () => {
    const tab = await openTab(browser, plain("/webclients/projects/"))
    await tab.page.getByRole("heading", { level: 1, name: "All projects" }).waitFor()
    await release("two")
    await release("three")

    const loaded = tab.page.waitForResponse((response) => /chunk-\w+\.js$/.test(response.url()))
    await tab.page.getByRole("link", { name: "Riverside Clinic" }).click()
    await tab.page.getByRole("heading", { level: 1, name: "Riverside Clinic" }).waitFor()
    expect(await tab.page.getByRole("main").textContent()).toContain("All projects")
    const response = await loaded
    expect(response.status()).toBe(200)
    expect(response.headers()["x-sallyport-release"]).toBe("pages--v3")
    expect(response.headers()["cache-control"]).toContain("immutable")
    expect(tab.complaints).toEqual([])
    await tab.close()

    const fresh = await openTab(browser, plain("/webclients/projects/1005"))
    await fresh.page.getByRole("link", { name: "Back three" }).waitFor()
    expect(fresh.complaints).toEqual([])
    await fresh.close()
  })

  it("that is older than what is kept asks to be loaded anew, and then works", async () => {
    const tab = await openTab(browser, plain("/webclients/projects/"))
    await tab.page.getByRole("heading", { level: 1, name: "All projects" }).waitFor()
    for (const name of ["four", "five", "six", "seven"]) await release(name)
    await tab.page.getByRole("link", { name: "Depot 7" }).click()
    await tab.page.getByRole("heading", { level: 1, name: "Please reload" }).waitFor()
    await tab.page.screenshot({ path: screenshot("too-old") })
    await tab.page.getByRole("button", { name: "Reload" }).click()
    await tab.page.getByRole("link", { name: "Back seven" }).waitFor()
    await tab.close()
  })
})

describe("a page of another origin", () => {
  it("reads why the gateway refused it, where the route names its origin, and else learns nothing", async () => {
    const { api, waitForConfig } = platform()
    const reader = new URL(plain("/")).origin
    const route = {
      hostname: "api.procore.com",
      team: TEAM,
      script: "pages",
      auth: { mode: "required", issuers: ["example-idp"] },
    }
    await api.put("/v1/hostnames/api.procore.com", { team: TEAM, open: false })
    await api.put("/v1/routes/read", { ...route, path: "/read/*", problemsReadableBy: [reader] })
    await api.put("/v1/routes/unread", { ...route, path: "/unread/*" })
    await waitForConfig()
    const context = await browser.newContext()
    const page = await context.newPage()
    const ask = async (at: string, from: string) => {
      await page.goto(plain("/.sallyport/health/alive", from))
      return page.evaluate(
        async (url) => {
          const answer = await fetch(url, { credentials: "include" }).catch(() => null)
          return (
            answer && {
              status: answer.status,
              code: (await answer.json()).code,
              id: answer.headers.has("x-request-id"),
            }
          )
        },
        plain(at, "api.procore.localhost"),
      )
    }
    const refused = { status: 401, code: "auth.credential-required", id: true }
    expect(await ask("/read/1", "app.procore.localhost")).toEqual(refused)
    expect(await ask("/unread/1", "app.procore.localhost")).toBeNull()
    expect(await ask("/read/1", "us02.procore.localhost")).toBeNull()
    await context.close()
  })
})
