import { expect, it } from "vitest"
import { type Report, readFigures, type TestReport } from "./read-figures.ts"

const quiet = { duration: 1, meta: {} }
const rotation = { duration: 12_340, meta: { figures: { name: "rotation", requests: 100, refused: 0 } } }
const aborts = { duration: 1_000, meta: { figures: { name: "aborts", uploads: 7 } } }
const report = (...tests: TestReport[]): Report => ({ testResults: [{ assertionResults: tests }] })

it("gives what each test counted, under its name, and the seconds that it took", () => {
  expect(readFigures(report(quiet, rotation, aborts))).toEqual({
    rotation_requests: 100,
    rotation_refused: 0,
    rotation_seconds: 12.3,
    aborts_uploads: 7,
    aborts_seconds: 1,
  })
})

it("refuses a report in which no test counted anything", () => {
  expect(() => readFigures(report(quiet))).toThrow(/counted nothing/)
})

it("refuses two counts of one name, of which one would be lost", () => {
  expect(() => readFigures(report(rotation, rotation))).toThrow(/rotation/)
})
