import { describe, expect, it } from "vitest"
import { isScriptName, parsePlacedName, placedName } from "./script-name.ts"

describe("isScriptName", () => {
  it.each(["a", "files", "files-2", "a-b-c", "a".repeat(48), "sally"])("accepts %s", (name) => {
    expect(isScriptName(name)).toBe(true)
  })
  it.each([
    "",
    "A",
    "Files",
    "1a",
    "-a",
    "a-",
    "a--b",
    "a_b",
    "a.b",
    "a/b",
    "../x",
    "аdmin",
    "a b",
    "a".repeat(49),
    "sallyport",
    "sallyport-dispatcher",
    "files--v1",
    "a\n",
  ])("refuses %j", (name) => {
    expect(isScriptName(name)).toBe(false)
  })
  it("takes linear time on a long hostile name", () => {
    expect(isScriptName(`${"a-".repeat(50_000)}!`)).toBe(false)
  })
})

describe("placedName", () => {
  it("is read back by parsePlacedName", () => {
    expect(placedName("files", 12)).toBe("files--v12")
    expect(parsePlacedName("files--v12")).toEqual({ script: "files", version: 12 })
    expect(parsePlacedName("a-b--v1")).toEqual({ script: "a-b", version: 1 })
  })
  it.each([
    "files",
    "files--v",
    "files--v0",
    "files--v01",
    "files--v1x",
    "--v1",
    "a--b--v1",
    "files-v1",
    "sallyport--v1",
    "files--v1\n",
  ])("reads nothing from %j", (name) => {
    expect(parsePlacedName(name)).toBeNull()
  })
})
