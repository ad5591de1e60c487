/**
 * `node scripts/make-secrets.ts <environment>`: the secrets of a new installation, in files that `wrangler secret bulk` takes, below
 * `.sallyport/secrets/<environment>/` and readable by their owner alone. Writes over nothing. docs/deploy.md says what to do with them.
 */
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import { newRing } from "./passport-keys.ts"

const [environment = ""] = process.argv.slice(2)
if (!/^(production|staging|sandbox|monthly)$/.test(environment)) {
  console.error("node scripts/make-secrets.ts production|staging|sandbox|monthly")
  process.exit(1)
}
const folder = path.join(import.meta.dirname, "..", ".sallyport", "secrets", environment)
if (existsSync(folder)) {
  console.error(`${folder} is there already; it is not overwritten.`)
  process.exit(1)
}
mkdirSync(folder, { recursive: true, mode: 0o700 })

const shared = { PIN_KEY: randomKey(), SESSION_KEYS: randomKey(), RING_KEY: randomKey() }
const opsToken = `spt_${randomKey()}`
write("dispatcher.json", {
  PASSPORT_KEYS: JSON.stringify(newRing(new Date().toISOString().slice(0, 10))),
  ...shared,
})
write("control-plane.json", {
  ...shared,
  ARTIFACT_KEY: randomKey(),
  BOOTSTRAP_TOKEN_HASH: createHash("sha256").update(opsToken).digest("hex"),
  CLOUDFLARE_API_TOKEN: "",
})
writeFileSync(path.join(folder, "first-ops-token.txt"), `${opsToken}\n`, { mode: 0o600 })
console.log(
  `Written to ${folder}. Fill in CLOUDFLARE_API_TOKEN in control-plane.json, and keep the folder where secrets are kept.`,
)

function write(name: string, secrets: Readonly<Record<string, string>>): void {
  writeFileSync(path.join(folder, name), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
}

/** 32 bytes, base64url. */
function randomKey(): string {
  return randomBytes(32).toString("base64url")
}
