/**
 * Uploads a Worker as its team would: real wrangler, the team's token, the control plane's door. Used by the starter for user-workers/*
 * and by `sallyport/testing` for a folder with a wrangler.toml.
 */
import { createHash } from "node:crypto"
import { readdir, readFile, writeFile } from "node:fs/promises"
import path from "node:path"
import { ROOT, runWrangler } from "./build.ts"
import { type ExampleTeam, SCRIPTS } from "./example-layout.ts"
import type { ExampleOrigins } from "./example-origins.ts"
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
  { tokens, database }: Seeded,
  origins: ExampleOrigins,
  onUpload: (script: string, team: ExampleTeam) => void,
): Promise<string[]> {
  const file = path.join(platform.stateDir, "uploads.json")
  const known = JSON.parse(await readFile(file, "utf8").catch(() => "{}")) as Record<string, string>
  const secretsFile = await writeUploadSecrets(platform.stateDir)
  const configFile = await writeEcrionConfig(platform.stateDir, database)
  const argumentsOf = (script: string): string[] => {
    const traced = ["--var", `OTLP_ENDPOINT:${origins.traces}`]
    if (script === "ecrion") return [...traced, "--config", configFile]
    if (script !== "files") return traced
    const stores = `STORE_ORIGINS:${Object.values(origins.stores).join(" ")}`
    return [...traced, "--var", stores, "--secrets-file", secretsFile]
  }
  const digests = await Promise.all(
    Object.keys(SCRIPTS).map(async (script) => [script, await inputsDigest(script, argumentsOf(script))] as const),
  )
  const changed = digests.filter(([script, digest]) => known[script] !== digest)
  await Promise.all(
    changed.map(async ([script, digest]) => {
      const team = SCRIPTS[script] ?? "web"
      onUpload(script, team)
      await deployWithWrangler(platform, tokens[team], path.join(ROOT, "user-workers", script), argumentsOf(script))
      known[script] = digest
    }),
  )
  if (changed.length > 0) await writeFile(file, `${JSON.stringify(known, null, 2)}\n`)
  return changed.map(([script]) => script)
}

/** What the storage team keeps from everybody: the keys of its URLs. */
async function writeUploadSecrets(stateDir: string): Promise<string> {
  const { uploadKeys } = await loadSecrets(stateDir)
  const file = path.join(stateDir, "files-secrets.json")
  const held = { URI_INTEGRITY_V2_1_PUT_DECRYPT: uploadKeys.put, URI_INTEGRITY_V2_1_GET_ENCRYPT: uploadKeys.get }
  await writeFile(file, JSON.stringify(held), { mode: 0o600 })
  return file
}

/** ecrion's own configuration with the id that its database got on this platform, as its team would write it in. */
async function writeEcrionConfig(stateDir: string, database: string): Promise<string> {
  const source = path.join(ROOT, "user-workers", "ecrion")
  const config = await readFile(path.join(source, "wrangler.toml"), "utf8")
  const filled = config
    .replace('main = "index.ts"', () => `main = ${JSON.stringify(path.join(source, "index.ts"))}`)
    .replace('database_id = "ecrion"', () => `database_id = "${database}"`)
  const file = path.join(stateDir, "ecrion.wrangler.toml")
  await writeFile(file, filled)
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
