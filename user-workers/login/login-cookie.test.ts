import { expect, it } from "vitest"
import { growsFasterThan } from "../../kit/testing/growth.ts"
import { browserSecret, loginCookie, makeSecret } from "./login-cookie.ts"

const SECRET = "s".repeat(43)
const COOKIE = `__Host-sallyport-login=${SECRET}`
const secretOf = (cookie: string) => browserSecret(new Request("https://a.example/", { headers: { cookie } }))

it.each([COOKIE, `a=1;\t${COOKIE} ; b=2`, `${COOKIE}; __Host-sallyport-login-pin=x`])(
  "is the browser's secret in %j",
  (cookie) => {
    expect(secretOf(cookie)).toBe(SECRET)
  },
)

it.each([
  "a=1",
  `${COOKIE}; ${COOKIE}`,
  `${COOKIE}s`,
  COOKIE.slice(0, -1),
  `\u00a0${COOKIE}`,
  COOKIE.replace("__Host", "__host"),
  `a=${COOKIE}`,
])("is none in %j", (cookie) => {
  expect(secretOf(cookie)).toBeNull()
})

it("is read as it was set", () => {
  const secret = makeSecret()
  expect(secretOf(loginCookie(secret).split(";")[0] ?? "")).toBe(secret)
})

it("takes time by the length of the header to find", () => {
  expect(growsFasterThan(60_000, (size) => secretOf(`a${" ".repeat(size)}x`))).toBe(false)
})
