import { describe, expect, it } from "vitest"
import { formatTraceparent } from "../../../contracts/trace-context.ts"
import { beginTrace, continueTrace } from "./begin-trace.ts"

const ID = "11111111-2222-4333-8444-555555555555"
const sent = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", isSampled: true }
const inbound = { requestId: ID, traceparent: formatTraceparent(sent) }
const begun = {
  traceId: "11111111222243338444555555555555",
  spanId: "8444555555555555",
  parentSpanId: null,
  isContinued: false,
}
const continued = { traceId: sent.traceId, spanId: "8444555555555555", parentSpanId: sent.spanId, isContinued: true }

describe("beginTrace", () => {
  it("takes the ids of the request id and nothing from outside", () => {
    expect(beginTrace(inbound, { incoming: "restart", sampleBps: 0 })).toEqual({
      ...begun,
      isSampled: false,
      isRecorded: false,
    })
  })

  it("goes on where the outside is trusted, and then its flag decides", () => {
    expect(beginTrace(inbound, { incoming: "trust", sampleBps: 0 })).toEqual({
      ...continued,
      isSampled: true,
      isRecorded: true,
    })
    const unsampled = { ...inbound, traceparent: formatTraceparent({ ...sent, isSampled: false }) }
    expect(beginTrace(unsampled, { incoming: "trust", sampleBps: 10_000 })).toEqual({
      ...continued,
      isSampled: false,
      isRecorded: false,
    })
  })

  it.each([null, "", `${inbound.traceparent}, ${inbound.traceparent}`])(
    "begins where nothing readable came: %j",
    (traceparent) => {
      expect(beginTrace({ requestId: ID, traceparent }, { incoming: "trust", sampleBps: 10_000 })).toEqual({
        ...begun,
        isSampled: true,
        isRecorded: true,
      })
    },
  )

  it("samples as many as the policy says, and all or none at its ends", () => {
    const share = (sampleBps: number) => {
      let sampled = 0
      for (let step = 0; step < 65_536; step++) {
        const requestId = `${ID.slice(0, -4)}${step.toString(16).padStart(4, "0")}`
        if (beginTrace({ requestId, traceparent: null }, { incoming: "restart", sampleBps }).isSampled) sampled += 1
      }
      return sampled / 65_536
    }
    expect(share(0)).toBe(0)
    expect(share(10_000)).toBe(1)
    expect(share(1)).toBeCloseTo(0.0001, 4)
    expect(share(2_500)).toBeCloseTo(0.25, 4)
  })
})

describe("continueTrace", () => {
  const other = "99999999-9999-4999-8999-999999999999"

  it("goes on in the caller's trace, under a span id of its own", () => {
    const expected = { ...continued, spanId: "8999999999999999", isSampled: true }
    for (const policy of [
      { incoming: "restart", sampleBps: 1 },
      { incoming: "trust", sampleBps: 0 },
    ] as const)
      expect(continueTrace(inbound, other, policy)).toEqual({ ...expected, isRecorded: true })
  })

  it("passes a Worker's flag on and sends no span for it where ops record no trace", () => {
    const trace = continueTrace(inbound, other, { incoming: "restart", sampleBps: 0 })
    expect([trace.isSampled, trace.isRecorded]).toEqual([true, false])
  })

  it("is in the trace of the request id, unrecorded, where the caller says nothing", () => {
    const policy = { incoming: "restart", sampleBps: 10_000 } as const
    expect(continueTrace({ requestId: ID, traceparent: null }, other, policy)).toEqual({
      ...begun,
      spanId: "8999999999999999",
      isSampled: false,
      isRecorded: false,
    })
  })
})
