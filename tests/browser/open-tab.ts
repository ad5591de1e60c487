/** A tab that remembers all that a developer would see in its console, and every violation of a policy. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core"

export interface Violation {
  readonly directive: string
  readonly blocked: string
  readonly disposition: string
}

export interface Tab {
  readonly page: Page
  /** Errors and warnings of the console, exceptions that nobody caught, answers from 400 on and requests that failed; in order. */
  readonly complaints: readonly string[]
  violations(): Promise<readonly Violation[]>
  close(): Promise<void>
}

interface TabOptions extends BrowserContextOptions {
  readonly permissions?: string[]
}

/** In a profile of its own, so that neither cache nor storage comes from another tab. */
export async function openTab(browser: Browser, url: string, options: TabOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on("console", (message) => {
    if (isNobody(message.location().url)) return
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("requestfailed", (request) => complaints.push(`${request.url()} ${request.failure()?.errorText}`))
  page.on("response", (response) => {
    if (response.status() >= 400 && !isNobody(response.url())) complaints.push(`${response.status()} ${response.url()}`)
  })
  await page.addInitScript(rememberViolations)
  await page.goto(url)
  return {
    page,
    complaints,
    violations: () => page.evaluate(() => (window as unknown as { violations: Violation[] }).violations),
    close: () => context.close(),
  }
}

/** That nobody is logged in is no complaint: the apps ask, because no script can see the cookie. */
function isNobody(url: string): boolean {
  return url.endsWith("/.sallyport/session")
}

/** Runs in the page, before anything of its own. */
function rememberViolations(): void {
  const seen: Violation[] = []
  Object.assign(window, { violations: seen })
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, disposition }) => {
    seen.push({ directive: effectiveDirective, blocked: blockedURI, disposition })
  })
}
