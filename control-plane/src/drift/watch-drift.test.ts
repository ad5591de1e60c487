/** What somebody changes at Cloudflare past the control plane is found, is not taken for what was not seen, and is forgotten when it is mended. */
import { beforeEach, describe, expect, it } from "vitest"
import { type CloudflareFixture, cloudflareFixture, dispatchBinding } from "../../test/cloudflare-fixture.ts"
import { routeBody, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { putRequest } from "../../test/upload-request.ts"
import { makeDependencies } from "../dependencies.ts"
import { MOST_PER_MINUTE, watchDrift } from "./watch-drift.ts"

const QUARTER_MS = 15 * 60_000
const V1 = "scripts/pages/versions/1"
let cloudflare: CloudflareFixture
let plane: TestControlPlane
let web: string

beforeEach(async () => {
  cloudflare = cloudflareFixture()
  plane = await startControlPlane((env) => ({
    fetch: cloudflare.fetch,
    settings: { ...makeDependencies(env).settings, artifactKey: "A".repeat(43) },
  }))
  web = await plane.team("web")
  await upload("export default 1")
  cloudflare.calls.length = 0
})

async function upload(code: string, script = "pages") {
  expect((await plane.fetch(putRequest(script, web, { code }))).status).toBe(200)
}
/** A quarter of an hour later, when everything has its turn. */
async function look() {
  plane.pass(QUARTER_MS)
  await watchDrift(plane.deps)
  return faults()
}
async function faults(): Promise<Record<string, string | null>> {
  const looks = await plane.deps.store.drift.looks()
  return Object.fromEntries(looks.map(({ about, fault }) => [about, fault]))
}
const events = () =>
  plane.logs.filter(({ event }) => event.startsWith("drift.")).map(({ event, about }) => [event, about])
const standing = (name = "pages--v1") => {
  const found = cloudflare.scripts.get(name)
  if (found === undefined) throw new Error(`no script ${name}`)
  return found
}
/** As somebody with the dashboard can. */
const change = (account: Partial<CloudflareFixture["account"]>) => void Object.assign(cloudflare.account, account)
const WELL = { namespace: null, dispatcher: null, [V1]: null }

describe("where all is as it should be", () => {
  it("finds nothing, and says nothing in the log", async () => {
    expect(await look()).toEqual(WELL)
    expect(await look()).toEqual(WELL)
    expect(events()).toEqual([])
  })

  it("looks at each thing once in a quarter of an hour, whatever the schedule does", async () => {
    await look()
    const asked = cloudflare.calls.length
    plane.pass(QUARTER_MS - 1)
    await watchDrift(plane.deps)
    expect(cloudflare.calls.length).toBe(asked)
    plane.pass(1)
    await watchDrift(plane.deps)
    expect(cloudflare.calls.length).toBe(2 * asked)
  })

  it("changes nothing there", async () => {
    await look()
    expect(cloudflare.calls.filter((call) => !call.startsWith("GET "))).toEqual([])
  })
})

describe("finds", () => {
  const changed: [what: string, meddle: () => void, about: string, fault: string][] = [
    [
      "a namespace whose Workers are trusted",
      () => change({ trustedWorkers: true }),
      "namespace",
      "its Workers are trusted: they share one cache, and see `request.cf` once uploaded again",
    ],
    [
      "a dispatcher without an outbound Worker",
      () => change({ dispatcherBindings: [{ ...dispatchBinding(), outbound: undefined }] }),
      "dispatcher",
      "teams' Workers call out directly: its binding to the namespace has no outbound Worker",
    ],
    [
      "a dispatcher with another one",
      () => change({ dispatcherBindings: [dispatchBinding({ worker: { service: "other" } })] }),
      "dispatcher",
      "teams' Workers call out through other instead of sallyport-outbound",
    ],
    [
      "a second binding to the namespace without one",
      () => change({ dispatcherBindings: [dispatchBinding(), dispatchBinding(null)] }),
      "dispatcher",
      "teams' Workers call out directly: its binding to the namespace has no outbound Worker",
    ],
    [
      "a dispatcher that leads elsewhere",
      () => change({ dispatcherBindings: [{ ...dispatchBinding(), namespace: "other" }] }),
      "dispatcher",
      "it has no binding to the namespace production",
    ],
    [
      "that the dispatcher is gone",
      () => change({ dispatcherBindings: null }),
      "dispatcher",
      "there is no Worker sallyport-dispatcher",
    ],
    [
      "an outbound Worker by another entrypoint",
      () =>
        change({
          dispatcherBindings: [dispatchBinding({ worker: { service: "sallyport-outbound", entrypoint: "Open" } })],
        }),
      "dispatcher",
      "teams' Workers call out through sallyport-outbound Open instead of sallyport-outbound",
    ],
    ["a version that is gone", () => void cloudflare.scripts.delete("pages--v1"), V1, "it is not there"],
    [
      "another version's content under its name",
      () => void cloudflare.scripts.set("pages--v1", { ...standing(), metadata: { ...standing().metadata, tags: [] } }),
      V1,
      "other content stands under its name",
    ],
    [
      "a binding that nobody declared",
      () => {
        const { metadata } = standing()
        const bindings = [...(metadata.bindings as object[]), { type: "durable_object_namespace", name: "DO" }]
        cloudflare.scripts.set("pages--v1", { ...standing(), metadata: { ...metadata, bindings } })
      },
      V1,
      "it has bindings that nobody declared",
    ],
  ]

  it.each(changed)("%s, once in the log, and that it was mended", async (_what, meddle, about, fault) => {
    await look()
    const [script, account] = [standing(), { ...cloudflare.account }]
    meddle()
    expect(await look()).toEqual({ ...WELL, [about]: fault })
    expect(await look()).toEqual({ ...WELL, [about]: fault })
    expect(events()).toEqual([["drift.found", about]])
    cloudflare.scripts.set("pages--v1", script)
    Object.assign(cloudflare.account, account)
    expect(await look()).toEqual(WELL)
    expect(events()).toEqual([
      ["drift.found", about],
      ["drift.gone", about],
    ])
  })

  it("code that was changed while tags and bindings stayed: before the first look, after a rollback, and in what a pin leads to", async () => {
    const [first, other] = [standing(), { ...standing(), etag: "edited" }]
    cloudflare.scripts.set("pages--v1", other)
    expect(await look()).toMatchObject({ [V1]: "its code was changed there" })
    await upload("export default 2")
    expect(Object.keys(await look())).not.toContain(V1)
    const pin = { version: 1, lifetimeS: 60 * 60, message: "try" }
    expect((await plane.send("POST /v1/scripts/pages/pins", { token: web, body: pin })).status).toBe(201)
    expect(await look()).toMatchObject({ [V1]: "its code was changed there" })
    expect((await plane.send("POST /v1/scripts/pages/rollback", { token: web, body: {} })).status).toBe(201)
    await watchDrift(plane.deps)
    expect(await faults()).toMatchObject({ [V1]: "its code was changed there" })
    cloudflare.scripts.set("pages--v1", first)
    expect(await look()).toEqual(WELL)
  })

  it("no change of code in a version that was gone and is placed again, with whatever etag", async () => {
    cloudflare.scripts.delete("pages--v1")
    expect(await look()).toMatchObject({ [V1]: "it is not there" })
    await upload("export default 1")
    const again = { ...standing(), etag: "of the second time" }
    cloudflare.scripts.delete("pages--v1")
    const inner = cloudflare.scripts.set.bind(cloudflare.scripts)
    cloudflare.scripts.set = (name) => inner(name, again)
    await upload("export default 1")
    expect(await look()).toEqual(WELL)
  })

  it("an etag in no version of before, until a look finds nothing amiss: from then on that is the one", async () => {
    await plane.deps.db.prepare("UPDATE versions SET etag = NULL").run()
    const first = standing()
    cloudflare.scripts.set("pages--v1", { ...first, metadata: { ...first.metadata, tags: [] }, etag: "foreign" })
    expect(await look()).toMatchObject({ [V1]: "other content stands under its name" })
    cloudflare.scripts.set("pages--v1", first)
    expect(await look()).toEqual(WELL)
    cloudflare.scripts.set("pages--v1", { ...first, etag: "edited" })
    expect(await look()).toMatchObject({ [V1]: "its code was changed there" })
  })

  it.each<[string, (binding: Record<string, unknown>) => Record<string, unknown>, string]>([
    ["PLATFORM by another entrypoint", (each) => ({ ...each, entrypoint: "Other" }), "PLATFORM"],
    ["PLATFORM in another team's name", (each) => ({ ...each, props: { team: "payments" } }), "PLATFORM"],
    ["a variable of another text", (each) => ({ ...each, text: "evil" }), "MODE"],
  ])("bindings that lead elsewhere: %s", async (_what, meddle, name) => {
    const metadata = { bindings: [{ type: "plain_text", name: "MODE", text: "good" }] }
    expect((await plane.fetch(putRequest("pages", web, { code: "export default 2", metadata }))).status).toBe(200)
    const placed = standing("pages--v2")
    const bindings = (placed.metadata.bindings as Record<string, unknown>[]).map((each) =>
      each.name === name ? meddle(each) : each,
    )
    expect(await look()).toMatchObject({ "scripts/pages/versions/2": null })
    cloudflare.scripts.set("pages--v2", { ...placed, metadata: { ...placed.metadata, bindings } })
    expect(await look()).toMatchObject({ "scripts/pages/versions/2": `bindings lead elsewhere: ${name}` })
  })

  it("nothing amiss where Cloudflare shows less of a binding, or a secret in another form", async () => {
    const bindings = [
      { type: "plain_text", name: "MODE", text: "good" },
      { type: "secret_text", name: "TOKEN", text: "hush" },
    ]
    expect(
      (await plane.fetch(putRequest("pages", web, { code: "export default 2", metadata: { bindings } }))).status,
    ).toBe(200)
    const placed = standing("pages--v2")
    const shown = (placed.metadata.bindings as Record<string, unknown>[]).map(({ type, name, service }) => ({
      ...{ type, name, service },
      ...(type === "secret_text" ? { text: "********" } : {}),
    }))
    cloudflare.scripts.set("pages--v2", { ...placed, metadata: { ...placed.metadata, bindings: shown } })
    expect(await look()).toMatchObject({ "scripts/pages/versions/2": null })
  })

  it("a manifest that R2 lost, and one that was changed there", async () => {
    await look()
    const key = "manifests/pages/1.json"
    const text = await (await plane.deps.artifacts.get(key))?.text()
    await plane.deps.artifacts.delete(key)
    expect(await look()).toMatchObject({ [V1]: "its manifest is gone from R2" })
    await plane.deps.artifacts.put(key, "{}")
    expect(await look()).toMatchObject({ [V1]: "its manifest in R2 was changed" })
    const standingNow = standing()
    cloudflare.scripts.delete("pages--v1")
    // What runs goes before what could not be placed again.
    expect(await look()).toMatchObject({ [V1]: "it is not there" })
    cloudflare.scripts.set("pages--v1", standingNow)
    await plane.deps.artifacts.put(key, String(text))
    expect(await look()).toEqual(WELL)
  })
})

describe("what could not be seen", () => {
  it("is no drift and mends none: the last look stays, and grows old", async () => {
    change({ trustedWorkers: true })
    await look()
    const seen = await plane.deps.store.drift.looks()
    cloudflare.failNext("GET", ...Array.from({ length: 100 }, () => ({ kind: "status", status: 503 }) as const))
    await look()
    expect(plane.logs.at(-1)).toMatchObject({ event: "drift.not-seen", code: "cloudflare.unavailable", status: 503 })
    const facts = (looks: typeof seen) =>
      looks.map(({ about, lookedAtMs, fault, sinceMs }) => [about, lookedAtMs, fault, sinceMs])
    expect(facts(await plane.deps.store.drift.looks())).toEqual(facts(seen))
    expect(events().map(([event]) => event)).toEqual(["drift.found", ...Array(3).fill("drift.not-seen")])
  })

  it("is tried again in the next minute", async () => {
    cloudflare.failNext("GET", ...Array.from({ length: 4 }, () => ({ kind: "status", status: 503 }) as const))
    await look()
    plane.pass(60_000)
    await watchDrift(plane.deps)
    expect(await faults()).toEqual(WELL)
  })

  it("is waited for neither by namespace and dispatcher nor by others, and its age is told from the first try", async () => {
    for (let n = 0; n < MOST_PER_MINUTE; n++) await upload("export default 1", `script-${n}`)
    await watchDrift(plane.deps)
    expect(Object.keys(await faults())).toEqual(expect.arrayContaining(["dispatcher", "namespace"]))
    change({ dispatcherBindings: [{ type: "dispatch_namespace", namespace: 7 }] })
    const sinceMs = plane.deps.clock.now()
    plane.pass(QUARTER_MS)
    for (let minute = 0; minute < 50; minute++) {
      plane.pass(60_000)
      await watchDrift(plane.deps)
    }
    const { drift } = (await plane.send("GET /v1/status")).body
    expect(drift).toMatchObject({ found: [], oldestAgeS: (plane.deps.clock.now() - sinceMs) / 1000 })
    const others = (await plane.deps.store.drift.looks()).filter(({ about }) => about !== "dispatcher")
    for (const { lookedAtMs } of others) expect(plane.deps.clock.now() - (lookedAtMs ?? 0)).toBeLessThan(17 * 60_000)
  })

  it("from the first try on grows old too", async () => {
    change({ dispatcherBindings: [{ type: "dispatch_namespace", namespace: 7 }] })
    await watchDrift(plane.deps)
    plane.pass(3_601_000)
    const { body } = await plane.send("GET /v1/status")
    expect(body.drift).toMatchObject({ looked: 2, waiting: 1, oldestAgeS: 3_601 })
  })

  it("is what an answer of another shape says", async () => {
    Object.assign(cloudflare.account, { trustedWorkers: "no" })
    expect(await look()).toMatchObject({ namespace: null })
    const { lookedAtMs } = (await plane.deps.store.drift.looks()).find(({ about }) => about === "namespace") ?? {}
    expect(lookedAtMs).toBeNull()
  })
})

describe("the versions looked at", () => {
  it("are those with traffic: of a script's deployment, and of routes with weights of their own", async () => {
    await upload("export default 2")
    await upload("export default 3")
    expect(Object.keys(await look())).toEqual(["dispatcher", "namespace", "scripts/pages/versions/3"])
    await plane.send("PUT /v1/hostnames/api.procore.com", { body: { team: "web", open: false } })
    const releases = [
      { version: 1, weightBps: 5_000 },
      { version: 2, weightBps: 5_000 },
    ]
    const body = routeBody({ script: "pages", releases })
    expect((await plane.send("PUT /v1/routes/pages", { token: web, body })).status).toBe(201)
    expect(Object.keys(await look())).toEqual([
      "dispatcher",
      "namespace",
      ...[1, 2, 3].map((n) => `scripts/pages/versions/${n}`),
    ])
  })

  it("are none that is only kept in the namespace", async () => {
    await upload("export default 2")
    await plane.deps.db
      .prepare("UPDATE versions SET held_until_ms = ?")
      .bind(plane.deps.clock.now() * 2)
      .run()
    expect(Object.keys(await look())).toEqual(["dispatcher", "namespace", "scripts/pages/versions/2"])
  })

  it("are forgotten with their traffic, and what was wrong with them too", async () => {
    cloudflare.scripts.delete("pages--v1")
    expect(await look()).toMatchObject({ [V1]: "it is not there" })
    await upload("export default 2")
    await watchDrift(plane.deps)
    expect(Object.keys(await faults())).not.toContain(V1)
    await plane.send("DELETE /v1/scripts/pages", { token: web })
    expect(Object.keys(await look())).toEqual(["dispatcher", "namespace"])
  })

  it("have turns when they are many, so that a run stays short", async () => {
    for (let n = 0; n < MOST_PER_MINUTE; n++) await upload("export default 1", `script-${n}`)
    await watchDrift(plane.deps)
    expect(await plane.deps.store.drift.looks()).toHaveLength(MOST_PER_MINUTE)
    plane.pass(60_000)
    await watchDrift(plane.deps)
    const looks = await plane.deps.store.drift.looks()
    expect(looks).toHaveLength(MOST_PER_MINUTE + 3)
    expect(looks.filter(({ lookedAtMs }) => lookedAtMs === null)).toEqual([])
  })

  it("wait for the next minute when Cloudflare is slow", async () => {
    const slow: typeof fetch = async (input, init) => {
      plane.pass(20_000)
      return cloudflare.fetch(input, init)
    }
    await watchDrift({ ...plane.deps, fetch: slow })
    expect(await plane.deps.store.drift.looks()).toHaveLength(2)
  })
})
