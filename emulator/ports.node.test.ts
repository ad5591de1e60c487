import { createServer } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "./listen.ts"
import { choosePorts, PORT_NAMES, PortTakenError, portOption } from "./ports.ts"

let other: RunningServer
beforeAll(async () => {
  other = await listen(createServer(), 0)
})
afterAll(() => other.stop())
const free = Object.fromEntries(PORT_NAMES.map((name) => [name, 0]))

describe("choosePorts", () => {
  it("finds free ports, all different, where 0 is asked for", async () => {
    const ports = Object.values(await choosePorts(free))
    expect(new Set(ports).size).toBe(PORT_NAMES.length)
    expect(ports.every((port) => port > 0)).toBe(true)
  })

  it("keeps the port that is asked for when it is free", async () => {
    const { edge } = await choosePorts(free)
    expect((await choosePorts({ ...free, edge })).edge).toBe(edge)
  })

  it("names a taken port and the option that moves it", async () => {
    const port = Number(new URL(other.url).port)
    const choice = choosePorts({ ...free, controlPlane: port })
    await expect(choice).rejects.toThrow(PortTakenError)
    await expect(choice).rejects.toThrow(`port ${port} of the control plane; move it with --port-control-plane <port>`)
  })

  it("refuses one port for two parts", async () => {
    const { edge } = await choosePorts(free)
    await expect(choosePorts({ ...free, edge, us01: edge })).rejects.toThrow("given twice")
  })
})

it("spells options in kebab case", () => {
  expect(portOption("cloudflareApi")).toBe("--port-cloudflare-api")
})
