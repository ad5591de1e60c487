/** A person's login at the example identity provider, with every secret that it makes on its way. */
import { ServerResponse } from "node:http"
import { vi } from "vitest"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../contracts/session.ts"
import type { TestPlatform } from "../../emulator/testing.ts"

export interface Login {
  /** Value of the session cookie. */
  readonly session: string
  /** Texts that belong to the browser, the login Worker and the provider alone, by what they are. */
  readonly secrets: Readonly<Record<string, string>>
}

/** As a browser does it, without one. Throws when any step does not go as it must. */
export async function logInAs(person: "alice" | "bob", platform: TestPlatform): Promise<Login> {
  // The provider runs in this process: what it sends the login Worker goes through here.
  const ends = vi.spyOn(ServerResponse.prototype, "end")
  try {
    const begun = await platform.fetch("https://app.procore.com/login/start?return_to=/home")
    const loginSecret = cookieOf(begun, LOGIN_COOKIE_PREFIX)
    const callback = await consentOf(person, locationOf(begun))
    const headers = { cookie: `${LOGIN_COOKIE_PREFIX}=${loginSecret}` }
    const back = await platform.fetch(`https://app.procore.com${callback.pathname}${callback.search}`, { headers })
    const session = cookieOf(back, SESSION_COOKIE)
    const [id = "", payload = "", mac = ""] = session.split(".")
    const { id_token, access_token } = tokensIn(ends.mock.calls.map(([chunk]) => String(chunk)))
    const code = callback.searchParams.get("code") ?? ""
    const secrets = { code, loginSecret, id, payload, mac, access_token, signature: id_token.split(".")[2] ?? "" }
    const missing = Object.entries(secrets).filter(([, text]) => text.length < 20)
    if (missing.length > 0) throw new Error(`The login gave no ${missing.map(([name]) => name).join(", ")}`)
    return { session, secrets }
  } finally {
    ends.mockRestore()
  }
}

/** What the provider's pages ask, up to where it sends the browser back. */
async function consentOf(person: string, start: URL): Promise<URL> {
  const jar = new Map<string, string>()
  let next = start
  for (let step = 0; step < 8; step++) {
    if (next.pathname === "/login/callback") return next
    const isPage = next.pathname.startsWith("/interaction/")
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ")
    const form = isPage ? { method: "POST", body: new URLSearchParams({ person }) } : {}
    const response = await fetch(next, { redirect: "manual", headers: { cookie }, ...form })
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    next = locationOf(response, next)
  }
  throw new Error("The provider did not send the browser back")
}

function locationOf(response: Response, base?: URL): URL {
  const location = response.headers.get("location")
  if (location === null) throw new Error(`A redirect was expected, not ${response.status}`)
  return new URL(location, base)
}

function cookieOf(response: Response, name: string): string {
  const line = response.headers.getSetCookie().find((each) => each.startsWith(`${name}=`))
  if (line === undefined) throw new Error(`${response.status} set no ${name}`)
  return line.slice(name.length + 1, line.indexOf(";"))
}

function tokensIn(bodies: readonly string[]): { id_token: string; access_token: string } {
  const body = bodies.find((text) => text.includes('"id_token"') && text.includes('"access_token"'))
  if (body === undefined) throw new Error("The provider gave no tokens")
  return JSON.parse(body) as { id_token: string; access_token: string }
}
