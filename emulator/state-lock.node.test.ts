import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { lockState, StateInUseError } from "./state-lock.ts"

let state: string
beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), "sallyport-lock-"))
})
afterEach(() => rm(state, { recursive: true, force: true }))
const lock = () => path.join(state, "running.pid")

it("refuses a second platform on the same state and names the process of the first", async () => {
  const release = await lockState(state)
  await expect(lockState(state)).rejects.toThrow(StateInUseError)
  await expect(lockState(state)).rejects.toThrow(`Process ${process.pid} `)
  release()
  const again = await lockState(state)
  again()
  expect(await readdir(state)).toEqual([])
})

it("takes over the lock of a process that is gone, also when its pid is another program's by now", async () => {
  const held = await lockState(state)
  const content = await readFile(lock(), "utf8")
  held()
  for (const stale of [
    "",
    "0",
    "4194304999 1",
    `${process.pid}`,
    `${process.pid} 1`,
    content.replace(/ .*/s, " then"),
  ]) {
    await writeFile(lock(), stale)
    const release = await lockState(state)
    expect(await readFile(lock(), "utf8")).toBe(content)
    release()
  }
  await writeFile(lock(), content)
  await expect(lockState(state)).rejects.toThrow(StateInUseError)
})

it("gives the state to one of many that start at once", async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockState(state)))
  const releases = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))
  expect(releases).toHaveLength(1)
  for (const release of releases) release()
})
