import { describe, expect, it } from "vitest"
import type { ManifestAsset } from "../../../contracts/manifest.ts"
import { cloudflareFixture, FIXTURE_SETTINGS, UNCOUNTED } from "../../test/cloudflare-fixture.ts"
import { callBudget, TIDYING } from "./call-budget.ts"
import { cloudflareClient } from "./cloudflare-client.ts"
import { placeAssets } from "./place-assets.ts"

const UPLOAD = "POST /workers/assets/upload?base64=true"

function filesOf(count: number, sizeBytes: number): ManifestAsset[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `/${index}.css`,
    hash: String(index).padStart(32, "0"),
    sizeBytes,
    sha256: String(index),
    contentType: "text/css",
  }))
}

function setUp(reads: number = Number.POSITIVE_INFINITY) {
  const cloudflare = cloudflareFixture()
  const deps = {
    fetch: cloudflare.fetch,
    clock: { now: () => 0 },
    wait: async () => {},
    random: () => 0,
    log: () => {},
    store: { calls: UNCOUNTED },
    settings: { cloudflare: FIXTURE_SETTINGS },
  }
  const client = cloudflareClient(deps, callBudget(TIDYING, deps))
  const limit = { left: reads, used: 0 }
  const place = (files: readonly ManifestAsset[]) =>
    placeAssets(
      "pages--v1",
      "web",
      files,
      async (sha256) => {
        if (limit.left-- <= 0) throw new Error("Too many subrequests.")
        limit.used++
        const size = files.find((each) => each.sha256 === sha256)?.sizeBytes ?? 0
        return new Uint8Array(size).fill(Number(sha256) % 251).buffer
      },
      client,
    )
  const uploads = () => cloudflare.calls.filter((call) => call === UPLOAD).length
  return { cloudflare, limit, place, uploads }
}

describe("placeAssets", () => {
  it("sends at most 500 files at once, however small they are", async () => {
    const { cloudflare, place, uploads } = setUp()
    expect(await place(filesOf(1001, 10))).toBe("completion-of-session-0")
    expect(uploads()).toBe(3)
    expect(cloudflare.assets.size).toBe(1001)
  })

  it("sends 500 small files in one request, and what is large in requests of its own", async () => {
    const few = setUp()
    await few.place(filesOf(500, 10))
    expect(few.uploads()).toBe(1)
    const large = setUp()
    await large.place(filesOf(2, 5 * 1024 * 1024))
    expect(large.uploads()).toBe(2)
  })

  it("brings in what it can before an invocation ends, and the next one only the rest", async () => {
    const { cloudflare, limit, place } = setUp(1200)
    const files = filesOf(1400, 10)
    await expect(place(files)).rejects.toThrow("Too many subrequests.")
    expect(cloudflare.assets.size).toBe(1000)
    Object.assign(limit, { left: 1200, used: 0 })
    expect(await place(files)).toMatch(/^completion-of-/)
    expect(limit.used).toBe(400)
    expect(cloudflare.assets.size).toBe(1400)
  })
})
