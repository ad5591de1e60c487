/** In Node, because workerd's engine is quick with some expressions that take quadratic time here, and would show nothing had one of them come back. */
import { expect, it } from "vitest"
import { growsFasterThan } from "../../../kit/testing/growth.ts"
import { sessionCookieOf } from "./gateway-cookies.ts"

it("takes time by the length of what stands in the place of a name", () => {
  const cookie = (size: number) => `__Host-sallyport${" ".repeat(size)}x`
  expect(growsFasterThan(16_384, (size) => sessionCookieOf(cookie(size)))).toBe(false)
})
