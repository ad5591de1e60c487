#!/usr/bin/env node
/**
 * Starts the command line on a Node that runs TypeScript by itself: the present one, or the one that the `node` package brings.
 * Plain JavaScript, because an old Node must be able to read it.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const runsTypeScript = major > 22 || (major === 22 && minor >= 18)

if (runsTypeScript) {
  await import("./index.ts")
} else {
  const node = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url))
  if (!existsSync(node)) {
    process.stderr.write(
      "error: Node 22.18 or newer is needed\n  do  Run `npm install` in the repository: it brings one.\n",
    )
    process.exit(1)
  }
  const self = fileURLToPath(import.meta.url)
  const { status, signal } = spawnSync(node, [self, ...process.argv.slice(2)], { stdio: "inherit" })
  if (signal !== null) process.kill(process.pid, signal)
  process.exitCode = status ?? 1
}
