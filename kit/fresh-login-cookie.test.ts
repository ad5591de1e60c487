import { expect, it } from "vitest"
import { LOGIN_COOKIE_PREFIX } from "../contracts/session.ts"
import { asksForFreshLogin, clearedFreshLoginCookie, freshLoginCookie } from "./fresh-login-cookie.ts"
import { growsFasterThan } from "./testing/growth.ts"

const asks = (cookie: string) => asksForFreshLogin(new Request("https://a.example/", { headers: { cookie } }))

it("is one of the login's cookies, for this host and ten minutes, over TLS alone and out of reach of scripts", () => {
  expect(freshLoginCookie().startsWith(LOGIN_COOKIE_PREFIX)).toBe(true)
  const attributes = "Path=/; Secure; HttpOnly; SameSite=Lax"
  expect(freshLoginCookie()).toBe(`__Host-sallyport-login-fresh=1; ${attributes}; Max-Age=600`)
  expect(clearedFreshLoginCookie()).toBe(`__Host-sallyport-login-fresh=; ${attributes}; Max-Age=0`)
})

it.each<[string, boolean]>([
  ["__Host-sallyport-login-fresh=1", true],
  ["a=1;\t__Host-sallyport-login-fresh=1 ; b=2", true],
  ["__Host-sallyport-login-fresh=1; __Host-sallyport-login-fresh=1", true],
  ["a=1", false],
  ["__Host-sallyport-login=1", false],
  ["__Host-sallyport-login-fresh=", false],
  ["__Host-sallyport-login-fresh=11", false],
  ["__host-sallyport-login-fresh=1", false],
  ["\u00a0__Host-sallyport-login-fresh=1", false],
  ["a=__Host-sallyport-login-fresh=1", false],
])("is read from %s: %s", (cookie, isAsked) => {
  expect(asks(cookie)).toBe(isAsked)
})

it("takes time by the length of the header to find", () => {
  expect(growsFasterThan(60_000, (size) => asks(`a${" ".repeat(size)}x`))).toBe(false)
})
