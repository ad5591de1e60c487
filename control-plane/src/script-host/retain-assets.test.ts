import { describe, it } from "vitest"
import type { ManifestAsset } from "../../../contracts/manifest.ts"
import { type Assets, immutablePaths, RETAIN_LIMITS, retainedAssets } from "./retain-assets.ts"

const HEADERS = "/app/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n"

function file(path: string, content = "a", rest: Partial<ManifestAsset> = {}): ManifestAsset {
  const sha256 = content.repeat(64).slice(0, 64)
  return { path, hash: sha256.slice(0, 32), sizeBytes: 10, sha256, contentType: "text/javascript", ...rest }
}

function assets(files: readonly ManifestAsset[], headers: unknown = HEADERS): Assets {
  return { files, config: headers === null ? {} : { _headers: headers } }
}

const pathsOf = (files: readonly ManifestAsset[]) => files.map(({ path }) => path)

describe("retainedAssets", () => {
  it("keeps what an earlier version called immutable, newest version first", async ({ expect }) => {
    const own = assets([file("/app/assets/c.js")])
    const kept = await retainedAssets(own, [assets([file("/app/assets/b.js")]), assets([file("/app/assets/a.js")])])
    expect(pathsOf(kept)).toEqual(["/app/assets/b.js", "/app/assets/a.js"])
  })

  it("keeps nothing that was not called immutable", async ({ expect }) => {
    const earlier = assets([file("/app/app.js"), file("/app/assets2/a.js"), file("/app/assets")])
    expect(await retainedAssets(assets([]), [earlier])).toEqual([])
  })

  it("asks the earlier version's own file, not the new one's", async ({ expect }) => {
    const gone = [file("/app/assets/a.js")]
    expect(pathsOf(await retainedAssets(assets([], null), [assets(gone)]))).toEqual(["/app/assets/a.js"])
    expect(await retainedAssets(assets([]), [assets(gone, null)])).toEqual([])
  })

  it("never replaces a file of the new version, nor of a newer one by an older one's", async ({ expect }) => {
    const own = assets([file("/app/assets/a.js", "1")])
    const newer = assets([file("/app/assets/a.js", "2"), file("/app/assets/b.js", "2")])
    const older = assets([file("/app/assets/b.js", "3")])
    expect(await retainedAssets(own, [newer, older])).toEqual([file("/app/assets/b.js", "2")])
  })

  for (const [what, page] of [
    ["by its type", file("/app/assets/page", "a", { contentType: "text/html; charset=utf-8" })],
    ["by its name", file("/app/assets/page.html", "a", { contentType: null })],
  ] as const)
    it(`never keeps HTML, known ${what}`, async ({ expect }) => {
      expect(await retainedAssets(assets([]), [assets([page])])).toEqual([])
    })

  it("stops at the size that all kept files may have, dropping the oldest", async ({ expect }) => {
    const big = (path: string) => file(path, "a", { sizeBytes: RETAIN_LIMITS.bytes / 2 })
    const earlier = ["/app/assets/3.js", "/app/assets/2.js", "/app/assets/1.js"].map((path) => assets([big(path)]))
    expect(pathsOf(await retainedAssets(assets([]), earlier))).toEqual(["/app/assets/3.js", "/app/assets/2.js"])
  })

  it("stops at the number of files that a version may have, its own included", async ({ expect }) => {
    const own = Array.from({ length: RETAIN_LIMITS.files - 1 }, (_, index) => file(`/app/own/${index}`))
    const earlier = assets([file("/app/assets/b.js"), file("/app/assets/a.js")])
    expect(pathsOf(await retainedAssets(assets(own), [earlier]))).toEqual(["/app/assets/b.js"])
  })

  it("asks for one earlier version at a time, and for none once it is full", async ({ expect }) => {
    const asked: number[] = []
    async function* earlier() {
      for (const version of [3, 2, 1]) {
        asked.push(version)
        yield assets([file(`/app/assets/${version}.js`, "a", { sizeBytes: RETAIN_LIMITS.bytes })])
      }
    }
    expect(pathsOf(await retainedAssets(assets([]), earlier()))).toEqual(["/app/assets/3.js"])
    expect(asked).toEqual([3, 2])
  })
})

describe("immutablePaths", () => {
  const YEAR = "Cache-Control: public, max-age=31536000, immutable"

  it.for([
    ["a path", `/a/b.js\n  ${YEAR}`, "/a/b.js"],
    ["a wildcard", `/a/*\n  ${YEAR}`, "/a/b/c.js"],
    ["a wildcard in the middle", `/a/*/assets/c\n  ${YEAR}`, "/a/b/assets/c"],
    ["what an exception leaves", `/a/*\n  ${YEAR}\n/a/*.map\n  ! Cache-Control`, "/a/b.js"],
    ["a prefix", `/a/b-*\n  ${YEAR}`, "/a/b-1.js"],
    ["a placeholder", `/a/:app/assets/*\n  ${YEAR}`, "/a/x/assets/b.js"],
    ["any case", `/a/*\n  cache-control: IMMUTABLE`, "/a/b"],
    ["rules that agree", `/a/*\n  ${YEAR}\n/a/b\n  ${YEAR}`, "/a/b"],
    ["a rule that speaks of something else", `/a/*\n  ${YEAR}\n/*\n  X-Frame-Options: DENY`, "/a/b"],
  ] as const)("knows %s", ([, headers, path], { expect }) => {
    expect(immutablePaths(headers)(path)).toBe(true)
  })

  it.for([
    ["no file", undefined, "/a/b"],
    ["another path", `/a/*\n  ${YEAR}`, "/ab/c"],
    ["a longer path than the rule", `/a\n  ${YEAR}`, "/a/b"],
    ["a placeholder for no segment", `/:app/assets/*\n  ${YEAR}`, "//assets/b"],
    ["a placeholder for two segments", `/:app/assets/*\n  ${YEAR}`, "/a/b/assets/c"],
    ["a wildcard in the middle beside a placeholder", `/:a/*/assets/c\n  ${YEAR}`, "/a/b/assets/c"],
    ["two wildcards", `/a/*/b/*\n  ${YEAR}`, "/a/x/b/*"],
    ["a wildcard for less than nothing", `/a/b*b.js\n  ${YEAR}`, "/a/b.js"],
    ["more segments than a person writes", `${"/:a".repeat(20)}\n  ${YEAR}`, "/a".repeat(20)],
    ["a rule with an exception by a wildcard", `/a/*\n  ${YEAR}\n/a/*.map\n  ! Cache-Control`, "/a/b.js.map"],
    ["a rule with an exception that is not read", `/a/*\n  ${YEAR}\nhttps://a.example/*\n  ! Cache-Control`, "/a/b"],
    ["a rule of a hostname", `https://a.example/*\n  ${YEAR}`, "/a"],
    ["another header", "/a/*\n  X-Cache-Control: immutable", "/a/b"],
    ["a word that only contains it", "/a/*\n  Cache-Control: not-immutable2", "/a/b"],
    ["a rule that also forbids to store", "/a/*\n  Cache-Control: no-store, immutable", "/a/b"],
    ["rules that disagree", `/a/*\n  ${YEAR}\n/a/b\n  Cache-Control: no-cache`, "/a/b"],
    ["a rule that takes the header off", `/a/*\n  ${YEAR}\n/a/b\n  ! Cache-Control`, "/a/b"],
    ["a comment", `/a/*\n# ${YEAR}`, "/a/b"],
  ] as const)("does not believe %s", ([, headers, path], { expect }) => {
    expect(immutablePaths(headers)(path)).toBe(false)
  })
})
