import { expect, it } from "vitest"
import { PASSPORT_KEYS_IDP, targetHash } from "../../contracts/revocation.ts"
import { refuse } from "../../kit/problem.ts"
import type { Dependencies } from "./dependencies.ts"
import { mintPassport } from "./identity/mint-passport.ts"
import { subjectOfPassport } from "./identity/passport-subject.ts"
import type { Revocable } from "./identity/revocation-feed.ts"
import { ANONYMOUS } from "./identity/subject.ts"
import { publishedKeys } from "./published-keys.ts"
import { testBed } from "./test-dependencies.ts"

const waitUntil = () => undefined

/** A feed by which one passport key is revoked. */
async function feedRevoking(kid: string): Promise<Dependencies["revocations"]> {
  const hash = String(await targetHash({ kind: "key", idp: PASSPORT_KEYS_IDP, kid }))
  const refuseRevoked = (revocable: Revocable | null) => {
    if (revocable?.hashes.some((each) => String(each) === hash)) throw refuse("auth.revoked")
  }
  return { refuseRevoked } as unknown as Dependencies["revocations"]
}

it("publishes no key that was revoked, and every other", async () => {
  const { deps } = await testBed()
  const published = async (kid: string) =>
    (await publishedKeys({ ...deps, revocations: await feedRevoking(kid) }, waitUntil)).keys.map((key) => key.crv)
  expect(await published("k1")).toEqual([])
  expect(await published("k11")).toEqual(["P-256"])
})

it("knows each passport by the key that signed it, whoever it speaks of, so that a revoked key's are refused", async () => {
  const { deps } = await testBed()
  const facts = { ip: null, country: null, colo: null, asn: null, tls: null, bot: null }
  const order = { issuer: "i", audience: "script:a", route: "r", host: null, zone: null, actor: null, hops: 0, facts }
  const { token } = await mintPassport({ ...order, subject: ANONYMOUS }, deps)
  for (let time = 0; time < 2; time++) {
    const claims = await deps.passportVerifier.verify(token, "script:a", "i", deps.keys)
    const { revocable } = await subjectOfPassport(claims)
    const check = async (kid: string) =>
      (await feedRevoking(kid)).refuseRevoked(revocable, false, 0, () => undefined, waitUntil)
    await expect(check("k1")).rejects.toMatchObject({ code: "auth.revoked" })
    await expect(check("k2")).resolves.toBeUndefined()
  }
})
