import { beforeEach, describe, expect, it } from "vitest"
import { type CloudflareFixture, cloudflareFixture } from "../../test/cloudflare-fixture.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { type Enveloped, putRequest, scriptPath } from "../../test/upload-request.ts"

const UPLOAD = "/client/v4/accounts/0123456789abcdef0123456789abcdef/workers/assets/upload"
const A = "a".repeat(32)
const B = "b".repeat(32)

let plane: TestControlPlane
let cloudflare: CloudflareFixture
let web: string

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  plane = await startControlPlane(() => ({ fetch: cloudflare.fetch }))
  web = await plane.team("web")
})

interface File {
  readonly hash: string
  readonly size: number
}

async function open(manifest: Readonly<Record<string, File>>, script = "pages", token = web) {
  const body = { manifest }
  const { status, body: answer } = await plane.send(`POST ${scriptPath(script)}/assets-upload-session`, { token, body })
  const envelope: Enveloped = answer
  return { status, envelope, jwt: String(envelope.result?.jwt), buckets: envelope.result?.buckets }
}

/** One file, raw, as wrangler sends it when the session's token asks for single uploads. */
async function send(jwt: string, hash: string, content: string, type = "text/html; charset=utf-8") {
  const headers = { authorization: `Bearer ${jwt}`, "content-type": type }
  const url = `https://control-plane.example${UPLOAD}/${hash}`
  const response = await plane.fetch(
    new Request(url, { method: "POST", headers, body: new TextEncoder().encode(content) }),
  )
  return { status: response.status, envelope: await response.json<Enveloped>() }
}

async function put(jwt: string, options: { script?: string; token?: string; only?: boolean } = {}) {
  const { script = "pages", token = web, only = true } = options
  const assets = { jwt, config: { html_handling: "none" } }
  const parts = only
    ? { modules: null, metadata: { assets, main_module: undefined, bindings: undefined } }
    : { metadata: { assets, bindings: [{ type: "assets", name: "ASSETS" }] } }
  const response = await plane.fetch(putRequest(script, token, parts))
  return { status: response.status, envelope: await response.json<Enveloped>() }
}

describe("an assets session", () => {
  it("takes the files it lacks and becomes a version of assets alone", async () => {
    const { jwt, buckets } = await open({ "/index.html": { hash: A, size: 2 }, "/LICENSE": { hash: B, size: 4 } })
    expect(buckets).toEqual([[A, B]])
    expect((await send(jwt, A, "hi")).status).toBe(201)
    expect((await send(jwt, B, "free", "application/null")).status).toBe(201)
    expect((await put(jwt)).status).toBe(200)
    const placed = cloudflare.scripts.get("pages--v1")
    expect(placed?.metadata).not.toHaveProperty("main_module")
    expect([...cloudflare.assets.values()].map(({ bytes, type }) => [new TextDecoder().decode(bytes), type])).toEqual([
      ["free", "application/null"],
      ["hi", "text/html; charset=utf-8"],
    ])
  })

  it("gives a token that wrangler can decode, and that decides nothing", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    const [, payload = "", secret = ""] = jwt.split(".")
    expect(JSON.parse(atob(payload))).toMatchObject({
      wrangler_single_asset_uploads: true,
      edge_kv_upload_concurrency: 3,
    })
    const { objects } = await plane.deps.artifacts.list()
    expect(JSON.stringify(objects.map((each) => each.key))).not.toContain(secret)
    const forged = `x.${btoa(JSON.stringify({ exp: 9999999999 }))}.${"y".repeat(43)}`
    expect((await send(forged, A, "hi")).status).toBe(401)
  })

  it("asks for as many files at once as an isolate has room for", async () => {
    const MIB = 1024 * 1024
    const concurrency = async (size: number) => {
      const { jwt } = await open({ "/a": { hash: A, size }, "/b": { hash: B, size: 1 } })
      return JSON.parse(atob(jwt.split(".")[1] ?? "")).edge_kv_upload_concurrency
    }
    expect(await concurrency(25 * MIB)).toBe(2)
    expect(await concurrency(17 * MIB)).toBe(2)
    expect(await concurrency(16 * MIB)).toBe(3)
  })

  it("takes files in base64 as well", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    const form = new FormData()
    form.append(A, new File([btoa("hi")], A, { type: "text/html" }))
    const headers = { authorization: `Bearer ${jwt}` }
    const url = `https://control-plane.example${UPLOAD}?base64=true`
    expect((await plane.fetch(new Request(url, { method: "POST", headers, body: form }))).status).toBe(201)
    expect((await put(jwt)).status).toBe(200)
  })

  /** Bytes that no two pieces of the same length share. */
  const bytesOf = (size: number) => Uint8Array.from({ length: size }, (_, index) => (index * 7919) >> 8)
  const base64Of = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
  /** All files in one form, in base64, as a wrangler sends them that does not know the token's switches. */
  async function sendForm(jwt: string, files: Readonly<Record<string, string>>) {
    const form = new FormData()
    for (const [hash, text] of Object.entries(files)) form.append(hash, new File([text], hash, { type: "text/html" }))
    const headers = { authorization: `Bearer ${jwt}` }
    const request = new Request(`https://control-plane.example${UPLOAD}?base64=true`, {
      method: "POST",
      headers,
      body: form,
    })
    const response = await plane.fetch(request)
    return { status: response.status, envelope: await response.json<Enveloped>() }
  }

  it("takes files in base64 of any length and with line ends, and places them as they were", async () => {
    const [large, small] = [bytesOf(400_001), bytesOf(5)]
    const { jwt } = await open({
      "/large.bin": { hash: A, size: large.byteLength },
      "/small.bin": { hash: B, size: small.byteLength },
    })
    const lines = base64Of(large).replaceAll(/.{76}/g, "$&\r\n")
    expect((await sendForm(jwt, { [A]: lines, [B]: base64Of(small) })).status).toBe(201)
    expect((await put(jwt)).status).toBe(200)
    const placed = [...cloudflare.assets.values()].map(({ bytes }) => bytes)
    expect(placed.map((bytes) => bytes.byteLength).sort((a, b) => a - b)).toEqual([5, 400_001])
    expect(placed.find((bytes) => bytes.byteLength > 5)).toEqual(large)
  })

  it("takes only as much base64 at once as several requests can have in memory, and says how to send more", async () => {
    const [fits, larger] = [5_700_000, 6_300_000]
    const { jwt } = await open({ "/a": { hash: A, size: fits }, "/b": { hash: B, size: larger } })
    expect((await sendForm(jwt, { [A]: "AAAA".repeat(fits / 3) })).status).toBe(201)
    const { status, envelope } = await sendForm(jwt, { [B]: "AAAA".repeat(larger / 3) })
    expect(status).toBe(413)
    expect(envelope.errors[0]?.message).toContain("Send a larger file raw")
  })

  it("asks for files in requests that such a wrangler can send", async () => {
    const size = 3 * 1024 * 1024
    const { buckets } = await open({ "/a": { hash: A, size }, "/b": { hash: B, size } })
    expect(buckets).toEqual([[A], [B]])
  })

  it("refuses text that is no base64", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    expect((await sendForm(jwt, { [A]: "a?==" })).envelope.errors[0]?.message).toContain("is not base64")
  })

  it("takes the largest file, raw, and no larger one", async () => {
    const size = 25 * 1024 * 1024
    const { jwt } = await open({ "/large.bin": { hash: A, size } })
    const post = async (bytes: number) => {
      const headers = { authorization: `Bearer ${jwt}` }
      const url = `https://control-plane.example${UPLOAD}/${A}`
      return plane.fetch(new Request(url, { method: "POST", headers, body: new Uint8Array(bytes) }))
    }
    expect((await post(size - 1)).status).toBe(400)
    expect((await post(size + 1)).status).toBe(413)
    expect((await post(size)).status).toBe(201)
  })

  it("asks again only for files that the newest version lacks, and the same files are the same version", async () => {
    const first = await open({ "/index.html": { hash: A, size: 2 } })
    await send(first.jwt, A, "hi")
    await put(first.jwt)
    const again = await open({ "/index.html": { hash: A, size: 2 } })
    expect(again.buckets).toEqual([])
    expect((await put(again.jwt)).envelope.messages[0]?.message).toContain("was there already")
    const more = await open({ "/index.html": { hash: A, size: 2 }, "/b.html": { hash: B, size: 3 } })
    expect(more.buckets).toEqual([[B]])
    await send(more.jwt, B, "bye")
    expect((await put(more.jwt)).status).toBe(200)
    expect(await plane.deps.store.versions.latest("pages")).toBe(2)
  })

  it("goes with modules too", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    await send(jwt, A, "hi")
    expect((await put(jwt, { only: false })).status).toBe(200)
    expect(cloudflare.scripts.get("pages--v1")?.metadata.bindings).toMatchObject([
      { name: "ASSETS" },
      { name: "PLATFORM" },
    ])
  })
})

describe("immutable files of earlier versions", () => {
  const HEADERS = "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n"
  /** Own files first, then those kept, newest first; beside them every version has its page. */
  const pathsOf = (version: number) =>
    Object.keys(cloudflare.assetsOf(`pages--v${version}`)).filter((path) => path !== "/index.html")

  /** A version with a page and one hashed file, named after `letter`. */
  async function release(letter: string, headers: string | null = HEADERS): Promise<void> {
    const [page, script] = [`<p>${letter}`, `"${letter}"`]
    const hashes = [`0${letter}`.repeat(16), `1${letter}`.repeat(16)] as const
    const { jwt } = await open({
      "/index.html": { hash: hashes[0], size: page.length },
      [`/assets/${letter}.js`]: { hash: hashes[1], size: script.length },
    })
    await send(jwt, hashes[0], page)
    await send(jwt, hashes[1], script, "text/javascript")
    const config = headers === null ? {} : { _headers: headers }
    const metadata = { assets: { jwt, config }, main_module: undefined, bindings: undefined }
    expect((await plane.fetch(putRequest("pages", web, { modules: null, metadata }))).status).toBe(200)
  }

  it("are placed with as many later versions as the script's settings keep, three unless told otherwise", async () => {
    for (const letter of ["a", "b", "c", "d", "e"]) await release(letter)
    expect(pathsOf(1)).toEqual(["/assets/a.js"])
    expect(pathsOf(4)).toEqual(["/assets/d.js", "/assets/c.js", "/assets/b.js", "/assets/a.js"])
    expect(pathsOf(5)).toEqual(["/assets/e.js", "/assets/d.js", "/assets/c.js", "/assets/b.js"])
    const [first, fourth] = [cloudflare.assetsOf("pages--v1"), cloudflare.assetsOf("pages--v4")]
    expect(fourth["/assets/a.js"]).toBe(first["/assets/a.js"])
    expect(fourth["/index.html"]).not.toBe(first["/index.html"])
  })

  it("are not kept of a version whose stored manifest was changed, which stops no release", async () => {
    await release("a")
    await release("b")
    await plane.deps.artifacts.put("manifests/pages/1.json", "{}")
    await release("c")
    expect(pathsOf(3)).toEqual(["/assets/c.js", "/assets/b.js"])
  })

  it("are not placed where nobody called them immutable, or the script keeps none", async () => {
    await release("a", null)
    await release("b")
    expect(pathsOf(2)).toEqual(["/assets/b.js"])
    const none = { token: web, body: { keepAssetVersions: 0 } }
    expect((await plane.send("PUT /v1/scripts/pages", none)).status).toBe(200)
    await release("c")
    expect(pathsOf(3)).toEqual(["/assets/c.js"])
  })

  it("of a version that Cloudflare refused are passed over", async () => {
    await release("a")
    await release("b")
    await plane.deps.store.versions.setState("pages", 2, "failed", {
      name: "test",
      role: "ops",
      team: null,
      tokenId: "t",
    })
    await release("c")
    expect(pathsOf(3)).toEqual(["/assets/c.js", "/assets/a.js"])
  })

  it.each(["retired", "placed"] as const)(
    "of a version that is %s are kept like those of one in place",
    async (state) => {
      await release("a")
      await release("b")
      await plane.deps.db.prepare("UPDATE versions SET state = ? WHERE number = 2").bind(state).run()
      await release("c")
      expect(pathsOf(3)).toEqual(["/assets/c.js", "/assets/b.js", "/assets/a.js"])
    },
  )

  it("leave the version what its own content makes it", async () => {
    await release("a")
    const digest = (await plane.deps.store.versions.get("pages", 1))?.digest
    await release("b")
    await release("a")
    expect(await plane.deps.store.versions.latest("pages")).toBe(2)
    expect((await plane.deps.store.versions.get("pages", 1))?.digest).toBe(digest)
    expect(pathsOf(1)).toEqual(["/assets/a.js"])
  })

  it("do not come from another team that had the name before", async () => {
    await release("a")
    const other = await plane.team("other")
    await plane.send("DELETE /v1/scripts/pages", { token: web })
    const given = await plane.send("PUT /v1/scripts/pages", { body: { team: "other" } })
    expect(given.status).toBe(201)
    web = other
    await release("b")
    expect(pathsOf(2)).toEqual(["/assets/b.js"])
  })

  it("are kept by number of versions from 0 to 10", async () => {
    await plane.script("pages", "web")
    for (const keepAssetVersions of [-1, 11, 1.5, "3", null])
      expect((await plane.send("PUT /v1/scripts/pages", { token: web, body: { keepAssetVersions } })).status).toBe(400)
  })
})

describe("an assets session refuses", () => {
  it("a file that was not announced, or has another size", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    expect((await send(jwt, B, "hi")).envelope.errors[0]?.message).toContain("was not announced")
    expect((await send(jwt, A, "hello")).envelope.errors[0]?.message).toContain("has 5 bytes instead of 2")
  })

  it("to become a version while a file is missing", async () => {
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 }, "/b.html": { hash: B, size: 3 } })
    await send(jwt, A, "hi")
    const { status, envelope } = await put(jwt)
    expect(status).toBe(400)
    expect(envelope.errors[0]?.message).toContain("/b.html was announced but not sent")
    expect(await plane.deps.store.scripts.get("pages")).toBeNull()
  })

  it("to be redeemed for another script or by another team, or after an hour", async () => {
    const other = await plane.team("other")
    const { jwt } = await open({ "/index.html": { hash: A, size: 2 } })
    await send(jwt, A, "hi")
    expect((await put(jwt, { script: "docs-site" })).status).toBe(400)
    expect((await put(jwt, { token: other })).status).toBe(400)
    plane.pass(3_600_001)
    expect((await put(jwt)).status).toBe(400)
    expect((await send(jwt, A, "hi")).status).toBe(401)
  })

  it("files that are too large, too many or no files", async () => {
    expect((await open({ "/a": { hash: A, size: 25 * 1024 * 1024 + 1 } })).status).toBe(413)
    const many = Object.fromEntries(Array.from({ length: 20_001 }, (_, index) => [`/${index}`, { hash: A, size: 1 }]))
    expect((await open(many)).status).toBe(400)
    for (const manifest of [
      { a: { hash: A, size: 1 } },
      { "/a": { hash: "x", size: 1 } },
      { "/a": { hash: A, size: -1 } },
    ])
      expect((await open(manifest)).status).toBe(400)
  })

  it("to be opened for another team's script", async () => {
    const other = await plane.team("other")
    await put((await open({})).jwt)
    expect((await open({}, "pages", other)).status).toBe(403)
  })
})
