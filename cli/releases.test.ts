import { describe, expect, it } from "vitest"
import { Failure } from "./failure.ts"
import { parseReleases, releasesText } from "./releases.ts"

describe("parseReleases", () => {
  it.each([
    [["12"], [{ version: 12, weightBps: 10_000 }]],
    [["v12=100%"], [{ version: 12, weightBps: 10_000 }]],
    [
      ["12=99.95", "13=0.05"],
      [
        { version: 12, weightBps: 9995 },
        { version: 13, weightBps: 5 },
      ],
    ],
    [
      ["12=99.9", "13=0.1"],
      [
        { version: 12, weightBps: 9990 },
        { version: 13, weightBps: 10 },
      ],
    ],
  ])("reads %j", (words, releases) => {
    expect(parseReleases(words)).toEqual(releases)
  })

  it.each([
    [["12=90"]],
    [["12=90", "13=9"]],
    [["12=90", "13"]],
    [["12", "13"]],
    [["0=100"]],
    [["12=100.001"]],
    [["12=-1", "13=101"]],
    [["files=100"]],
    [["12=1e2"]],
    [[]],
  ])("refuses %j", (words) => {
    expect(() => parseReleases(words)).toThrow(Failure)
  })
})

it("writes weights in percent", () => {
  expect(releasesText([{ version: 12, weightBps: 9995 }])).toBe("v12 99.95 %")
  expect(releasesText(null)).toBe("none")
})
