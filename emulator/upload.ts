/**
 * Uploads a Worker as its team would: real wrangler, the team's token, the control plane's door. Used by the starter for user-workers/*
 * and by `sallyport/testing` for a folder with a wrangler.toml.
 */
import { createHash } from "node:crypto"
import { readdir, readFile, writeFile } from "node:fs/promises"
import path from "node:path"
import { ROOT, runWrangler } from "./build.ts"
import { SESSIONS_NAMESPACE_ID } from "./cloudflare-api/account-resources.ts"
import { type ExampleTeam, LOGIN_IDP, PIN_ADDRESSES, SCRIPTS } from "./example-layout.ts"
import { type ExampleOrigins, LOGIN_CLIENT_ID } from "./example-origins.ts"
import { ACRS, COMPANY_CLAIM, SCOPES_CLAIM } from "./origins/identity-provider.ts"
import type { Platform } from "./platform.ts"
import { loadSecrets } from "./secrets.ts"
import type { Seeded } from "./seed.ts"
import { NAMESPACE } from "./workers.ts"

/** What points wrangler at a control plane instead of at Cloudflare. */
export function wranglerEnvironment(
  platform: Pick<Platform, "controlPlaneUrl" | "accountId">,
  token: string,
): Record<string, string> {
  return {
    CLOUDFLARE_API_BASE_URL: `${platform.controlPlaneUrl}/client/v4`,
    CLOUDFLARE_API_TOKEN: token,
    CLOUDFLARE_ACCOUNT_ID: platform.accountId,
  }
}

/** Deploys the Worker in `folder` (absolute) with real wrangler; resolves with what wrangler printed, rejects with WranglerError. */
export async function deployWithWrangler(
  platform: Pick<Platform, "controlPlaneUrl" | "accountId">,
  token: string,
  folder: string,
  extra: readonly string[] = [],
): Promise<string> {
  return runWrangler(["deploy", "--dispatch-namespace", NAMESPACE, ...extra], {
    cwd: folder,
    env: wranglerEnvironment(platform, token),
  })
}

/**
 * Uploads each of user-workers/* that changed since it was last uploaded into this state; wrangler takes seconds to find that out by itself.
 * Returns the names that were uploaded.
 */
export async function uploadExamples(
  platform: Platform,
  seeded: Seeded,
  origins: ExampleOrigins,
  onUpload: (script: string, team: ExampleTeam) => void,
): Promise<string[]> {
  const file = path.join(platform.stateDir, "uploads.json")
  const known = JSON.parse(await readFile(file, "utf8").catch(() => "{}")) as Record<string, string>
  const told = await exampleArguments(platform, seeded, origins)
  const argumentsOf = (script: string) => ["--var", `OTLP_ENDPOINT:${origins.traces}`, ...(told[script] ?? [])]
  const digests = await Promise.all(
    Object.keys(SCRIPTS).map(async (script) => [script, await inputsDigest(script, argumentsOf(script))] as const),
  )
  const changed = digests.filter(([script, digest]) => known[script] !== digest)
  await Promise.all(
    changed.map(async ([script, digest]) => {
      const team = SCRIPTS[script] ?? "web"
      onUpload(script, team)
      await deployWithWrangler(
        platform,
        seeded.tokens[team],
        path.join(ROOT, "user-workers", script),
        argumentsOf(script),
      )
      known[script] = digest
    }),
  )
  if (changed.length > 0) await writeFile(file, `${JSON.stringify(known, null, 2)}\n`)
  return changed.map(([script]) => script)
}

/** Wrangler's options by script, for what only this platform knows: ids, addresses, secrets. */
async function exampleArguments(
  platform: Platform,
  { database, loginDatabase, sessionsDatabase }: Seeded,
  origins: ExampleOrigins,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const { stateDir } = platform
  const ecrion = await writeConfig(stateDir, "ecrion", { 'database_id = "ecrion"': `database_id = "${database}"` })
  const sessions = await writeConfig(stateDir, "sessions", {
    'database_id = "sessions"': `database_id = "${sessionsDatabase}"`,
    '\nid = "sessions"': `\nid = "${SESSIONS_NAMESPACE_ID}"`,
  })
  const stores = `STORE_ORIGINS:${Object.values(origins.stores).join(" ")}`
  return {
    ecrion: ["--config", ecrion],
    files: ["--var", stores, "--secrets-file", await writeUploadSecrets(stateDir)],
    login: await loginArguments(stateDir, loginDatabase, origins),
    sessions: ["--config", sessions],
  }
}

/** What the storage team keeps from everybody: the keys of its URLs. */
async function writeUploadSecrets(stateDir: string): Promise<string> {
  const { uploadKeys } = await loadSecrets(stateDir)
  const file = path.join(stateDir, "files-secrets.json")
  const held = { URI_INTEGRITY_V2_1_PUT_DECRYPT: uploadKeys.put, URI_INTEGRITY_V2_1_GET_ENCRYPT: uploadKeys.get }
  await writeFile(file, JSON.stringify(held), { mode: 0o600 })
  return file
}

/** Wrangler's options for the login Worker in front of an identity provider and a mailbox of the example. */
export async function loginArguments(
  stateDir: string,
  database: string,
  { identityProvider, mailbox, browserOrigin }: Pick<ExampleOrigins, "identityProvider" | "mailbox" | "browserOrigin">,
): Promise<readonly string[]> {
  const config = await writeConfig(stateDir, "login", { 'database_id = "logins"': `database_id = "${database}"` })
  const provider = {
    idp: LOGIN_IDP,
    issuer: identityProvider.issuer,
    clientId: LOGIN_CLIENT_ID,
    clientAuth: "client_secret_basic",
    scopes: "openid profile",
    companyClaim: COMPANY_CLAIM,
    scopesClaim: SCOPES_CLAIM,
    levels: Object.fromEntries(Object.entries(ACRS).map(([level, acr]) => [acr, Number(level)])),
  }
  const variables = {
    PROVIDERS: JSON.stringify([provider]),
    PUBLIC_ORIGIN: browserOrigin,
    MAIL_URL: `${mailbox}/mails`,
    PIN_ADDRESSES: JSON.stringify(PIN_ADDRESSES),
  }
  const named = Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}:${value}`])
  return ["--config", config, ...named, "--secrets-file", await writeLoginSecrets(stateDir)]
}

/** What the identity team keeps from everybody: the dispatcher's keys of session cookies, and what the identity provider knows it by. */
async function writeLoginSecrets(stateDir: string): Promise<string> {
  const { sessionKeys, loginClientSecret } = await loadSecrets(stateDir)
  const file = path.join(stateDir, "login-secrets.json")
  const name = `CLIENT_SECRET_${LOGIN_IDP.toUpperCase().replaceAll("-", "_")}`
  await writeFile(file, JSON.stringify({ SESSION_KEYS: sessionKeys, [name]: loginClientSecret }), { mode: 0o600 })
  return file
}

/** A Worker's own configuration with the ids that its resources got on this platform, as its team would write them in. Throws for a text that is not there. */
export async function writeConfig(
  stateDir: string,
  script: string,
  replaced: Readonly<Record<string, string>>,
): Promise<string> {
  const source = path.join(ROOT, "user-workers", script)
  const main = { 'main = "index.ts"': `main = ${JSON.stringify(path.join(source, "index.ts"))}` }
  let config = await readFile(path.join(source, "wrangler.toml"), "utf8")
  for (const [from, to] of Object.entries({ ...main, ...replaced })) {
    if (!config.includes(from)) throw new Error(`wrangler.toml of ${script} has no ${from}`)
    config = config.replace(from, () => to)
  }
  const file = path.join(stateDir, `${script}.wrangler.toml`)
  await writeFile(file, config)
  return file
}

/** Over all that a user Worker may be made of: its folder, the kit, the contracts, the locked packages, and what wrangler is told beside them. */
async function inputsDigest(script: string, told: readonly string[]): Promise<string> {
  const digest = createHash("sha256").update(told.join("\n"))
  for (const folder of [`user-workers/${script}`, "kit", "contracts"]) {
    const entries = await readdir(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile() && !entry.name.includes(".test."))
      .map((entry) => path.join(entry.parentPath, entry.name))
      .filter((file) => !file.includes(`${path.sep}.wrangler${path.sep}`))
    for (const file of files.sort()) digest.update(`${path.relative(ROOT, file)}\n`).update(await readFile(file))
  }
  return digest.update(await readFile(path.join(ROOT, "package-lock.json"))).digest("hex")
}
