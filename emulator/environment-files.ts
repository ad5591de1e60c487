/** `<state>/<name>.env`: what a shell needs to act as a team, or as ops, towards the local platform. Sourced in the printed commands, so that no token is shown. */
import { writeFile } from "node:fs/promises"
import path from "node:path"
import { QUIET_WRANGLER } from "./build.ts"
import type { Platform } from "./platform.ts"
import type { TeamTokens } from "./seed.ts"
import { wranglerEnvironment } from "./upload.ts"

/** wrangler as a person sees it, but without a look at the internet. */
const { CI: _ci, NO_COLOR: _noColor, ...offline } = QUIET_WRANGLER

export async function writeEnvironmentFiles(platform: Platform, tokens: TeamTokens): Promise<void> {
  for (const [name, token] of Object.entries({ ...tokens, ops: platform.opsToken })) {
    const variables = {
      ...wranglerEnvironment(platform, token),
      SALLYPORT_API_URL: platform.controlPlaneUrl,
      SALLYPORT_EDGE_URL: platform.edgeUrl,
      SALLYPORT_TOKEN: token,
      ...offline,
    }
    const lines = Object.entries(variables).map(([key, value]) => `export ${key}='${value}'\n`)
    await writeFile(path.join(platform.stateDir, `${name}.env`), lines.join(""), { mode: 0o600 })
  }
}
