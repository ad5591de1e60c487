import { spawn } from "node:child_process"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { expect, it } from "vitest"

const STARTER = `
import { startAzureStore } from ${JSON.stringify(path.join(import.meta.dirname, "azure-store.ts"))}
await startAzureStore()
console.log("up")
`

it("ends, and takes its folder along, when whoever started it is killed outright", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "sallyport-starter-"))
  try {
    const env = { PATH: process.env.PATH ?? "", TMPDIR: folder, TEMP: folder }
    const starter = spawn(process.execPath, ["--input-type=module", "-e", STARTER], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    })
    await new Promise((resolve) => starter.stdout.once("data", resolve))
    const [own = ""] = await readdir(folder)
    expect(await readdir(path.join(folder, own))).not.toEqual([])
    starter.kill("SIGKILL")
    // Azurite itself takes it away, as it ends.
    await expect.poll(() => readdir(folder), { timeout: 10_000 }).toEqual([])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
