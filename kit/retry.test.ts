import { describe, it } from "vitest"
import { mayBeRepeated } from "./retry.ts"

describe("mayBeRepeated", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    it(`holds for ${method} without a body, and not with one`, ({ expect }) => {
      expect(mayBeRepeated(method, null)).toBe(true)
      expect(mayBeRepeated(method, new Response("x").body)).toBe(false)
      expect(mayBeRepeated(method, new Response("").body)).toBe(false)
    })

  for (const method of ["POST", "PATCH", "CONNECT", "TRACE", "get", "", "QUERY"])
    it(`never holds for ${JSON.stringify(method)}`, ({ expect }) => {
      expect(mayBeRepeated(method, null)).toBe(false)
    })
})
