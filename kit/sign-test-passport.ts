/**
 * Passports for the unit tests of a team's Worker, signed by a key made on the spot. Only for tests: what it signs means nothing to a gateway.
 */
import { PASSPORT_ALG, PASSPORT_TYP, type PassportClaims, scriptAudience } from "../contracts/passport.ts"
import { PASSPORT_HEADER } from "../contracts/reserved-headers.ts"

export interface TestPassports {
  /** Stands for the platform's `keys()`. */
  keys(): Promise<{ readonly keys: readonly JsonWebKey[] }>
  /** A passport of user `alice` for `script`, valid from now for a minute; `changes` replace claims. */
  sign(script: string, changes?: Partial<PassportClaims>): Promise<string>
  /** A request that carries such a passport. */
  request(url: string, script: string, init?: RequestInit, changes?: Partial<PassportClaims>): Promise<Request>
}

/** An issuer of its own for one test file. */
export async function makeTestPassports(): Promise<TestPassports> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" }
  const pair = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair
  const exported = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey
  const jwk: JsonWebKey & { kid: string } = { ...exported, kid: "test" }

  async function sign(script: string, changes: Partial<PassportClaims> = {}): Promise<string> {
    const header = part({ alg: PASSPORT_ALG, typ: PASSPORT_TYP, kid: "test" })
    const text = `${header}.${part({ ...claimsNow(script), ...changes })}`
    const signing = { name: "ECDSA", hash: "SHA-256" }
    const signature = await crypto.subtle.sign(signing, pair.privateKey, new TextEncoder().encode(text))
    return `${text}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}`
  }

  return {
    keys: async () => ({ keys: [jwk] }),
    sign,
    async request(url, script, init = {}, changes = {}) {
      const headers = new Headers(init.headers)
      headers.set(PASSPORT_HEADER, await sign(script, changes))
      return new Request(url, { redirect: "manual", ...init, headers })
    },
  }
}

function claimsNow(script: string): PassportClaims {
  const nowS = Math.floor(Date.now() / 1000)
  return {
    iss: "https://passports.example",
    aud: scriptAudience(script),
    sub: "alice",
    iat: nowS,
    nbf: nowS,
    exp: nowS + 60,
    jti: crypto.randomUUID(),
    kind: "user",
    route: "example",
    hops: 0,
    facts: { ip: "203.0.113.7", country: "GB", colo: "LHR", asn: 64500, tls: "TLSv1.3", bot: null },
  }
}

function part(value: object): string {
  return base64url(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value))))
}

function base64url(binary: string): string {
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}
