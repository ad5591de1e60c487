import { describe, expect, it } from "vitest"
import { keyRingShape } from "../contracts/api.ts"
import { AT, TOKEN, useBench } from "./testing/command-line.ts"
import { problem, thing } from "./testing/control-plane-double.ts"

const bench = useBench()
const key = (kid: string, state: "next" | "current", verifiesUntil: string | null = null) => ({
  kid,
  state,
  signsFrom: AT,
  verifiesUntil,
})
const ring = (...keys: ReturnType<typeof key>[]) =>
  thing(keyRingShape, { keys, configured: true, rotatesAt: "2026-12-20T10:00:00.000Z" })
const edgeSays = (passportKeys: object) =>
  bench.api.on("GET /.sallyport/version", { status: 200, headers: {}, body: { passportKeys } })

describe("keys list", () => {
  it("shows each key with its state and times, and when the schedule rotates", async () => {
    bench.api.on("GET /v1/keys", ring(key("k1", "current", AT), key("k2", "next")))
    const { code, out } = await bench.run(["keys", "list"])
    expect(code).toBe(0)
    expect(out).toContain(`k1   current  ${AT}  ${AT}`)
    expect(out).toContain(`k2   next     ${AT}  further notice`)
    expect(out).toContain("rotates at 2026-12-20T10:00:00.000Z")
  })

  it("says so when the edge signs with another key, or cannot open one", async () => {
    bench.api.on("GET /v1/keys", ring(key("k1", "current")))
    edgeSays({ signing: "passport-1", unopened: ["k1"] })
    const { out } = await bench.run(["keys", "list"])
    expect(out).toContain("The edge signs with passport-1")
    expect(out).toContain("The edge cannot open k1: its secret RING_KEY is not the control plane's.")
  })

  it("says of an edge that goes along what it signs with, and no more", async () => {
    bench.api.on("GET /v1/keys", ring(key("k1", "current")))
    edgeSays({ signing: "k1", unopened: [] })
    const { out } = await bench.run(["keys", "list"])
    expect(out.split("\n").filter((line) => line.includes("edge"))).toEqual(["The edge signs with k1."])
  })

  it("says which edge did not answer, or not as an edge does", async () => {
    bench.api.on("GET /v1/keys", ring(key("k1", "current")))
    const strange = await bench.run(["keys", "list"])
    expect(strange.out).toContain(`The edge did not answer: ${bench.api.url}/.sallyport/version says nothing of keys.`)
    const env = { SALLYPORT_API_URL: bench.api.url, SALLYPORT_TOKEN: TOKEN, SALLYPORT_EDGE_URL: "http://127.0.0.1:1" }
    const { code, out } = await bench.run(["keys", "list"], { env })
    expect([code, out]).toEqual([0, expect.stringContaining("The edge did not answer: http://127.0.0.1:1")])
    const json = JSON.parse((await bench.run(["keys", "list", "--json"], { env })).out)
    expect(json).toMatchObject({ edge: null, edgeFault: expect.stringContaining("did not answer") })
  })

  it("says that no edge was asked when nobody said where it is", async () => {
    bench.api.on("GET /v1/keys", ring(key("k1", "current")))
    const env = { SALLYPORT_API_URL: bench.api.url, SALLYPORT_TOKEN: TOKEN }
    expect((await bench.run(["keys", "list"], { env })).out).toContain(
      "The edge was not asked: nobody said where it is",
    )
    const json = JSON.parse((await bench.run(["keys", "list", "--json"], { env })).out)
    expect(json).toMatchObject({ edge: null, edgeFault: expect.stringContaining("was not asked") })
    edgeSays({ signing: "k1", unopened: [] })
    expect(JSON.parse((await bench.run(["keys", "list", "--json"])).out)).toMatchObject({
      edge: { signing: "k1" },
      edgeFault: null,
    })
  })

  it("tells before the first rotation what signs, and how to begin", async () => {
    bench.api.on("GET /v1/keys", ring())
    expect((await bench.run(["keys", "list"])).out).toContain("secret PASSPORT_KEYS. `sallyport keys rotate`")
  })
})

describe("keys rotate", () => {
  it("asks once, with the reason, and tells from when the new key signs", async () => {
    bench.api.on("POST /v1/keys/rotate", ring(key("k1", "current"), key("k2", "next")))
    const { code, out } = await bench.run(["keys", "rotate", "-m", "drill"])
    expect([code, out]).toEqual([0, expect.stringContaining(`k2 is published and signs from ${AT}`)])
    const [sent] = bench.api.received
    expect(sent?.body).toEqual({ immediately: false, message: "drill" })
    expect(sent?.headers["idempotency-key"]).toMatch(/^[0-9a-f-]{36}$/)
  })

  it("does not rotate at once before it has said what that costs", async () => {
    const { code, err } = await bench.run(["keys", "rotate", "--immediately"])
    expect([code, bench.api.received]).toEqual([1, []])
    expect(err).toContain("refuse every passport until they look again, up to five minutes")
    bench.api.on("POST /v1/keys/rotate", ring(key("k2", "current")))
    const done = await bench.run(["keys", "rotate", "--immediately", "--yes"])
    expect(done.code).toBe(0)
    expect(bench.api.received[0]?.body).toEqual({ immediately: true })
  })

  it("teaches what to do without RING_KEY", async () => {
    bench.api.on("POST /v1/keys/rotate", problem("keys.not-configured"))
    expect((await bench.run(["keys", "rotate"])).err).toContain("Set the secret RING_KEY")
  })
})

describe("keys rollback", () => {
  it("shows the ring as it is then", async () => {
    bench.api.on("POST /v1/keys/rollback", ring(key("k1", "current")))
    expect((await bench.run(["keys", "rollback", "-m", "why"])).out).toContain("k1   current")
    expect(bench.api.received[0]?.body).toEqual({ message: "why" })
  })

  it("teaches what to do when there is no key to go back to", async () => {
    bench.api.on("POST /v1/keys/rollback", problem("keys.none-before"))
    const { code, err } = await bench.run(["keys", "rollback"])
    expect([code, err]).toEqual([1, expect.stringContaining("keys list")])
  })
})
