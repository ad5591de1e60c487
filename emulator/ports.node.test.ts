import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "./listen.ts"
import { choosePorts, freePorts, PORT_NAMES, PortTakenError, portOption } from "./ports.ts"

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

describe("freePorts", () => {
  it("gives no process what it gives to another, though neither listens yet", async () => {
    const module = JSON.stringify(new URL("./ports.ts", import.meta.url).href)
    const script = `const { freePorts } = await import(${module}); console.log((await freePorts(50)).join()); process.stdin.resume()`
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] }),
    )
    const given = await Promise.all(children.map((child) => once(child.stdout, "data")))
    for (const child of children) child.stdin.end()
    const ports = [...given.flatMap(([text]) => String(text).trim().split(",").map(Number)), ...(await freePorts(50))]
    expect(ports).toHaveLength(200)
    expect(new Set(ports).size).toBe(200)
  })

  it("goes round, past its own guard, what is taken and what is excepted", async () => {
    const [first = 0] = await freePorts(1)
    const block = Math.floor(first / 100) * 100
    const [taken, excepted] = first - block < 50 ? [first, first + 1] : [first, first - 1]
    const server = await listen(createServer(), taken)
    const seen = new Set<number>()
    try {
      for (let turn = 0; turn < 9; turn++) for (const port of await freePorts(20, [excepted])) seen.add(port)
    } finally {
      await server.stop()
    }
    // Others may be taken too: other tests share this process.
    expect(seen.size).toBeGreaterThan(60)
    for (const port of [block, taken, excepted]) expect(seen.has(port)).toBe(false)
    for (const port of seen) expect(Math.floor(port / 100) * 100).toBe(block)
  })

  it("says so when there are not that many", async () => {
    await expect(freePorts(100)).rejects.toThrow(PortTakenError)
  })
})

it("spells options in kebab case", () => {
  expect(portOption("cloudflareApi")).toBe("--port-cloudflare-api")
})
