import { describe, expect, it } from "vitest"
import { isReservedRequestHeader, isReservedResponseHeader } from "./reserved-headers.ts"

describe("isReservedRequestHeader", () => {
  it.each([
    "x-passport",
    "X-Passport",
    "x_passport",
    "X_PASSPORT",
    "x-passport-aud",
    "X-Forwarded-For",
    "x_forwarded_host",
    "Forwarded",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "CF-Connecting-IP",
    "cf_worker",
    "Cloudflare-Workers-Version-Overrides",
    "x-sallyport-sibling",
    "X-Request-Id",
    "X-Envoy-Original-Path",
    "X-Auth-Request-User",
    "Client-IP",
    "Proxy",
  ])("takes %s for the gateway's", (name) => {
    expect(isReservedRequestHeader(name)).toBe(true)
  })
  it.each([
    "accept",
    "x-pass",
    "x-passports-please",
    "x-forward",
    "cookie",
    "content-type",
    "x-csrf-token",
    "cfx",
    "procore-company-id",
    "authorization",
  ])("leaves %s to the client", (name) => {
    expect(isReservedRequestHeader(name)).toBe(false)
  })
})

describe("isReservedResponseHeader", () => {
  it.each([
    "Strict-Transport-Security",
    "X_Passport",
    "Alt-Svc",
    "x-sallyport-config",
    "Server_Timing",
    "NEL",
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "CF-Ray",
    "Via",
  ])("takes %s for the gateway's", (name) => {
    expect(isReservedResponseHeader(name)).toBe(true)
  })
  it.each(["content-security-policy", "set-cookie", "x-frame-options", "location"])(
    "leaves %s to the Worker",
    (name) => {
      expect(isReservedResponseHeader(name)).toBe(false)
    },
  )
})
