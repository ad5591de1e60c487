/**
 * Every lie of the catalogue, told to the login Worker behind the dispatcher: no session begins, the person is told so, nothing leaks, and the
 * same provider's honest login works right after, so that what was refused was the lie.
 */
import { readFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ANSWERED, type Attack, HONEST_WAYS, REDEEMED, TENANT_ATTACKS } from "./hostile-provider/attacks.ts"
import type { Page } from "./hostile-provider/browser.ts"
import { makeForgeKey } from "./hostile-provider/forge.ts"
import type { Tenant } from "./hostile-provider/provider.ts"
import { APP, logIn, sessionCookiesIn, useStage } from "./hostile-provider/stage.ts"

/** As many providers as one login Worker takes. */
const PROVIDERS_AT_ONCE = 19
const stage = useStage("honest")
const told: string[] = []
/** How often each code was the answer. */
const codes = new Map<string, number>()

afterAll(() => {
  const tally = [...codes].map(([code, count]) => `${code} ×${count}`).join(", ")
  process.stderr.write(`Hostile provider: ${told.length} lies told, none made a session (${tally})\n`)
})

const handles = () => stage().store.keys("session/")

/** What no answer to the browser may hold. */
function secretsOf(tenant: Tenant): string[] {
  const posted = tenant.seen.flatMap(({ body }) => [...new URLSearchParams(body).entries()])
  const redeemed = posted.filter(([name]) => name === "code_verifier" || name === "client_secret")
  return [tenant.clientSecret, stage().sessionKeys, ...redeemed.map(([, value]) => value)]
}

/** Of the problem, or of the page that says it to a person. */
function codeOf({ text }: Page): string {
  return /(?:"code":"|class="facts">)([a-z.-]+)/.exec(text)?.[1] ?? "none"
}

function expectRefusal(page: Page, tenant: Tenant): void {
  expect(page.status, page.text).toBeGreaterThanOrEqual(400)
  expect(page.headers.get("content-type")).toMatch(/^(application\/problem\+json|text\/html)/)
  const code = codeOf(page)
  expect(code, page.text).toMatch(/^(login|edge)\./)
  codes.set(code, (codes.get(code) ?? 0) + 1)
  expect(sessionCookiesIn(page)).toEqual([])
  const wire = page.text + [...page.headers].join("\n")
  for (const secret of secretsOf(tenant)) expect(wire).not.toContain(secret)
  for (const markup of ["<script>alert", "<img", "javascript:"]) expect(wire).not.toContain(markup)
}

async function expectHonestLogin(tenant: Tenant, { scenario, arrange, start }: Partial<Attack> = {}): Promise<void> {
  tenant.forget()
  tenant.scenario = scenario ?? {}
  arrange?.(tenant)
  const before = await handles()
  const { ended } = await logIn(stage(), stage().browser(), tenant, start)
  expect(ended.location, ended.text).toBe(`${APP}/home`)
  expect(sessionCookiesIn(ended)).toHaveLength(1)
  expect((await handles()).length - before.length).toBe(1)
}

async function expectNoSession({ name, scenario, arrange, start }: Attack, tenant: Tenant) {
  tenant.forget()
  tenant.scenario = scenario ?? {}
  arrange?.(tenant)
  const before = await handles()
  const { started, ended } = await logIn(stage(), stage().browser(), tenant, start)
  expect(await handles()).toEqual(before)
  expectRefusal(ended, tenant)
  told.push(name)
  return { started, ended }
}

describe("an honest login", () => {
  it("makes exactly one session", () => expectHonestLogin(stage().provider.tenant("honest")))

  it("asks with PKCE by S256, state and nonce, and redeems the code once", async () => {
    const tenant = stage().provider.tenant("honest")
    tenant.forget()
    await logIn(stage(), stage().browser(), tenant)
    const asked = [...tenant.logins.values()].at(-1)?.asked
    expect(asked?.get("code_challenge_method")).toBe("S256")
    for (const name of ["state", "nonce", "code_challenge"]) expect(asked?.get(name)?.length).toBeGreaterThanOrEqual(32)
    expect(tenant.countOf("token")).toBe(1)
  })
})

describe("a login that is asked for", () => {
  it.each([
    "idp=honest&idp=evil",
    "idp=nobody",
    "idp=__proto__",
    "idp=honest&level=4",
    "idp=honest&level=-1",
    "idp=honest&level=1e0",
    "idp=honest&level=1&level=0",
    "idp=honest&max_age=-1",
    "idp=honest&max_age=9999999999999",
    "idp=honest&max_age=",
    `idp=${"x".repeat(10_000)}`,
  ])("is refused when it is not as it must be: %s", async (query) => {
    const page = await stage().browser().visit(`${APP}/login/start?${query}`)
    expect(page.status).toBe(400)
    expect(page.text).toContain("login.request-invalid")
    expect(page.headers.getSetCookie()).toEqual([])
  })

  it("is answered where the request was made, whatever headers say of another place", async () => {
    const headers = {
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "http",
      forwarded: "host=evil.example;proto=http",
      "x-original-url": "https://evil.example/",
      "x-host": "evil.example",
      origin: "https://evil.example",
      referer: "https://evil.example/",
    }
    const page = await stage().browser().visit(`${APP}/login/start?idp=honest`, { headers })
    const asked = new URL(page.location ?? "")
    expect(asked.origin).toBe(stage().provider.url)
    expect(asked.searchParams.get("redirect_uri")).toMatch(/^https:\/\/app\.procore\.com\/login\/callback/)
    expect(page.location).not.toContain("evil.example")
  })
})

describe("a lie in what the code is redeemed for", () => {
  it.for(REDEEMED)("makes no session: $name", { timeout: 30_000 }, async (attack) => {
    const tenant = stage().provider.tenant("honest")
    const { started } = await expectNoSession(attack, tenant)
    expect(started.status).toBe(302)
    expect(tenant.countOf("token")).toBe(1)
    await expectHonestLogin(tenant)
  })
})

describe("a lie in the browser's answer", () => {
  it.for(ANSWERED)("makes no session, and no code goes anywhere: $name", async (attack) => {
    const tenant = stage().provider.tenant("honest")
    const { started } = await expectNoSession(attack, tenant)
    expect(started.status).toBe(302)
    if (!["code-unknown", "code-very-long"].includes(attack.name)) expect(tenant.countOf("token")).toBe(0)
    await expectHonestLogin(tenant)
  })
})

describe("what honest providers do", () => {
  const ways = HONEST_WAYS.map((way, index) => ({
    name: way.name,
    way,
    tenant: way.arrange === undefined ? "honest" : `h${index}`,
  }))
  beforeAll(() => {
    const tenants = [...new Set(ways.map(({ tenant }) => tenant))].map((name) => stage().provider.tenant(name))
    return stage().useTenants(tenants)
  })

  it.for(ways)("makes exactly one session: $name", ({ way, tenant }) =>
    expectHonestLogin(stage().provider.tenant(tenant), way),
  )
})

const batches = Array.from({ length: Math.ceil(TENANT_ATTACKS.length / PROVIDERS_AT_ONCE) }, (_, index) =>
  TENANT_ATTACKS.slice(index * PROVIDERS_AT_ONCE, (index + 1) * PROVIDERS_AT_ONCE).map((attack, at) => ({
    name: attack.name,
    attack,
    tenant: `t${index}-${at}`,
  })),
)
describe.each(batches.map((attacks, index) => ({ attacks, index })))(
  "a lie in what the provider says of itself, batch $index",
  ({ attacks }) => {
    beforeAll(() =>
      stage().useTenants(
        ["honest", ...attacks.map(({ tenant }) => tenant)].map((name) => stage().provider.tenant(name)),
      ),
    )

    it("is not told by an honest one beside it", () => expectHonestLogin(stage().provider.tenant("honest")))

    it.for(attacks)("makes no session: $name", { timeout: 40_000 }, async ({ attack, tenant }) => {
      const liar = stage().provider.tenant(tenant)
      await expectNoSession(attack, liar)
      expect(liar.countOf(".well-known/openid-configuration")).toBeGreaterThan(0)
      if (attack.name.includes("key")) expect(liar.countOf("token")).toBe(1)
    })
  },
)

describe("keys that change", () => {
  beforeAll(() => stage().useTenants(["just-before", "after", "unknown"].map((name) => stage().provider.tenant(name))))

  it("log in with one more look at the key set: oidcc-client-test-signing-key-rotation-just-before-signing", async () => {
    const tenant = stage().provider.tenant("just-before")
    await expectHonestLogin(tenant)
    tenant.scenario = {
      beforeSigning: () => {
        tenant.keys = [makeForgeKey("rotated")]
      },
    }
    const looked = tenant.countOf("jwks")
    const before = await handles()
    const { ended } = await logIn(stage(), stage().browser(), tenant)
    expect(ended.location).toBe(`${APP}/home`)
    expect((await handles()).length - before.length).toBe(1)
    expect(tenant.countOf("jwks") - looked).toBe(1)
  })

  it("log in once they are published: oidcc-client-test-signing-key-rotation", async () => {
    const tenant = stage().provider.tenant("after")
    await expectHonestLogin(tenant)
    tenant.keys = [makeForgeKey("rotated")]
    await expectHonestLogin(tenant)
  })

  it("are not looked for again and again because of kids that nobody published", async () => {
    const tenant = stage().provider.tenant("unknown")
    await expectHonestLogin(tenant)
    tenant.forget()
    tenant.scenario = { header: (honest) => ({ ...honest, kid: `made-up-${Math.random()}` }) }
    const before = await handles()
    for (let each = 0; each < 20; each++) await logIn(stage(), stage().browser(), tenant)
    expect(await handles()).toEqual(before)
    expect(tenant.countOf("token")).toBe(20)
    expect(tenant.countOf("jwks")).toBeLessThanOrEqual(1)
  })
})

describe("the log of the platform", () => {
  it("holds no code, verifier, token, client secret or session of all these logins", async () => {
    const tenants = ["honest", "just-before", "after", "unknown"].map((name) => stage().provider.tenant(name))
    const browser = stage().browser()
    const tenant = stage().provider.tenant("after")
    tenant.forget()
    let idToken = ""
    tenant.scenario = {
      idToken: (signed) => {
        idToken = signed
        return signed
      },
    }
    const { ended } = await logIn(stage(), browser, tenant)
    const [cookie = ""] = sessionCookiesIn(ended)
    const posted = tenant.seen.flatMap(({ body }) => [...new URLSearchParams(body).values()])
    const secrets = [
      cookie.slice(cookie.indexOf("=") + 1, cookie.indexOf(".")),
      idToken.split(".")[2] ?? "",
      stage().sessionKeys,
      ...posted.filter((value) => value.length > 20 && !value.startsWith("http") && value !== "authorization_code"),
      ...tenants.map(({ clientSecret }) => clientSecret),
    ]
    const written =
      readFileSync(stage().platform.logFile, "utf8") + JSON.stringify(await stage().platform.trips({ limit: 1_000 }))
    expect(secrets.length).toBeGreaterThan(7)
    expect(secrets.filter((secret) => secret.length < 20 || written.includes(secret))).toEqual([])
  })
})
