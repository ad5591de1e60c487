/**
 * One workerd with a Worker without middleware, one with all of it, and the latter once more with its spans exported. What stands for the gateway answers
 * keys, zones and flags over RPC, as the platform binding does, and passports are signed here.
 */
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from "node:crypto"
import { createServer } from "node:http"
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import {
  PASSPORT_ALG,
  PASSPORT_LIFETIME_S,
  PASSPORT_TYP,
  type PassportClaims,
  scriptAudience,
} from "../../contracts/passport.ts"
import type { ZoneOfCompany } from "../../contracts/platform.ts"
import { type BuiltWorker, buildWorker } from "../../emulator/build.ts"
import { listen } from "../../emulator/listen.ts"
import { choosePorts } from "../../emulator/ports.ts"
import { COMPANY, FLAG, ORIGIN, PATH, SCRIPT } from "./answer.ts"

export interface Arms extends AsyncDisposable {
  readonly bareUrl: string
  readonly chainUrl: string
  readonly tracedUrl: string
  /** What the dispatcher would send now: a passport does not live as long as the benchmark. */
  headers(): Readonly<Record<string, string>>
  /** Requests that the collector got. */
  exported(): number
}

const KEY_ID = "passport-1"

export async function startArms(): Promise<Arms> {
  const bare = await buildWorker("benchmarks/kit/bare.wrangler.toml")
  const chain = await buildWorker("benchmarks/kit/chain.wrangler.toml")
  const ports = await choosePorts({ edge: 0, controlPlane: 0, cloudflareApi: 0, us01: 0, us02: 0, uk01: 0, issuer: 0 })
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: KEY_ID, alg: PASSPORT_ALG, use: "sig" }
  const collector = await startCollector()
  const options = {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [
      asMiniflareWorker(bare, bare.name, ports.edge),
      asMiniflareWorker(chain, chain.name, ports.controlPlane),
      asMiniflareWorker(chain, `${chain.name}-traced`, ports.cloudflareApi, { OTLP_ENDPOINT: collector.url }),
      {
        name: "sallyport-bench-platform",
        modules: [{ type: "ESModule", path: "platform.js", contents: platformModule(jwk) }],
        compatibilityDate: "2026-10-01",
      },
    ],
  }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions(options as V4MiniflareOptions),
    log: new Log(LogLevel.ERROR),
  })
  const urlOf = (port: number) => `http://127.0.0.1:${port}${PATH}`
  try {
    await miniflare.ready
    return {
      bareUrl: urlOf(ports.edge),
      chainUrl: urlOf(ports.controlPlane),
      tracedUrl: urlOf(ports.cloudflareApi),
      headers: () => headersWith(passport(privateKey.export({ format: "pem", type: "pkcs8" }).toString())),
      exported: collector.count,
      async [Symbol.asyncDispose]() {
        await miniflare.dispose()
        await collector.close()
      },
    }
  } catch (thrown) {
    await miniflare.dispose()
    await collector.close()
    throw thrown
  }
}

function asMiniflareWorker(built: BuiltWorker, name: string, port: number, bindings: object = {}): object {
  return {
    ...built.options,
    name,
    bindings: { ...(built.options.bindings as object | undefined), ...bindings },
    modules: [...built.modules],
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  }
}

/** As dispatcher/src/platform.ts answers, from constants. */
function platformModule(jwk: object): string {
  const zone: ZoneOfCompany = {
    zone: "us01",
    audience: "cell:us01",
    baseUrl: "https://app.example.com",
    countries: null,
    moving: null,
    revision: 1,
  }
  return `
import { WorkerEntrypoint } from "cloudflare:workers"
export class Platform extends WorkerEntrypoint {
  keys() { return { keys: [${JSON.stringify(jwk)}] } }
  zoneOf(company) { return company === ${JSON.stringify(COMPANY)} ? ${JSON.stringify(zone)} : null }
  flags() { return { ${JSON.stringify(FLAG)}: true } }
}
export default { fetch: () => new Response(null, { status: 404 }) }
`
}

function headersWith(token: string): Record<string, string> {
  return {
    host: "api.procore.com",
    accept: "application/json",
    "user-agent": "bench",
    origin: ORIGIN,
    "procore-company-id": COMPANY,
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x-request-id": "0b9f4c52-0d6e-4a1e-9d53-3f1e7a5c2b10",
    "x-sallyport-config": "1",
    "x-passport": token,
  }
}

function passport(privateKey: string): string {
  const nowS = Math.floor(Date.now() / 1000)
  const claims: PassportClaims = {
    iss: "https://sallyport.example",
    aud: scriptAudience(SCRIPT),
    sub: "alice",
    iat: nowS,
    nbf: nowS,
    exp: nowS + PASSPORT_LIFETIME_S,
    jti: randomUUID(),
    kind: "user",
    company: COMPANY,
    route: "bench",
    hops: 0,
    facts: { ip: "198.18.0.1", country: "GB", colo: "LHR", asn: 64_500, tls: "TLSv1.3", bot: 90 },
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const signed = `${part({ alg: PASSPORT_ALG, typ: PASSPORT_TYP, kid: KEY_ID })}.${part(claims)}`
  const key = { key: createPrivateKey(privateKey), dsaEncoding: "ieee-p1363" } as const
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`
}

/** Takes spans and says yes; what that costs is not workerd's. */
async function startCollector(): Promise<{ url: string; count: () => number; close: () => Promise<void> }> {
  let count = 0
  const server = createServer((request, response) => {
    count++
    request.resume()
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"))
  })
  const { url, stop } = await listen(server, 0)
  return { url, count: () => count, close: stop }
}
