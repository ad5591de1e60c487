/** One request, one tree: dispatcher, Worker, sibling and origin, in a collector that reads with OpenTelemetry's own schema. */
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { CONFIG_POINTER_KEY, configKey, type TracingConfig } from "../../contracts/dispatch-config.ts"
import { type CellEcho, startCell } from "../../emulator/cells/cell.ts"
import type { RunningServer } from "../../emulator/listen.ts"
import { type OtlpReceiver, type SpanTree, startOtlpReceiver } from "../../emulator/origins/otlp-receiver.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { deployWithWrangler } from "../../emulator/upload.ts"

const TEAM = "traced"
const URL_OF_FRONT = "https://traced.example.com/traced/7?sig=canary-query"
const SENT = { cookie: "theme=canary-cookie", "x-canary": "canary-header" }
const THEIRS = "0af7651916cd43dd8448eb211c80319c"
const PARENT = "b7ad6b7169203331"
const ALICE = { subject: "alice", company: "100" }
/** Dispatcher, front, its call, dispatcher, back, its call, cell. */
const SPANS = 7

let receiver: OtlpReceiver
let platform: TestPlatform
let cell: RunningServer

beforeAll(async () => {
  receiver = await startOtlpReceiver({ port: 0 })
  platform = await startTestPlatform({ vars: { dispatcher: { OTLP_ENDPOINT: receiver.url } } })
  cell = await startCell({
    zone: "traced",
    port: 0,
    issuer: await passportIssuer(),
    edgeUrl: platform.edgeUrl,
    hostname: "api.procore.com",
    otlpEndpoint: receiver.url,
  })
  const audiences = await platform.api.get<object>("/v1/policy/audiences")
  await platform.api.put("/v1/policy/audiences", { ...audiences, "cell:traced": { origins: [cell.url] } })
  // The collector is an origin like any other: a team's Workers reach what the team may.
  const grants = ["dispatch:traced-back", "audience:cell:traced"]
  await platform.putTeam(TEAM, { grants, egress: [receiver.url] })
  const token = await platform.tokenOf(TEAM)
  const deploy = (script: string) =>
    deployWithWrangler(platform, token, path.join(import.meta.dirname, "fixtures", script), [
      "--var",
      `OTLP_ENDPOINT:${receiver.url}`,
    ])
  await Promise.all(["traced-front", "traced-back"].map(deploy))
  await platform.putRoute("traced-front", {
    hostname: "traced.example.com",
    path: "/traced/*",
    script: "traced-front",
    team: TEAM,
  })
})
afterAll(async () => {
  await platform?.dispose()
  await cell?.stop()
  await receiver?.close()
})

/** `iss` of the passports, which the cell insists on. */
async function passportIssuer(): Promise<string> {
  const pointer = JSON.parse((await platform.configStore.get(CONFIG_POINTER_KEY)) ?? "") as { revision: number }
  const config = JSON.parse((await platform.configStore.get(configKey(pointer.revision))) ?? "")
  return (config as { passportIssuer: string }).passportIssuer
}

/** One request under `tracing`, its trip at the entrance, and what the cell received. */
async function request(tracing: TracingConfig, headers: Record<string, string> = {}) {
  await platform.api.put("/v1/policy/tracing", tracing)
  await platform.waitForConfig()
  const response = await platform.fetch(URL_OF_FRONT, { headers: { ...SENT, ...headers } }, ALICE)
  const text = await response.text()
  expect(response.status, text).toBe(200)
  const requestId = response.headers.get("x-request-id") ?? ""
  const trips = await platform.trips({ requestId })
  const entrance = trips.find((trip) => trip.actor === null)
  return { traceId: entrance?.traceId ?? "", entrance, trips, requestId, echo: JSON.parse(text) as CellEcho }
}

/** The one way down: each span has one child, but for the last. */
function wayOf(tree: SpanTree): string[] {
  const { span, children } = tree
  expect(children.length).toBeLessThanOrEqual(1)
  return [`${span.service} ${span.kind} ${span.name}`, ...children.flatMap(wayOf)]
}

const WAY = [
  "sallyport-dispatcher server GET /traced/*",
  "traced-front server GET /traced/:id",
  "traced-front client GET traced-back",
  "sallyport-dispatcher server GET traced-back",
  "traced-back server GET /traced/:id",
  "traced-back client GET",
  "cell-traced server GET",
]

describe("a recorded request", () => {
  it("is one connected tree from the dispatcher to the cell", async () => {
    const { traceId, requestId, trips, echo } = await request({ incoming: "restart", sampleBps: 10_000 })
    await receiver.arrived(traceId, SPANS)
    const tree = receiver.tree(traceId)
    expect(wayOf(tree)).toEqual(WAY)
    expect(tree.span.attributes).toMatchObject({
      "http.route": "/traced/*",
      "http.response.status_code": 200,
      "url.path": "/traced/7",
      "sallyport.request_id": requestId,
      "sallyport.script": "traced-front",
    })
    expect(tree.children[0]?.span.attributes).toMatchObject({ "traced.request_id": requestId })
    expect(trips.map((trip) => trip.traceId)).toEqual([traceId, traceId])
    expect(echo.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  })

  it("keeps its trace id to itself: a client's own does not choose it, nor whether it is recorded", async () => {
    const theirs = { traceparent: `00-${THEIRS}-${PARENT}-01`, tracestate: "client=1", baggage: "client=1" }
    const quiet = await request({ incoming: "restart", sampleBps: 0 }, theirs)
    const loud = await request({ incoming: "restart", sampleBps: 10_000 }, theirs)
    await receiver.arrived(loud.traceId, SPANS)
    expect(wayOf(receiver.tree(loud.traceId))).toEqual(WAY)
    for (const { echo, requestId, traceId } of [quiet, loud]) {
      expect(traceId).toBe(requestId.replaceAll("-", ""))
      expect(echo.headers).not.toHaveProperty("tracestate")
      expect(echo.headers).not.toHaveProperty("baggage")
    }
    expect(receiver.spans({ traceId: THEIRS })).toEqual([])
    expect(receiver.spans({ traceId: quiet.traceId })).toEqual([])
  })

  it("goes on from a client whose traces are trusted", async () => {
    const traceparent = `00-${THEIRS}-${PARENT}-01`
    const { echo, entrance } = await request(
      { incoming: "trust", sampleBps: 0 },
      { traceparent, tracestate: "client=1" },
    )
    const spans = await receiver.arrived(THEIRS, SPANS)
    expect(spans.find((span) => span.spanId === entrance?.spanId)?.parentSpanId).toBe(PARENT)
    expect(echo.headers.tracestate).toBe("client=1")
    // The client's own span was sent elsewhere, and a tree with a hole is none.
    expect(() => receiver.tree(THEIRS)).toThrow(/parent of .* is missing/)
  })
})

describe("a request that is not recorded", () => {
  it("carries its trace to the cell all the same, and nothing of it is exported", async () => {
    const { traceId, echo } = await request({ incoming: "restart", sampleBps: 0 })
    expect(echo.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
    // What would have been exported would have come before all of this.
    const next = await request({ incoming: "restart", sampleBps: 10_000 })
    await receiver.arrived(next.traceId, SPANS)
    expect(receiver.spans({ traceId })).toEqual([])
  })
})

it("exports no query, cookie, credential or passport, and shows the collector none", () => {
  const payloads = Buffer.concat([...receiver.payloads()]).toString("latin1")
  expect(payloads).toContain("/traced/7")
  expect(payloads.match(/canary-\w+|eyJ|Bearer|authorization|cookie/gi)).toBeNull()
  expect(
    receiver
      .requests()
      .flatMap((headers) =>
        Object.keys(headers).filter((name) => /passport|authorization|cookie|traceparent/.test(name)),
      ),
  ).toEqual([])
})
