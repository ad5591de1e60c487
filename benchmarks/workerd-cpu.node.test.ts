import { expect, it } from "vitest"
import { parseStat } from "./workerd-cpu.ts"

it("reads parent and CPU time past a command with parentheses and spaces", () => {
  const line = "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 12345 1 2"
  expect(parseStat(line)).toEqual({ pid: 42, command: "a (b) c", parent: 7, cpuUs: 1_750_000 })
})

it("gives null for what is not a stat line", () => {
  expect(parseStat("")).toBeNull()
})
