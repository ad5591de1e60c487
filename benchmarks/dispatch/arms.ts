/**
 * One workerd with both arms: the real dispatcher and the bare dispatch, each with a namespace of its own that loads the same empty Worker.
 * Config, keys and token are made as the control plane and an identity provider would make them.
 */
import { createHash, randomBytes } from "node:crypto"
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose"
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import { CONFIG_POINTER_KEY, configKey, parseDispatchConfig } from "../../contracts/dispatch-config.ts"
import { type BuiltWorker, buildWorker } from "../../emulator/build.ts"
import { choosePorts } from "../../emulator/ports.ts"
import { ACCOUNT_MODULE, ACCOUNT_NAME } from "./account.ts"
import { benchConfig, HOSTNAME, ISSUER } from "./bench-config.ts"

export interface Arms extends AsyncDisposable {
  readonly bareUrl: string
  readonly fullUrl: string
  /** What both arms are sent: a client's request as Cloudflare's front hands it on, but for `cf-connecting-ip`. */
  readonly headers: Readonly<Record<string, string>>
}

const PATH = "/rest/v1.0/me"
const TOKEN_LIFETIME = "1h"
const CF = { country: "GB", colo: "LHR", asn: 64_500, tlsVersion: "TLSv1.3", botManagement: { score: 90 } }

export async function startArms(): Promise<Arms> {
  const dispatcher = await buildWorker("benchmarks/dispatch/full.wrangler.toml")
  const bare = await buildWorker("benchmarks/dispatch/bare.wrangler.toml")
  const revocations = await buildWorker("revocations/wrangler.toml")
  const ports = await choosePorts({ edge: 0, controlPlane: 0, cloudflareApi: 0, us01: 0, us02: 0, uk01: 0, issuer: 0 })
  const passportKey = await makeKey("passport-1")
  const issuerKey = await makeKey("issuer-1")
  const options = {
    host: "127.0.0.1",
    port: 0,
    // Otherwise Miniflare asks the internet for an example of `request.cf`.
    cf: false,
    workers: [
      asMiniflareWorker(dispatcher, ports.edge, {
        bindings: {
          ...(dispatcher.options.bindings as object),
          PASSPORT_KEYS: JSON.stringify({ current: "passport-1", keys: [passportKey.privateJwk] }),
          PIN_KEY: randomBytes(32).toString("base64url"),
        },
      }),
      asMiniflareWorker(bare, ports.controlPlane, {}),
      { ...revocations.options, name: revocations.name, modules: [...revocations.modules] },
      {
        name: ACCOUNT_NAME,
        modules: [{ type: "ESModule", path: "account.js", contents: ACCOUNT_MODULE }],
        compatibilityDate: "2026-10-01",
      },
    ],
  }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions(options as V4MiniflareOptions),
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ level, message }: { level: string; message: string }) => {
      if (level === "error") console.error(message)
    },
  })
  try {
    await miniflare.ready
    await publish(miniflare, dispatcher.name, issuerKey.publicJwk)
    return {
      bareUrl: `http://127.0.0.1:${ports.controlPlane}${PATH}`,
      fullUrl: `http://127.0.0.1:${ports.edge}${PATH}`,
      headers: {
        host: HOSTNAME,
        authorization: `Bearer ${await bearerToken(issuerKey)}`,
        accept: "application/json",
        "user-agent": "bench",
        // workerd takes this header away and gives it to the Worker as `request.cf`.
        "mf-cf-blob": JSON.stringify(CF),
      },
      [Symbol.asyncDispose]: () => miniflare.dispose(),
    }
  } catch (thrown) {
    await miniflare.dispose()
    throw thrown
  }
}

function asMiniflareWorker(built: BuiltWorker, port: number, own: object): object {
  return {
    ...built.options,
    name: built.name,
    modules: [...built.modules],
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
    ...own,
  }
}

/** As the control plane does: the revision first, then the pointer to it. */
async function publish(miniflare: Miniflare, dispatcher: string, publicJwk: JWK): Promise<void> {
  const text = JSON.stringify(benchConfig(publicJwk))
  const parsed = parseDispatchConfig(text)
  if (!parsed.ok) throw new Error(`the benchmark's config is not valid: ${JSON.stringify(parsed.faults)}`)
  const kv = await miniflare.getKVNamespace("CONFIG", dispatcher)
  await kv.put(configKey(1), text)
  const digest = createHash("sha256").update(text).digest("hex")
  await kv.put(CONFIG_POINTER_KEY, JSON.stringify({ revision: 1, digest, sizeBytes: Buffer.byteLength(text) }))
}

interface Key {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly privateJwk: JWK
  readonly publicJwk: JWK
}

async function makeKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
  const named = async (key: CryptoKey) => ({ ...(await exportJWK(key)), kid, alg: "ES256" })
  return { kid, privateKey, privateJwk: await named(privateKey), publicJwk: await named(publicKey) }
}

function bearerToken({ kid, privateKey }: Key): Promise<string> {
  return new SignJWT({ scope: "read write", company: "42" })
    .setProtectedHeader({ alg: "ES256", kid, typ: "at+jwt" })
    .setIssuer(ISSUER.issuer)
    .setAudience(ISSUER.audience)
    .setSubject("alice")
    .setIssuedAt()
    .setExpirationTime(TOKEN_LIFETIME)
    .sign(privateKey)
}
