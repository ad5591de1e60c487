/**
 * The secrets of one local platform: made once, kept in `secrets.json` of its state, readable by its owner alone.
 * In production the same values are Worker secrets, set by `wrangler secret put`.
 */
import { generateKeyPairSync, type JsonWebKey, randomBytes } from "node:crypto"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import path from "node:path"

export interface Secrets {
  /** What the dispatcher signs passports with; JSON of this is PASSPORT_KEYS. */
  readonly passportKeys: { readonly current: string; readonly keys: readonly JsonWebKey[] }
  /** 32 bytes, base64url. */
  readonly pinKey: string
  /** 32 bytes, base64url: the control plane seals the secrets of uploads with it. */
  readonly artifactKey: string
  /** First token of the role `ops`; the control plane knows its SHA-256 only. */
  readonly opsToken: string
  /** Token that the control plane shows to the local Cloudflare API. */
  readonly cloudflareApiToken: string
  /** Private key of the example identity provider. */
  readonly issuerKey: JsonWebKey
}

/** Reads them, or makes them on the first start. Throws when the file exists and cannot be read: new keys beside old data would puzzle more. */
export async function loadSecrets(stateDir: string): Promise<Secrets> {
  const file = path.join(stateDir, "secrets.json")
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null
    throw error
  })
  if (text !== null) return JSON.parse(text) as Secrets
  const passportKey = makeKey("passport-1")
  const secrets: Secrets = {
    passportKeys: { current: "passport-1", keys: [passportKey] },
    pinKey: randomBytes(32).toString("base64url"),
    artifactKey: randomBytes(32).toString("base64url"),
    opsToken: `spt_${randomBytes(32).toString("base64url")}`,
    cloudflareApiToken: randomBytes(32).toString("base64url"),
    issuerKey: makeKey("example-idp-1"),
  }
  await mkdir(stateDir, { recursive: true })
  await writeFile(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  return secrets
}

function makeKey(kid: string): JsonWebKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { ...privateKey.export({ format: "jwk" }), kid, alg: "ES256" }
}
