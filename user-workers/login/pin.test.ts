import { afterEach, beforeEach, describe, it, vi } from "vitest"
import { FRESH_LOGIN_COOKIE, SESSION_COOKIE } from "../../contracts/session.ts"
import { openSession } from "../../kit/session-cookie.ts"
import { type Browser, type Circumstances, openBrowser, SESSION_KEYS, settingsFor } from "./testing/call-login.ts"

interface Mail {
  readonly to: string
  readonly text: string
}
let mails: Mail[] = []
let mailStatus = 202

beforeEach(() => {
  mails = []
  mailStatus = 202
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) => {
    mails.push((await new Request(input, init).json()) as Mail)
    return new Response(null, { status: mailStatus })
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

const address = () => `${crypto.randomUUID()}@example.com`
const randomIPv4 = () => crypto.getRandomValues(new Uint8Array(4)).join(".")
const open = (known: string, more: Circumstances = {}, ip = randomIPv4()): Browser =>
  openBrowser({
    claims: { facts: { ip, country: null, colo: null, asn: null, tls: null, bot: null } },
    ...more,
    vars: {
      ...settingsFor("https://idp.example"),
      MAIL_URL: "https://mail.example/mails",
      PIN_ADDRESSES: JSON.stringify({ [known]: { idp: "example", subject: "alice", company: "100", scopes: ["a"] } }),
      ...more.vars,
    },
  })
const idIn = (text: string) => /name="id" value="([^"]+)"/.exec(text)?.[1] ?? ""
const pinIn = (mail: Mail | undefined) => /\d{8}/.exec(mail?.text ?? "")?.[0] ?? ""
const other = (pin: string) => (pin === "12345678" ? "87654321" : "12345678")

async function ask(browser: Browser, email: string): Promise<{ id: string; pin: string; text: string }> {
  const text = await (await browser.post("/login/pin", { email, return_to: "/webclients/" })).text()
  return { id: idIn(text), pin: pinIn(mails.at(-1)), text }
}
const redeem = (browser: Browser, id: string, pin: string) => browser.post("/login/pin/verify", { id, pin })

describe("a PIN", () => {
  it("begins a session of the address's subject at level 1, and returns", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    const { id, pin } = await ask(browser, ` ${known.toUpperCase()} `)
    expect(mails.map(({ to }) => to)).toEqual([known])
    const response = await redeem(browser, id, pin)
    expect([response.status, response.headers.get("location")]).toEqual([303, "/webclients/"])
    const opened = await openSession(browser.cookies.get(SESSION_COOKIE) ?? "", SESSION_KEYS)
    expect(opened?.seal).toMatchObject({ idp: "example", subject: "alice", company: "100", scopes: ["a"], level: 1 })
  })

  it("is a fresh proof, also for whose provider gives none", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    browser.cookies.set(FRESH_LOGIN_COOKIE, "1")
    const before = Date.now()
    const { id, pin } = await ask(browser, known)
    expect((await redeem(browser, id, pin)).status).toBe(303)
    const opened = await openSession(browser.cookies.get(SESSION_COOKIE) ?? "", SESSION_KEYS)
    expect(opened?.seal.authenticatedAtMs).toBeGreaterThanOrEqual(before)
    expect(browser.cookies.has(FRESH_LOGIN_COOKIE)).toBe(false)
  })

  it("is good once, for whoever is first", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    const { id, pin } = await ask(browser, known)
    const statuses = (await Promise.all([1, 2, 3].map(() => redeem(browser, id, pin)))).map(({ status }) => status)
    expect(statuses.sort()).toEqual([303, 403, 403])
  })

  it("is good after four wrong ones, and not after five", async ({ expect }) => {
    for (const [wrong, status] of [
      [4, 303],
      [5, 403],
    ] as const) {
      const known = address()
      const browser = open(known)
      const { id, pin } = await ask(browser, known)
      for (let attempt = 0; attempt < wrong; attempt++) expect((await redeem(browser, id, other(pin))).status).toBe(403)
      expect((await redeem(browser, id, pin)).status).toBe(status)
    }
  })

  it("is good for ten minutes", async ({ expect }) => {
    for (const [afterMs, status] of [
      [599_000, 303],
      [601_000, 403],
    ] as const) {
      const known = address()
      const browser = open(known)
      const { id, pin } = await ask(browser, known)
      const real = Date.now()
      vi.spyOn(Date, "now").mockImplementation(() => real + afterMs)
      expect((await redeem(browser, id, pin)).status).toBe(status)
      vi.restoreAllMocks()
    }
  })

  it("is good in the browser that asked for it, and for no other id", async ({ expect }) => {
    const known = address()
    const [browser, elsewhere] = [open(known), open(known)]
    const { id, pin } = await ask(browser, known)
    const theirs = await ask(elsewhere, known)
    expect((await redeem(elsewhere, id, pin)).status).toBe(403)
    expect((await redeem(browser, theirs.id, pin)).status).toBe(403)
    expect((await redeem(browser, crypto.randomUUID(), pin)).status).toBe(403)
    browser.cookies.delete("__Host-sallyport-login")
    expect((await redeem(browser, id, pin)).status).toBe(403)
  })

  it("that is wrong is asked for again, with code and request id on the page", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    const { id, pin } = await ask(browser, known)
    const text = await (await redeem(browser, id, other(pin))).text()
    expect(text).toContain("login.pin-wrong")
    expect(idIn(text)).toBe(id)
  })

  it("is refused from another site, and where its subject is not named any more", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    const { id, pin } = await ask(browser, known)
    const body = new URLSearchParams({ id, pin })
    const crossSite = { method: "POST", body, headers: { "sec-fetch-site": "cross-site" } }
    expect((await browser.call("/login/pin/verify", crossSite)).status).toBe(403)
    const emptied = await browser.call(
      "/login/pin/verify",
      { method: "POST", body: new URLSearchParams({ id, pin }), headers: { "sec-fetch-site": "same-origin" } },
      { vars: { PIN_ADDRESSES: "{}" } },
    )
    expect(emptied.status).toBe(403)
  })

  it("is no part of anything that is stored or logged", async ({ expect }) => {
    const log = vi.spyOn(console, "log")
    const known = address()
    const browser = open(known)
    const { pin, text } = await ask(browser, known)
    expect(text).not.toContain(pin)
    expect(log.mock.calls.flat().join("\n")).not.toContain(pin)
    expect(log.mock.calls.flat().join("\n")).not.toContain(known)
  })
})

describe("asking for a PIN", () => {
  it("is answered alike for addresses that nobody may log in by, and sends them nothing", async ({ expect }) => {
    const known = address()
    const browser = open(known)
    const answers = [await ask(browser, known), await ask(browser, address())]
    expect(answers[0]?.text.replace(answers[0].id, "")).toBe(answers[1]?.text.replace(answers[1].id, ""))
    expect(mails).toHaveLength(1)
  })

  it("is answered alike when the mail cannot be sent", async ({ expect }) => {
    mailStatus = 500
    const log = vi.spyOn(console, "log")
    const known = address()
    expect((await ask(open(known), known)).id).not.toBe("")
    expect(log.mock.calls.flat().join("\n")).toContain('"event":"pin-not-sent"')
  })

  it("is bounded to five per address and client in an hour, known or not", async ({ expect }) => {
    const known = address()
    for (const asked of [known, address()]) {
      const ip = randomIPv4()
      for (let attempt = 0; attempt < 5; attempt++) expect((await ask(open(known, {}, ip), asked)).id).not.toBe("")
      const sixth = await open(known, {}, ip).post("/login/pin", { email: asked })
      expect([sixth.status, sixth.headers.get("retry-after")]).toEqual([429, "3600"])
    }
    const real = Date.now()
    vi.spyOn(Date, "now").mockImplementation(() => real + 3_601_000)
    expect((await ask(open(known), known)).id).not.toBe("")
  })

  it("leaves somebody theirs when a stranger has used up what one client may ask for", async ({ expect }) => {
    const known = address()
    const stranger = open(known)
    for (let attempt = 0; attempt < 6; attempt++) await stranger.post("/login/pin", { email: known })
    const owner = open(known)
    const { id, pin } = await ask(owner, known)
    expect((await redeem(owner, id, pin)).status).toBe(303)
  })

  it("is bounded to twenty per address in an hour, from however many clients", async ({ expect }) => {
    const known = address()
    for (let attempt = 0; attempt < 20; attempt++) expect((await ask(open(known), known)).id).not.toBe("")
    expect((await open(known).post("/login/pin", { email: known })).status).toBe(429)
  })

  it("is bounded to thirty per client in an hour", async ({ expect }) => {
    const browser = open(address())
    for (let attempt = 0; attempt < 30; attempt++) await ask(browser, address())
    expect((await browser.post("/login/pin", { email: address() })).status).toBe(429)
  })

  it("counts the addresses of one IPv6 /64 as one client, and not those of the next", async ({ expect }) => {
    const known = address()
    for (let host = 1; host <= 5; host++) await ask(open(known, {}, `2001:db8:7:1::${host}`), known)
    expect((await open(known, {}, "2001:DB8:7:1:ffff::1").post("/login/pin", { email: known })).status).toBe(429)
    expect((await open(known, {}, "2001:db8:7:2::1").post("/login/pin", { email: known })).status).toBe(200)
  })

  for (const email of ["", "alice", "a@b@c", "alice@example .com", `${"a".repeat(65)}@example.com`])
    it(`is refused for "${email.slice(0, 20)}"`, async ({ expect }) => {
      expect((await open(address()).post("/login/pin", { email })).status).toBe(400)
    })

  it("is not possible where no mail is set up", async ({ expect }) => {
    const browser = open(address(), { vars: { MAIL_URL: "" } })
    expect((await browser.call("/login/pin")).status).toBe(404)
    expect((await browser.post("/login/pin", { email: address() })).status).toBe(404)
  })

  it("keeps what it is given from becoming markup", async ({ expect }) => {
    const text = await (
      await open(address()).call(`/login/pin?return_to=${encodeURIComponent('"><script>x</script>')}`)
    ).text()
    expect(text).not.toContain("<script")
    expect(text).toContain("&#34;&#62;&#60;script&#62;")
  })
})
