/**
 * Logging in as people do it: a real Chromium, by the hostname of a laptop, through the dispatcher to the login Worker and the example's identity provider (oidc-provider), and back to the app.
 * `SALLYPORT_SCREENSHOTS=<folder>` keeps the pictures that it takes.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import type { Browser, BrowserContext, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { SESSION_COOKIE } from "../../contracts/session.ts"
import { ORIGIN_ROUTES, ROUTES, SCRIPTS, TEAMS } from "../../emulator/example-layout.ts"
import { deployWithWrangler } from "../../emulator/upload.ts"
import { eventually, ROOT } from "../harness.ts"
import { useLoginPlatform } from "../login-platform.ts"
import { openChromium } from "./open-chromium.ts"

const { platform, stage } = useLoginPlatform(async (running) => {
  for (const team of ["edge-routing", "web"] as const) await running.putTeam(team, { grants: TEAMS[team] })
  for (const script of ["gateway", "pages"]) {
    const team = SCRIPTS[script] ?? "web"
    await running.api.put(`/v1/scripts/${script}`, { team })
    await deployWithWrangler(running, await running.tokenOf(team), path.join(ROOT, "user-workers", script))
  }
  const { "app-us01": app, "app-us01-payments": payments, "app-webclients": webclients } = ROUTES
  for (const [id, route] of Object.entries({ app, payments, webclients, login: ORIGIN_ROUTES.login }))
    await running.api.put(`/v1/routes/${id}`, route)
})
const PROJECTS = "/webclients/projects/"
const ACCOUNT = "/webclients/projects/account"
let browser: Browser
let folder = ""

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sallyport-browser-"))
  browser = await openChromium()
})
afterAll(async () => {
  await browser?.close()
  if (folder !== "") await rm(folder, { recursive: true, force: true })
})

const at = (where: string) => stage().browserOrigin + where
const picture = (page: Page, name: string) =>
  page.screenshot({ path: path.join(process.env.SALLYPORT_SCREENSHOTS ?? folder, `login-${name}.png`) })
const newPerson = () => browser.newContext({ viewport: { width: 1100, height: 720 } })

/** On the provider's page. */
async function sayWhoOneIs(page: Page, name: "Alice" | "Bob", secondFactor = false): Promise<void> {
  await page.getByRole("heading", { name: "Who are you?" }).waitFor()
  const box = page.getByRole("checkbox")
  if (secondFactor !== (await box.isChecked())) await box.click()
  await page.getByRole("button", { name: new RegExp(name) }).click()
}

async function logIn(context: BrowserContext, name: "Alice" | "Bob" = "Alice"): Promise<Page> {
  const page = await context.newPage()
  await page.goto(at(ACCOUNT))
  await page.getByRole("banner").getByRole("link", { name: "Log in" }).click()
  await sayWhoOneIs(page, name)
  await page.waitForURL(at(ACCOUNT))
  await page.getByRole("banner").getByRole("button", { name: "Log out" }).waitFor()
  return page
}

describe("a person with a browser", () => {
  it("opens the app, logs in through the edge at the provider, lands back where they were, and calls the API with the session", async () => {
    const context = await newPerson()
    const page = await context.newPage()
    const visited: string[] = []
    page.on("framenavigated", (frame) => visited.push(frame.url()))
    await page.goto(at(PROJECTS))
    await page.getByRole("banner").getByRole("link", { name: "Log in" }).waitFor()
    await picture(page, "1-app-anonymous")
    await page.getByRole("banner").getByRole("link", { name: "Log in" }).click()
    await page.getByRole("heading", { name: "Who are you?" }).waitFor()
    expect(page.url()).toContain(stage().provider.issuer)
    await picture(page, "2-provider")
    await sayWhoOneIs(page, "Alice")
    await page.getByRole("heading", { level: 1, name: "All projects" }).waitFor()
    expect(page.url()).toBe(at(PROJECTS))
    await page.getByText("alice", { exact: true }).waitFor()
    await picture(page, "3-app-logged-in")

    await page.getByRole("link", { name: "Account" }).click()
    await page.getByRole("button", { name: "Call the API" }).click()
    await page.getByText("Cell us01 knows you as alice, level 1.").waitFor()
    await picture(page, "4-account")
    // No code, state or token stays in an address that the person sees or hands on.
    expect(visited.filter((url) => url.startsWith(stage().browserOrigin)).join("\n")).not.toMatch(/code=|state=|token/)
    await context.close()
  })

  it("who goes to what needs a session is sent to log in by the edge itself, and lands there", async () => {
    const context = await newPerson()
    const page = await context.newPage()
    await page.goto(at("/rest/v1.0/me?page=2"))
    await sayWhoOneIs(page, "Alice")
    await page.waitForURL(at("/rest/v1.0/me?page=2"))
    expect(JSON.parse((await page.getByText("{").first().textContent()) ?? "")).toMatchObject({
      cell: "us01",
      query: "?page=2",
      passport: { sub: "alice" },
    })
    await context.close()
  })

  it("has a session cookie that scripts cannot read, for this host alone", async () => {
    const context = await newPerson()
    const page = await logIn(context)
    const cookie = (await context.cookies()).find(({ name }) => name === SESSION_COOKIE)
    expect(cookie).toMatchObject({
      domain: new URL(stage().browserOrigin).hostname,
      path: "/",
      secure: true,
      httpOnly: true,
      sameSite: "Lax",
    })
    expect(await page.evaluate(() => document.cookie)).toBe("")
    const text = `${await page.content()}${await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))}`
    expect(text).not.toContain(cookie?.value.split(".")[0])
    await context.close()
  })

  it("logs out in one tab, here and at the provider, and is refused in the other, which says so and leads back", async () => {
    const context = await newPerson()
    const first = await logIn(context)
    const second = await context.newPage()
    await second.goto(at("/webclients/drawings/account"))
    await second.getByRole("banner").getByRole("button", { name: "Log out" }).click()
    await second.getByRole("heading", { name: "Log out here too?" }).waitFor()
    await picture(second, "5-provider-log-out")
    await second.getByRole("button", { name: "Log out" }).click()
    await second.getByRole("heading", { name: "You are logged out" }).waitFor()
    expect(second.url()).toContain("/login/logged-out")
    await picture(second, "6-logged-out")

    // The first tab heard of it from the second, and its call is refused by the edge.
    await first.getByRole("banner").getByRole("link", { name: "Log in" }).waitFor()
    const answered = first.waitForResponse((response) => response.url().endsWith("/rest/v1.0/me"))
    await first.getByRole("button", { name: "Call the API" }).click()
    expect((await answered).status()).toBe(401)
    await first.getByText("You are not logged in.").first().waitFor()
    await picture(first, "7-first-tab-refused")
    await first.getByRole("main").getByRole("link", { name: "Log in again" }).click()
    await sayWhoOneIs(first, "Bob")
    await first.waitForURL(at(ACCOUNT))
    await first.getByText("bob", { exact: true }).first().waitFor()
    await context.close()
  })

  it("whose session somebody else revoked is refused though the cookie is still there, and can log in again", async () => {
    const context = await newPerson()
    const page = await logIn(context)
    await platform().api.post("/v1/revocations", [
      { target: { kind: "subject", idp: "identity-provider", subject: "alice" }, reason: "a test" },
    ])
    await eventually(10_000, async () => {
      await page.getByRole("button", { name: "Call the API" }).click()
      await page
        .getByRole("status")
        .getByText(/Cell us01|Your session was ended|not logged in/)
        .waitFor()
      return (await page.getByRole("status").getByText("Your session was ended").count()) > 0 ? true : null
    })
    await picture(page, "8-revoked")
    await page.getByRole("main").getByRole("link", { name: "Log in again" }).click()
    await sayWhoOneIs(page, "Alice")
    await page.waitForURL(at(ACCOUNT))
    await page.getByRole("button", { name: "Call the API" }).click()
    await page.getByText("Cell us01 knows you as alice, level 1.").waitFor()
    await context.close()
  })

  it("whose session is over already logs out all the same, where the app still shows them as logged in", async () => {
    const context = await newPerson()
    const page = await logIn(context, "Bob")
    await platform().api.post("/v1/revocations", [
      { target: { kind: "subject", idp: "identity-provider", subject: "bob" }, reason: "a test" },
    ])
    const status = () => page.evaluate(async () => (await fetch("/rest/v1.0/me")).status)
    await eventually(10_000, async () => ((await status()) === 401 ? true : null))
    await page.getByRole("banner").getByRole("button", { name: "Log out" }).click()
    await page.getByRole("heading", { name: "You are logged out" }).waitFor({ timeout: 10_000 })
    expect(page.url()).toBe(at("/login/logged-out"))
    await context.close()
  })

  it("proves more where more is asked for, and goes on with a new session", async () => {
    const context = await newPerson()
    const page = await logIn(context)
    const before = (await context.cookies()).find(({ name }) => name === SESSION_COOKIE)?.value
    await page.getByRole("button", { name: "Call what needs a second factor" }).click()
    await page.getByText("For this you have to prove once more who you are.").waitFor()
    await picture(page, "9-step-up")
    await page.getByRole("main").getByRole("link", { name: "Log in again" }).click()
    expect(await page.getByRole("checkbox").isChecked()).toBe(true)
    await sayWhoOneIs(page, "Alice", true)
    await page.waitForURL(at(ACCOUNT))
    await page.getByRole("button", { name: "Call what needs a second factor" }).click()
    await page.getByText("Cell us01 knows you as alice, level 2.").waitFor()
    expect((await context.cookies()).find(({ name }) => name === SESSION_COOKIE)?.value).not.toBe(before)
    await context.close()
  })

  it("logs in by a PIN from the mail", async () => {
    const context = await newPerson()
    const page = await context.newPage()
    await page.goto(at(ACCOUNT))
    await page.getByRole("link", { name: "have a PIN sent by e-mail" }).click()
    await page.getByLabel("E-mail address").fill("alice@example.com")
    await picture(page, "10-pin-address")
    await page.getByRole("button", { name: "Send a PIN" }).click()
    await page.getByLabel("PIN").waitFor()
    const mail = await eventually(5_000, async () => stage().mailbox.mails[0] ?? null)
    await page.getByLabel("PIN").fill(/\d{8}/.exec(mail.text)?.[0] ?? "")
    await picture(page, "11-pin")
    await page.getByRole("button", { name: "Log in" }).click()
    await page.waitForURL(at(ACCOUNT))
    await page.getByText("alice", { exact: true }).first().waitFor()
    await context.close()
  })

  it("who cancels at the provider sees why, and can begin again", async () => {
    const context = await newPerson()
    const page = await context.newPage()
    await page.goto(at("/login/start"))
    await page.getByRole("button", { name: "Cancel" }).click()
    await page.getByText("login.denied").waitFor()
    await picture(page, "12-denied")
    await page.getByRole("link", { name: "Log in again" }).click()
    await page.getByRole("heading", { name: "Who are you?" }).waitFor()
    await context.close()
  })
})
