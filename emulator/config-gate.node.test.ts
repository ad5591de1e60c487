import { expect, it } from "vitest"
import { startConfigGate } from "./config-gate.ts"

it("answers a look at a store that is gone as KV that fails, and ends nothing by it", async () => {
  const gate = await startConfigGate()
  try {
    gate.connect({ get: () => Promise.reject(new Error("disposed")), put: async () => undefined })
    expect((await fetch(new URL("/config/current", gate.url))).status).toBe(500)
    gate.connect({ get: async () => "text", put: async () => undefined })
    expect(await (await fetch(new URL("/config/current", gate.url))).text()).toBe("text")
  } finally {
    await gate.stop()
  }
})
