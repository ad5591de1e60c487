import { describe, expect, it } from "vitest"
import { Queue } from "./one-at-a-time.ts"

/** Work that ends when told to. */
function work() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const state = { started: false }
  const run = () => {
    state.started = true
    return promise
  }
  return { run, state, end: resolve, fail: reject }
}

const settle = () => new Promise((resolve) => setTimeout(resolve))

describe("Queue", () => {
  it("starts the second of a key when the first has ended, and another key at once", async () => {
    const queue = new Queue()
    const [first, second, other] = [work(), work(), work()]
    const results = [queue.run("a", first.run), queue.run("a", second.run), queue.run("b", other.run)]
    await settle()
    expect([first.state.started, second.state.started, other.state.started]).toEqual([true, false, true])
    first.end("one")
    await settle()
    expect(second.state.started).toBe(true)
    second.end("two")
    other.end("three")
    expect(await Promise.all(results)).toEqual(["one", "two", "three"])
  })

  it("goes on after a failure, which only its own caller sees", async () => {
    const queue = new Queue()
    const [first, second] = [work(), work()]
    const failing = queue.run("a", first.run)
    const next = queue.run("a", second.run)
    first.fail(new Error("broken"))
    await expect(failing).rejects.toThrow("broken")
    second.end("fine")
    expect(await next).toBe("fine")
  })
})
