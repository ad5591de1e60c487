/**
 * A real Chromium for tests, from the package that brings it, without a word to any network but this machine's: what a browser looks up in the background
 * would wait on a closed network, or succeed on an open one and make a test depend on it.
 */
import chromium from "@sparticuz/chromium"
import { type Browser, chromium as playwright } from "playwright-core"

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-default-apps",
  "--disable-domain-reliability",
  // Names outside *.localhost do not resolve, whatever a page asks for.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
  // The Reporting API otherwise gathers reports for a minute.
  "--short-reporting-delay",
]

/**
 * Starts it headless with an empty profile of its own; takes a second or two, more when the package is unpacked for the first time. Close it.
 * `trustedKeys` are hashes of certificates' keys that it is to believe (tls-front.ts).
 */
export async function openChromium(trustedKeys: readonly string[] = []): Promise<Browser> {
  const trust = trustedKeys.length === 0 ? [] : [`--ignore-certificate-errors-spki-list=${trustedKeys.join(",")}`]
  const executablePath = await chromium.executablePath()
  return playwright.launch({ executablePath, args: [...QUIET, ...trust], headless: true })
}
