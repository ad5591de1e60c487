/**
 * Where a login leads to, over what others have collected: open-redirect payloads and every input of the URL standard's own test data, as `return_to` of a login that really happens,
 * at the other pages of the login Worker, and as the address from which the dispatcher sends a browser to log in. No `Location` leads off the origin.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { canonicalPath } from "../../kit/canonical-path.ts"
import { readCorpus } from "./corpora.ts"
import type { Page } from "./hostile-provider/browser.ts"
import { APP, isCallback, useStage } from "./hostile-provider/stage.ts"

const LANES = 8
const stage = useStage("corp")

interface Case {
  /** As in the corpus. */
  readonly payload: string
  /** As in the query. */
  readonly written: string
}

/** Each payload so that it is decoded to itself, and as it stands where a request line can hold it. */
function casesOf(payloads: readonly string[]): Case[] {
  return [...new Set(payloads)].flatMap((payload) => {
    const encoded = encodeURIComponent(payload.toWellFormed())
    const asIs = /^[\x21-\x7e]+$/.test(payload) && !/[#&]/.test(payload) ? [payload] : []
    return [...new Set([encoded, ...asIs])].map((written) => ({ payload, written }))
  })
}

async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all]
  const lane = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

/** What is wrong with a `Location` of ours, as a browser at `at` would follow it; null when nothing is. */
function faultOf(location: string | null, at: string): string | null {
  if (location === null) return null
  const url = URL.parse(location, at)
  if (url === null) return "is no URL"
  if (url.origin !== APP) return `leads to ${url.origin}`
  if (!location.startsWith(`${APP}/`) && !/^\/(?![/\\])/.test(location)) return "is not a path of ours to every reader"
  try {
    canonicalPath(url.pathname)
  } catch {
    return "is a path that the edge refuses"
  }
  return null
}

/** The `Location` as it was sent, unresolved. */
const sentTo = (page: Page) => page.headers.get("location")

/** A login with this query, up to where it leads. */
async function logInWith(query: string): Promise<Page> {
  const browser = stage().browser()
  const begun = await browser.visit(`${APP}/login/start?idp=corp&${query}`)
  if (begun.location === null) return begun
  const back = await browser.visit(begun.location, { from: APP })
  if (!isCallback(back.location ?? "")) throw new Error(`The provider sent to ${back.location}`)
  return browser.visit(back.location ?? "", { from: stage().provider.url })
}

const redirects = readCorpus("redirects.txt")
const urls = readCorpus("urltestdata.json")
const payloads = [
  ...(redirects ?? "").split("\n").filter((line) => line !== ""),
  ...(JSON.parse(urls ?? "[]") as unknown[]).flatMap((one) =>
    typeof one === "object" && one !== null && "input" in one ? [String(one.input)] : [],
  ),
]

/** Our own: what collections lack, and what has to be kept. */
const OURS = [
  "/\t/evil.example",
  "/\n/evil.example",
  "\u0000//evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/.//evil.example",
  "/..//evil.example",
  "/%2e//evil.example",
  "/%2f%2fevil.example",
  "/%5cevil.example",
  "/login/../..//evil.example",
  "https:evil.example",
  "https:/evil.example",
  "https://app.procore.com@evil.example/",
  "https://app.procore.com.evil.example/",
  "https://app.procore.com:8443/",
  "http://app.procore.com/",
  "//app.procore.com\\@evil.example/",
  "javascript://app.procore.com/%0aalert(1)",
  "blob:https://app.procore.com/x",
  "/x\r\nSet-Cookie: a=b",
  "/x\u2028y",
  `/${"x".repeat(10_000)}`,
]

it("takes a browser back to where it wanted to go (the control)", async () => {
  for (const wanted of ["/home", "/a/b?c=d&e=%2F%2Fevil.example", "/caf%C3%A9", "https://app.procore.com/full?x=1"]) {
    const page = await logInWith(`return_to=${encodeURIComponent(wanted)}`)
    expect(page.location).toBe(new URL(wanted, APP).href)
  }
})

it.each([
  ["an absolute path of another login", "/login/start?return_to=//evil.example"],
  ["an empty one", ""],
])("leads home after %s", async (_what, wanted) => {
  expect((await logInWith(`return_to=${encodeURIComponent(wanted)}`)).location).toBe(`${APP}/`)
})

it("does not choose between two", async () => {
  const page = await logInWith("return_to=/a&return_to=//evil.example")
  expect(page.status).toBe(400)
  expect(sentTo(page)).toBeNull()
})

describe.each([
  { name: "our own", payloads: OURS },
  { name: "collections", payloads },
])("return_to, $name", ({ name, payloads: some }) => {
  const cases = casesOf(some)
  const skipped = some.length === 0

  it.skipIf(skipped)("never leads off the origin after a login", { timeout: 300_000 }, async () => {
    const wrong: string[] = []
    let home = 0
    let kept = 0
    let refused = 0
    await each(cases, async ({ written, payload }) => {
      const page = await logInWith(`return_to=${written}`)
      const location = sentTo(page)
      const fault = faultOf(location, page.url)
      if (fault !== null) wrong.push(`${JSON.stringify(payload)} → ${location}: ${fault}`)
      if (location === null) refused++
      else if (new URL(location, page.url).href === `${APP}/`) home++
      else kept++
    })
    process.stderr.write(
      `return_to, ${name}: ${some.length} payloads, ${cases.length} logins; ${home} led home, ${kept} to a path of ours, ${refused} to no redirect, ${wrong.length} elsewhere\n`,
    )
    expect(wrong).toEqual([])
  })

  it.skipIf(skipped)("leads nowhere from the other pages", { timeout: 300_000 }, async () => {
    const wrong: string[] = []
    await each(cases, async ({ written, payload }) => {
      const browser = stage().browser()
      for (const at of ["logged-out", "logout"]) {
        const page = await browser.visit(
          `${APP}/login/${at}?return_to=${written}&post_logout_redirect_uri=${written}&redirect_uri=${written}`,
        )
        if (faultOf(sentTo(page), page.url) !== null) wrong.push(`${at} ${JSON.stringify(payload)} → ${sentTo(page)}`)
        for (const [, link = ""] of page.text.matchAll(/(?:href|action|src)="([^"]*)"/g))
          if (faultOf(link.replaceAll("&#38;", "&"), page.url) !== null) wrong.push(`${at} links to ${link}`)
      }
    })
    expect(wrong).toEqual([])
  })
})

describe.each([
  { name: "our own", payloads: OURS },
  { name: "collections", payloads },
])("an address that asks for a login, $name", ({ name, payloads: some }) => {
  const skipped = some.length === 0
  let targets: string[] = []
  beforeAll(() => {
    const writable = some.filter((payload) => /^[\x21-\x7e]+$/.test(payload) && !payload.includes("#"))
    targets = [
      ...new Set(
        writable.flatMap((payload) => [
          `/${payload}`,
          `/x?to=${payload}`,
          ...(payload.startsWith("/") ? [payload] : []),
        ]),
      ),
    ]
  })

  it.skipIf(skipped)(
    "sends the browser to the login of its own origin, and the login back to it",
    { timeout: 300_000 },
    async () => {
      const wrong: string[] = []
      let sent = 0
      await each(targets, async (target) => {
        const page = await stage().browser().visit(`${APP}${target}`)
        const location = sentTo(page)
        if (location === null) return
        sent++
        const to = new URL(location, page.url)
        if (faultOf(location, page.url) !== null || to.pathname !== "/login/start")
          wrong.push(`${target} → ${location}`)
        // Not all again: the login itself is tried above with each of them.
        const back = faultOf(to.searchParams.get("return_to"), APP)
        if (back !== null) wrong.push(`${target} → return_to ${to.searchParams.get("return_to")}: ${back}`)
      })
      process.stderr.write(
        `Login redirect, ${name}: ${targets.length} addresses, ${sent} sent to the login, ${wrong.length} elsewhere\n`,
      )
      expect(wrong).toEqual([])
      expect(sent).toBeGreaterThan(0)
    },
  )
})
