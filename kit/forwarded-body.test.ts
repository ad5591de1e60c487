import { describe, it } from "vitest"
import { forwardedBody } from "./forwarded-body.ts"

describe("forwardedBody", () => {
  for (const method of ["GET", "HEAD"])
    it(`is none for ${method}, and nothing says how long it was`, ({ expect }) => {
      const headers = new Headers({ "content-length": "5", "x-kept": "1" })
      expect(forwardedBody({ method, body: new Response("hello").body }, headers)).toBeNull()
      expect([...headers]).toEqual([["x-kept", "1"]])
    })

  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
    it(`is the body itself for ${method}, with its length`, ({ expect }) => {
      const headers = new Headers({ "content-length": "5" })
      const { body } = new Response("hello")
      expect(forwardedBody({ method, body }, headers)).toBe(body)
      expect(headers.get("content-length")).toBe("5")
    })
})
