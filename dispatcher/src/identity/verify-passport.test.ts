import { expect, it } from "vitest"
import { exampleConfig } from "../example-config.ts"
import { testBed } from "../test-dependencies.ts"
import { mintPassport } from "./mint-passport.ts"
import type { PassportKeys } from "./passport-keys.ts"
import { ANONYMOUS, makeSubject } from "./subject.ts"
import { PassportVerifier } from "./verify-passport.ts"

const { passportIssuer } = exampleConfig()
const AUDIENCE = "script:gateway"
const FACTS = { ip: "203.0.113.7", country: "GB", colo: null, asn: null, tls: "TLSv1.3", bot: null }

/** A verifier that tells how often it has looked at a signature, and passports for it. */
async function bench() {
  const { deps } = await testBed()
  const verifier = new PassportVerifier(deps.clock)
  let looks = 0
  const verifying: typeof deps.keys.verifying = (...asked) => {
    looks += 1
    return deps.keys.verifying(...asked)
  }
  const keys: PassportKeys = Object.assign(Object.create(deps.keys), { verifying })
  return {
    looks: () => looks,
    verify: (token: string) => verifier.verify(token, AUDIENCE, passportIssuer, keys),
    mint: async (route: string, scope = "a") => {
      const subject = makeSubject({ ...ANONYMOUS, kind: "user", id: "alice", idp: "example-idp", scopes: [scope] })
      const about = { route, host: "api.example.com", zone: null, actor: null, hops: 0, facts: FACTS }
      return (await mintPassport({ issuer: passportIssuer, audience: AUDIENCE, subject, ...about }, deps)).token
    },
  }
}

it("looks at a passport once, and remembers a bounded number of them", async () => {
  const { looks, verify, mint } = await bench()
  const first = await mint("first")
  for (let time = 0; time < 2; time++) await verify(first)
  expect(looks()).toBe(1)
  for (let count = 0; count < 1_000; count++) await verify(await mint(`r${count}`))
  await verify(first)
  expect(looks()).toBe(1_002)
})

it("accepts a long one too, and looks at it each time", async () => {
  const { looks, verify, mint } = await bench()
  const long = await mint("long", "a".repeat(2_500))
  for (let time = 0; time < 2; time++) expect((await verify(long)).scope).toHaveLength(2_500)
  expect(looks()).toBe(2)
})
