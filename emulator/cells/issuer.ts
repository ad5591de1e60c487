/**
 * The example issuer of bearer tokens: makes JWTs for anybody who asks. Started by emulator/platform.ts; its public key goes into the
 * dispatch config by emulator/seed.ts. It stands for a company's own provider, and shows what the gateway expects of one: ES256, `kid`, `aud`.
 */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, randomUUID, sign } from "node:crypto"
import { createServer } from "node:http"
import { listen, type RunningServer } from "../listen.ts"

/** Its id in the dispatch config. */
export const EXAMPLE_ISSUER_ID = "example-idp"
/** `iss` of its tokens. A name, not an address: nobody fetches keys from it. */
export const EXAMPLE_ISSUER = "https://idp.example.com"
/** `aud` of its tokens. */
export const EXAMPLE_AUDIENCE = "https://api.procore.com"
/** Claim that holds the company id. */
export const EXAMPLE_COMPANY_CLAIM = "company_id"
/** Seconds: Procore's access tokens live 90 minutes. */
const LIFETIME_S = 5_400

export interface TokenRequest {
  readonly subject: string
  /** Company id, decimal text. */
  readonly company?: string
  /** Space-separated scopes. */
  readonly scope?: string
  /** Seconds; negative makes one that has expired. Default 5 400. */
  readonly lifetimeS?: number
}

export interface Issuer extends RunningServer {
  /** The public keys, as the dispatch config wants them. */
  readonly jwks: { readonly keys: readonly (JsonWebKey & { readonly kid: string; readonly alg: string })[] }
  issueToken(request: TokenRequest): string
}

/** Starts it on 127.0.0.1. `privateJwk` is an EC P-256 key with `kid`; `port` 0 takes any free one. */
export async function startIssuer(options: { privateJwk: JsonWebKey; port: number }): Promise<Issuer> {
  const key = createPrivateKey({ key: options.privateJwk, format: "jwk" })
  const kid = String(options.privateJwk.kid)
  const publicJwk = createPublicKey(key).export({ format: "jwk" })
  const jwks = { keys: [{ ...publicJwk, kid, alg: "ES256", use: "sig" }] }
  const issueToken = (request: TokenRequest) => makeToken(request, key, kid)

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://issuer.invalid")
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body)
    if (url.pathname === "/jwks") return answer(200, "application/json", JSON.stringify(jwks))
    if (url.pathname !== "/token")
      return answer(404, "text/plain", "GET /jwks or /token?subject=alice&company=1&scope=projects:read\n")
    const subject = url.searchParams.get("subject")
    if (!subject) return answer(400, "text/plain", "Say for whom: /token?subject=alice\n")
    const company = url.searchParams.get("company")
    const scope = url.searchParams.get("scope")
    const token = issueToken({ subject, ...(company ? { company } : {}), ...(scope ? { scope } : {}) })
    return answer(200, "text/plain", `${token}\n`)
  })
  return { ...(await listen(server, options.port)), jwks, issueToken }
}

function makeToken(request: TokenRequest, key: KeyObject, kid: string): string {
  const nowS = Math.floor(Date.now() / 1000)
  const lifetimeS = request.lifetimeS ?? LIFETIME_S
  const header = { alg: "ES256", typ: "at+jwt", kid }
  const claims = {
    iss: EXAMPLE_ISSUER,
    aud: EXAMPLE_AUDIENCE,
    sub: request.subject,
    iat: lifetimeS > 0 ? nowS : nowS + lifetimeS - 60,
    exp: nowS + lifetimeS,
    jti: randomUUID(),
    ...(request.company === undefined ? {} : { [EXAMPLE_COMPANY_CLAIM]: request.company }),
    ...(request.scope === undefined ? {} : { scope: request.scope }),
  }
  const signed = `${encode(header)}.${encode(claims)}`
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" })
  return `${signed}.${signature.toString("base64url")}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url")
}
