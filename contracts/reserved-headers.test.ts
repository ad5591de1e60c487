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
    "Client-Cert",
    "client_cert_chain",
    "X-Client-Cert",
    "X-SSL-Client-Cert",
    "SSL_CLIENT_VERIFY",
    "X-ARR-ClientCert",
    "X-Amzn-Mtls-Clientcert",
    "X-WebAuth-User",
    "X-Remote-User",
    "X-Remote-Group",
    "Remote-Email",
    "X-Authenticated-UserId",
    "X-Consumer-Username",
    "X-Userinfo",
    "X-ID-Token",
    "X-authentik-username",
    "X-Pomerium-Jwt-Assertion",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "X-Amzn-Oidc-Identity",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-TOKEN-AAD-ID-TOKEN",
    "SM_USER",
    "iv-user",
    "OAM_REMOTE_USER",
    "Tailscale-User-Login",
    "Fastly-Client-IP",
    "X-Originating-IP",
    "X-Remote-Addr",
    "X-Azure-ClientIP",
    "X-AppEngine-User-IP",
    "Fly-Client-IP",
    "WL-Proxy-Client-IP",
    "Incap-Client-IP",
    "X-NF-Client-Connection-IP",
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
    // What stores sign and uploads carry, beside what the same clouds' proxies say of callers.
    "x-amz-content-sha256",
    "x-amzn-trace-id",
    "x-goog-meta-user",
    "x-goog-content-length-range",
    "x-ms-blob-type",
    "x-ms-client-request-id",
    "x-client-version",
    "client-certificate-help",
    "x-id-tokens-wanted",
    "x-userinfos",
    "x-access-token",
    "x-auth-token",
    "x-user-id",
    "remote",
    "x-remotely",
    "sm-usage",
    "ivory",
    "fastlyx",
    "tailscale-userland",
    "x-ssl",
    "ssl-client",
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
