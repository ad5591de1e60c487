import { decodeJwt } from "jose"
import { describe, expect, it } from "vitest"
import type { PassportClaims } from "../../../contracts/passport.ts"
import { testBed } from "../test-dependencies.ts"
import { mintPassport } from "./mint-passport.ts"
import { subjectOfPassport } from "./passport-subject.ts"
import { ANONYMOUS, KeptSubject, type Subject } from "./subject.ts"

const FACTS = { ip: null, country: null, colo: null, asn: null, tls: null, bot: null }

async function claimsOf(subject: Subject): Promise<PassportClaims> {
  const { deps } = await testBed()
  const order = {
    issuer: "i",
    audience: "script:files",
    subject,
    route: "r",
    zone: null,
    host: null,
    actor: null,
    hops: 0,
  }
  const { token } = await mintPassport({ ...order, facts: FACTS }, deps)
  return decodeJwt(token) as unknown as PassportClaims
}

const session = new KeptSubject({
  kind: "user",
  id: "alice",
  idp: "example-idp",
  scopes: ["read", "write"],
  company: "42",
  sid: "handle",
  authTimeMs: 1_800_000_000_000,
  level: 2,
  kid: null,
})

describe("the subject of a passport", () => {
  it("is the one that it was made for, in everything that a passport says and that can revoke it", async () => {
    const before = await session.under({ "example-idp/alice": { companies: ["42", "43"], scopes: ["admin"] } })
    const { revocable, ...after } = await subjectOfPassport(await claimsOf(before))
    expect({ ...after, revocable: before.revocable }).toEqual(before)
    expect(revocable?.hashes).toEqual(before.revocable?.hashes)
  })

  it("is a member of no company where the directory says so, which is another thing than that it says nothing", async () => {
    const said = async (entry: object) => {
      const before = await session.under({ "example-idp/alice": entry })
      const claims = await claimsOf(before)
      const { companies } = await subjectOfPassport(claims)
      return [before.companies, claims.companies, companies]
    }
    expect(await said({ companies: [] })).toEqual([[], [], []])
    expect(await said({})).toEqual([null, undefined, null])
  })

  it("was made by the end of the second that the passport names, never before the entrance's millisecond", async () => {
    for (const ms of [0, 1, 500, 999]) {
      const authTimeMs = 1_800_000_000_000 + ms
      const before = await new KeptSubject({ ...session.facts, authTimeMs }).under({})
      const after = await subjectOfPassport(await claimsOf(before))
      expect(before.revocable?.madeAtMs).toBe(authTimeMs)
      expect(after.revocable?.madeAtMs).toBe(1_800_000_000_999)
    }
  })

  it("is anonymous where nobody was known, and nothing can revoke that", async () => {
    const after = await subjectOfPassport(await claimsOf(ANONYMOUS))
    expect(after).toMatchObject({ kind: "anonymous", id: "anonymous", idp: null, revocable: null, authTimeMs: null })
  })

  it("falls under every revocation where the passport does not say when the credential was made", async () => {
    const timeless = await new KeptSubject({ ...session.facts, authTimeMs: null }).under({})
    expect((await subjectOfPassport(await claimsOf(timeless))).revocable?.madeAtMs).toBe(0)
  })

  it("is worked out once for the claims that are kept", async () => {
    const claims = await claimsOf(await session.under({}))
    expect(await subjectOfPassport(claims)).toBe(await subjectOfPassport(claims))
    expect(await subjectOfPassport({ ...claims })).not.toBe(await subjectOfPassport(claims))
  })
})
