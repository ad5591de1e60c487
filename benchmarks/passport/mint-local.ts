/**
 * Passports made and checked by the production code, `/WHAT?n=N` times. Whoever asks measures the process: in workerd no clock runs while code does.
 * EdDSA is no choice that the gateway offers; it is here to know what ES256 costs beside it, with the same claims.
 */
import { SignJWT } from "jose"
import { MintedPassports, mintPassport, type PassportOrder } from "../../dispatcher/src/identity/mint-passport.ts"
import { passportKeyRing } from "../../dispatcher/src/identity/passport-keys.ts"
import { makeSubject } from "../../dispatcher/src/identity/subject.ts"
import { passportRequirement } from "../../kit/require-passport.ts"

/** Beyond what the kit's check remembers, so that each is looked at anew. */
const DISTINCT = 1_500
const NOW_S = 1_800_000_000

const subject = makeSubject({
  ...{ kind: "user", id: "alice@example.com", idp: "example-idp", scopes: ["projects:read", "files:read"] },
  ...{ company: "9007199254740993", companies: [], sid: null, authTimeMs: NOW_S * 1000, level: 2, revocable: null },
})
const order: PassportOrder = {
  ...{ issuer: "https://passports.example.com", audience: "script:bench", subject, route: "rest", zone: "us01" },
  ...{ host: "api.example.com", actor: null, hops: 0 },
  facts: { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64_500, tls: "TLSv1.3", bot: 90 },
}

const clock = { nowS: NOW_S, now: () => clock.nowS * 1000 }
const ring = passportKeyRing({ secret: await makeSecret(), log: () => undefined })
const minting = async () => ({
  clock,
  makeId: () => crypto.randomUUID(),
  keys: await ring,
  mintedPassports: new MintedPassports(),
})

async function makeSecret(): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" }
  const pair = (await crypto.subtle.generateKey(algorithm, true, ["sign"])) as CryptoKeyPair
  const { x, y, d } = (await crypto.subtle.exportKey("jwk", pair.privateKey)) as JsonWebKey
  return JSON.stringify({ current: "k1", keys: [{ kty: "EC", crv: "P-256", kid: "k1", x, y, d }] })
}

type Work = (n: number) => Promise<void>

const hit: Work = async (n) => {
  const deps = await minting()
  await mintPassport(order, deps)
  for (let count = 0; count < n; count += 1) {
    const made = mintPassport(order, deps)
    if (made instanceof Promise) throw new Error("it was not remembered")
  }
}

/** Each half a minute later than the one before. */
const miss: Work = async (n) => {
  const deps = await minting()
  for (let count = 0; count < n; count += 1) {
    clock.nowS += 31
    await mintPassport(order, deps)
  }
  clock.nowS = NOW_S
}

/** The same claims through the same library, by a key of either kind. */
function signing(alg: "ES256" | "EdDSA"): Work {
  const algorithm = alg === "ES256" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "Ed25519" }
  return async (n) => {
    const { privateKey } = (await crypto.subtle.generateKey(algorithm, false, ["sign"])) as CryptoKeyPair
    const { token } = await mintPassport(order, await minting())
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")))
    for (let count = 0; count < n; count += 1)
      await new SignJWT({ ...claims, jti: crypto.randomUUID() })
        .setProtectedHeader({ alg, typ: "passport+jwt", kid: "k1" })
        .sign(privateKey)
  }
}

/** Of a passport that the Worker has not seen, and of one that it has. */
function verifying(distinct: number): Work {
  return async (n) => {
    const deps = await minting()
    const requests: Request[] = []
    for (let count = 0; count < distinct; count += 1) {
      const { token } = await mintPassport({ ...order, route: `r${count}` }, deps)
      requests.push(new Request("https://api.example.com/", { headers: { "x-passport": token } }))
    }
    const require = passportRequirement({ script: "bench", clock })
    const source = { keys: async () => deps.keys.jwks(clock.now()) }
    for (let count = 0; count < n; count += 1) await require(requests[count % distinct] ?? new Request(""), source)
  }
}

function checking(alg: "ES256" | "EdDSA"): Work {
  const algorithm = alg === "ES256" ? { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } : { name: "Ed25519" }
  return async (n) => {
    const pair = (await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"])) as CryptoKeyPair
    const text = new TextEncoder().encode("x".repeat(700))
    const signature = await crypto.subtle.sign(algorithm, pair.privateKey, text)
    for (let count = 0; count < n; count += 1)
      if (!(await crypto.subtle.verify(algorithm, pair.publicKey, signature, text))) throw new Error("not its own")
  }
}

const WORK: Readonly<Record<string, Work>> = {
  hit,
  miss,
  sign_es256: signing("ES256"),
  sign_eddsa: signing("EdDSA"),
  verify: verifying(DISTINCT),
  verify_hit: verifying(1),
  check_es256: checking("ES256"),
  check_eddsa: checking("EdDSA"),
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url)
    const work = WORK[pathname.slice(1)]
    if (work === undefined) return new Response(null, { status: 404 })
    await work(Number(searchParams.get("n")))
    return new Response("done")
  },
} satisfies ExportedHandler
