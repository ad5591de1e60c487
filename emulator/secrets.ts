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
  /** 32 bytes, base64url: seals session cookies. */
  readonly sessionKeys: string
  /** 32 bytes, base64url: the control plane seals passport keys with it, the dispatcher opens them. */
  readonly ringKey: string
  /** 32 bytes, base64url: the control plane seals the secrets of uploads with it. */
  readonly artifactKey: string
  /** First token of the role `ops`; the control plane knows its SHA-256 only. */
  readonly opsToken: string
  /** Token that the control plane shows to the local Cloudflare API. */
  readonly cloudflareApiToken: string
  /** Private key of the example issuer of bearer tokens. */
  readonly issuerKey: JsonWebKey
  /** Of the example uploads, 32 bytes each, base64url: what signs the URLs that clients bring, and what signs the files Worker's questions. */
  readonly uploadKeys: { readonly put: string; readonly get: string }
  /** Of the identity provider that people log in with: its private key, and what the login Worker shows to it. */
  readonly identityProviderKey: JsonWebKey
  readonly loginClientSecret: string
}

/** Reads them, or makes them on the first start, and those that an older state lacks. Throws when the file exists and cannot be read: new keys beside old data would puzzle more. */
export async function loadSecrets(stateDir: string): Promise<Secrets> {
  const file = path.join(stateDir, "secrets.json")
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null
    throw error
  })
  const known = text === null ? {} : (JSON.parse(text) as Partial<Secrets>)
  const secrets: Secrets = { ...makeSecrets(), ...known }
  if (Object.keys(secrets).every((name) => name in known)) return secrets
  await mkdir(stateDir, { recursive: true })
  await writeFile(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  return secrets
}

function makeSecrets(): Secrets {
  const passportKey = makeKey("passport-1")
  return {
    passportKeys: { current: "passport-1", keys: [passportKey] },
    pinKey: randomBytes(32).toString("base64url"),
    sessionKeys: randomBytes(32).toString("base64url"),
    ringKey: randomBytes(32).toString("base64url"),
    artifactKey: randomBytes(32).toString("base64url"),
    opsToken: `spt_${randomBytes(32).toString("base64url")}`,
    cloudflareApiToken: randomBytes(32).toString("base64url"),
    issuerKey: makeKey("example-idp-1"),
    uploadKeys: { put: randomBytes(32).toString("base64url"), get: randomBytes(32).toString("base64url") },
    identityProviderKey: makeKey("identity-provider-1"),
    loginClientSecret: randomBytes(32).toString("base64url"),
  }
}

function makeKey(kid: string): JsonWebKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { ...privateKey.export({ format: "jwk" }), kid, alg: "ES256" }
}
