import { expect, it } from "vitest"
import type { PassportClaims } from "../../../contracts/passport.ts"
import { txnTokenClaims } from "./txn-token.ts"

const facts = { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64_500, tls: "TLSv1.3", bot: null }
const claims: PassportClaims = {
  ...{ iss: "https://passports.example", aud: "txn:billing", sub: "alice", iat: 1, nbf: 1, exp: 61, jti: "id-1" },
  ...{ kind: "user", idp: "example-idp", scope: "read", company: "42", sid: "s".repeat(43), route: "files", hops: 1 },
  ...{ act: { sub: "script:gateway", act: { sub: "script:router" } }, facts },
}

it("has every claim that the draft requires, and each of the passport's in its place", () => {
  expect(txnTokenClaims(claims)).toEqual({
    ...{ iss: "https://passports.example", aud: "txn:billing", sub: "example-idp/alice", iat: 1, nbf: 1, exp: 61 },
    ...{ jti: "id-1", txn: "id-1", scope: "read", req_wl: "script:gateway", rctx: facts },
    tctx: {
      ...{ kind: "user", idp: "example-idp", company: "42", route: "files", hops: 1 },
      act: { sub: "script:router" },
    },
  })
})

it("names two subjects of one name apart when two providers know them", () => {
  expect(txnTokenClaims({ ...claims, idp: "other-idp" }).sub).not.toBe(txnTokenClaims(claims).sub)
})

it("has a scope and a requesting workload even for who has neither", () => {
  const { scope: _scope, idp: _idp, act: _act, ...few } = claims
  expect(txnTokenClaims({ ...few, kind: "anonymous", sub: "anonymous" })).toMatchObject({
    ...{ sub: "anonymous", scope: "", req_wl: "https://passports.example" },
  })
})
