/** The installation lock of run.mjs, in a folder that looks like a fresh clone and with an npm that only waits and fails. */
import { spawn } from "node:child_process"
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"

const NPM_STATUS = 3
let clone: string

beforeAll(async () => {
  clone = await mkdtemp(path.join(tmpdir(), "sallyport-clone-"))
  for (const folder of ["scripts", "bin", ".sallyport"]) await mkdir(path.join(clone, folder))
  await copyFile(path.join(import.meta.dirname, "run.mjs"), path.join(clone, "scripts", "run.mjs"))
  await writeFile(path.join(clone, "package-lock.json"), "{}")
  await writeFile(
    path.join(clone, "bin", "npm"),
    `#!/bin/sh\nwhile [ -e hold ]; do sleep 0.1; done\nexit ${NPM_STATUS}\n`,
  )
  await chmod(path.join(clone, "bin", "npm"), 0o755)
})
afterAll(() => rm(clone, { recursive: true, force: true }))

function install() {
  const child = spawn(process.execPath, [path.join(clone, "scripts", "run.mjs"), "check"], {
    env: { ...process.env, PATH: `${path.join(clone, "bin")}:${process.env.PATH}` },
    stdio: ["ignore", "pipe", "ignore"],
  })
  let output = ""
  const status = new Promise<number | null>((resolve) => child.once("close", resolve))
  const says = (text: string) =>
    new Promise<void>((resolve) =>
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes(text)) resolve()
      }),
    )
  return { pid: child.pid, status, says }
}

it("lets one command install while others wait and say for whom", async () => {
  await writeFile(path.join(clone, "hold"), "")
  const first = install()
  await first.says("Installing")
  const second = install()
  await second.says(`Waiting for process ${first.pid}`)
  await rm(path.join(clone, "hold"))
  expect(await first.status).toBe(NPM_STATUS)
  expect(await second.status).toBe(NPM_STATUS)
})

it("does not wait for another program that has the pid of an installation long gone", async () => {
  await writeFile(path.join(clone, ".sallyport", "installing"), `${process.pid} 1`)
  expect(await install().status).toBe(NPM_STATUS)
})
