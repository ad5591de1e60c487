import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { passportKeyRing } from "../dispatcher/src/identity/passport-keys.ts"
import { addKey, dropKey, newRing, useKey } from "./passport-keys.ts"

it("rotates in three steps, each of which the dispatcher takes", async () => {
  const first = newRing("2026-11")
  const added = addKey(first, "2027-02")
  const used = useKey(added, "2027-02")
  const dropped = dropKey(used, "2026-11")
  const seen = []
  for (const ring of [first, added, used, dropped]) {
    const taken = await passportKeyRing({ secret: JSON.stringify(ring), log: () => undefined })
    const published = taken.jwks(0).keys.map((key) => String("kid" in key && key.kid))
    seen.push(`${taken.signing(0).kid} of ${published.toSorted().join(", ")}`)
  }
  expect(seen).toEqual([
    "2026-11 of 2026-11",
    "2026-11 of 2026-11, 2027-02",
    "2027-02 of 2026-11, 2027-02",
    "2027-02 of 2027-02",
  ])
})

it("never leaves the ring without the key that signs, or without room", () => {
  const ring = newRing("a")
  expect(() => dropKey(ring, "a")).toThrow("use another key first")
  expect(() => useKey(ring, "b")).toThrow("add it first")
  expect(() => dropKey(ring, "b")).toThrow("no key b")
  expect(() => addKey(ring, "a")).toThrow("already")
  expect(() => addKey(ring, "a b")).toThrow("not a key id")
  const full = ["b", "c", "d", "e"].reduce(addKey, ring)
  expect(() => addKey(full, "f")).toThrow("drop one first")
})

it("ends with 1 and a sentence, and writes no ring that a deploy could take, when a step cannot be done", () => {
  const script = fileURLToPath(new URL("./passport-keys.ts", import.meta.url))
  for (const input of [JSON.stringify(newRing("2026-11-26")), ""]) {
    const done = spawnSync(process.execPath, [script, "drop", "2026-11"], { input, encoding: "utf8" })
    expect([done.status, done.stdout, done.stderr]).toEqual([1, "", expect.stringMatching(/^error: .*\n$/)])
  }
})
