import fc from "fast-check"
import { expect, it } from "vitest"
import { growsFasterThan } from "../../../kit/testing/growth.ts"
import { mayHoldGatewayCookie, sessionCookieOf, withoutGatewayCookies } from "./gateway-cookies.ts"

it.each([
  ["__Host-sallyport-session=s", ""],
  ["__Host-sallyport-session=s; __Host-sallyport-login=l", ""],
  ["a=1; __Host-sallyport-session=s", "a=1"],
  ["__Host-sallyport-session=s; a=1", "a=1"],
  ["a=1; __Host-sallyport-session=s; b=2", "a=1; b=2"],
  ["a=1;__Host-sallyport-session=s;b=2", "a=1;b=2"],
  ["a=1; __host-SALLYPORT-session=s; b=2", "a=1; b=2"],
  ["a=1; __Secure-sallyport-session=s", "a=1"],
  ["a=1;\t \u00a0__Host-sallyport-session=s", "a=1"],
  ["a=1; __Host-sallyport-session", "a=1"],
  ["a=1, __Host-sallyport-session=s", "a=1"],
  ["a=1, __Host-sallyport-session=s; b=2", "a=1; b=2"],
])("of %j leaves %j", (cookie, kept) => {
  expect(withoutGatewayCookies(cookie)).toBe(kept)
})

it.each([
  "a=1",
  ' a = 1 ;; b="x;y",z ;',
  "__Host-session=s",
  "sallyport-session=s",
  "x__Host-sallyport-session=s",
  "a=__Host-sallyport-session",
])("keeps %j byte for byte", (cookie) => {
  expect(withoutGatewayCookies(cookie)).toBe(cookie)
})

/** Longer than any header, so that what is quadratic takes its time: searching for one character is quick. */
const HOSTILE_SIZE = 524_288
it.each([
  "; ",
  ", ,",
  ";__Host-",
  " ",
  ";\t",
  ";\t=",
  "; =",
  ";__Host-sallyport",
  "__Host-sallyport-session=",
  "; __Host-sallyport-session=id.seal_-9.mac",
  ";__Host-sallyport-session ",
  ", __Host-sallyport-session=",
])("takes time by the length of a hostile cookie, to keep it back and to read it: %j", (unit) => {
  const cookie = (size: number) => unit.repeat(size / unit.length)
  expect(growsFasterThan(HOSTILE_SIZE, (size) => withoutGatewayCookies(cookie(size)))).toBe(false)
  expect(growsFasterThan(HOSTILE_SIZE, (size) => sessionCookieOf(cookie(size)))).toBe(false)
})

it.each([
  ["__Host-sallyport-login=l; a=1", "__Host-sallyport-login=l; a=1"],
  ["a=1; __Host-sallyport-login-pin=l", "a=1; __Host-sallyport-login-pin=l"],
  ["__Host-sallyport-session=s; __Host-sallyport-login=l", "__Host-sallyport-login=l"],
  ["__Host-sallyport-login=l; __Host-sallyport-session=s; a=1", "__Host-sallyport-login=l; a=1"],
  ["a=1; __host-sallyport-login=l", "a=1"],
  ["a=1;__Host-sallyport-login=l", "a=1"],
  ["a=1;  __Host-sallyport-login=l", "a=1"],
  ["a=1, __Host-sallyport-login=l", "a=1"],
  ["a=1; \u00a0__Host-sallyport-login=l", "a=1"],
  ["a=1; __Secure-sallyport-login=l", "a=1"],
  ["__Host-sallyport-other=o; a=1", "a=1"],
])("of %j leaves %j to whoever begins sessions", (cookie, kept) => {
  expect(withoutGatewayCookies(cookie, true)).toBe(kept)
})

const SESSION = "__Host-sallyport-session=id.seal_-9.mac"
it.each([
  SESSION,
  `a=1; ${SESSION}`,
  `${SESSION}; a=1`,
  `a=1; ${SESSION}; b=2`,
  `a=x,y; ${SESSION}`,
  `a=__Host-sallyport-session; ${SESSION}`,
  `a=${SESSION}; ${SESSION}`,
  `__Host-sallyport-login=l; ${SESSION}; __Host-sallyport-login-pin=p`,
  `x__Host-sallyport-session=x; ${SESSION}`,
  `__Host-sallyport-sessions=x; ${SESSION}`,
])("reads the session in %j", (cookie) => {
  expect(sessionCookieOf(cookie)).toBe("id.seal_-9.mac")
})

it.each<[string, string]>([
  ["two of them", `${SESSION}; ${SESSION}`],
  ["two of them in two headers", `${SESSION}, ${SESSION}`],
  ["another header before it", `a=1, ${SESSION}`],
  ["another header behind it", `${SESSION}, b=2`],
  ["a name in another case", "__host-sallyport-session=id.seal.mac"],
  ["a name in another case beside it", `${SESSION}; __HOST-Sallyport-Session=x`],
  ["the prefix of a weaker cookie", "__Secure-sallyport-session=id.seal.mac"],
  ["the prefix of a weaker cookie beside it", `__Secure-sallyport-session=x; ${SESSION}`],
  ["a no-break space before its name", `a=1; \u00a0${SESSION}`],
  ["one with a no-break space beside it", `${SESSION}; \u00a0${SESSION}`],
  ["a tab before its name", `a=1;\t${SESSION}`],
  ["two spaces before its name", `a=1;  ${SESSION}`],
  ["no space before its name", `a=1;${SESSION}`],
  ["a space before its name at the start", ` ${SESSION}`],
  ["a space behind its name", "__Host-sallyport-session =id.seal.mac"],
  ["one with a space behind its name beside it", `__Host-sallyport-session =x; ${SESSION}`],
  ["a nameless cookie that looks like it beside it", `=${SESSION}; ${SESSION}`],
  ["no value", "__Host-sallyport-session="],
  ["no equals sign", "__Host-sallyport-session"],
  ["one without equals sign beside it", `${SESSION}; __Host-sallyport-session`],
  ["a value in quotes", '__Host-sallyport-session="id.seal.mac"'],
  ["a value with an equals sign", "__Host-sallyport-session=id.seal.mac="],
  ["a value with white space behind", "__Host-sallyport-session=id.seal.mac ; a=1"],
  ["a longer name", "__Host-sallyport-sessions=id.seal.mac"],
  ["nothing of it", "a=1; b=2"],
])("reads none with %s", (_what, cookie) => {
  expect(sessionCookieOf(cookie)).toBeNull()
})

it("looks for the gateway's cookies wherever and however they may be spelled", () => {
  expect(mayHoldGatewayCookie("a=1; \u00a0__HOST-SALLYPORT-x")).toBe(true)
  expect(mayHoldGatewayCookie("a=1; __Host-session=s")).toBe(false)
})

it("reads a session, and hands one on, from no mixture of spellings but the exact one", () => {
  const name = fc.constantFrom(
    "__Host-sallyport-session",
    "__host-sallyport-session",
    "__Secure-sallyport-session",
    "__Host-sallyport-login",
    "__HOST-SALLYPORT-LOGIN",
    "a",
  )
  const glue = fc.constantFrom("; ", ";", ", ", ",", " ", "\t", "\u00a0", "\u0085", "=", "", ";  ")
  const value = fc.constantFrom("secret.of.theirs", "x", "", '"secret.of.theirs"')
  const pair = fc.tuple(glue, name, fc.constantFrom("=", " =", "==", ""), value).map((parts) => parts.join(""))
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 5 }), (pairs) => {
      const cookie = pairs.join("")
      const session = sessionCookieOf(cookie)
      const exact = cookie.split("; ").filter((each) => each.startsWith("__Host-sallyport-session="))
      if (session !== null) expect(exact.map((each) => each.split("=")[1]?.split(";")[0])).toEqual([session])
      for (const keepsLogin of [true, false]) {
        const onward = withoutGatewayCookies(cookie, keepsLogin)
        const names = onward.split(/[;,]/).map((each) => each.replace(/^[\s\p{Cc}]+/u, ""))
        const gateways = names.filter((each) => /^__(host|secure)-sallyport/i.test(each))
        expect(gateways.every((each) => keepsLogin && each.startsWith("__Host-sallyport-login"))).toBe(true)
      }
    }),
    { numRuns: 3_000 },
  )
})
