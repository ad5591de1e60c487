import { PassThrough } from "node:stream"
import { expect, it } from "vitest"
import { textWithin } from "./io.ts"

const never = () => new Promise<never>(() => undefined)
const over = async () => undefined

it("reads all of what begins in time, however long it takes then", async () => {
  const stream = new PassThrough()
  const read = textWithin(stream, never)
  stream.write("one ")
  setImmediate(() => stream.end("two"))
  expect(await read).toBe("one two")
})

it("takes the end for all, without waiting for the rest of the patience", async () => {
  const stream = new PassThrough()
  stream.end()
  expect(await textWithin(stream, never)).toBe("")
})

it("lets go of one that says nothing", async () => {
  const stream = new PassThrough()
  expect(await textWithin(stream, over)).toBe("")
  expect(stream.destroyed).toBe(true)
})

it("passes on that it cannot be read", async () => {
  const stream = new PassThrough()
  const read = textWithin(stream, never)
  stream.destroy(new Error("EIO"))
  await expect(read).rejects.toThrow("EIO")
})
