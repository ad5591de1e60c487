/** The platform measures by itself how long a revocation takes to reach the edge: the control plane's schedule, the real log, relay and dispatcher. */
import { expect, it } from "vitest"
import { usePlatform } from "../harness.ts"

const platform = usePlatform()

interface Seen {
  readonly probe: { runs: number; failed: number; lastLagMs: number | null; lastFault: string | null }
  readonly revocations: { readonly live: number } | null
}

it("shows in status and metrics a lag within the bound after a minute's schedule", async () => {
  await platform().waitForConfig()
  await platform().runSchedule()
  const { probe, revocations } = (await platform().api.get("/v1/status")) as Seen
  expect(probe).toMatchObject({ failed: 0, lastFault: null })
  expect(probe.runs).toBeGreaterThanOrEqual(1)
  expect(probe.lastLagMs).toBeLessThanOrEqual(5_000)
  expect(revocations?.live).toBeGreaterThanOrEqual(1)
  process.stdout.write(`revocation lag by the probe: ${probe.lastLagMs} ms\n`)

  const headers = { authorization: `Bearer ${platform().opsToken}` }
  const metrics = await (await fetch(`${platform().controlPlaneUrl}/metrics`, { headers })).text()
  expect(metrics).toContain(`sallyport_revocation_lag_seconds_bucket{le="5"} ${probe.runs}\n`)
  expect(metrics).toContain("sallyport_revocation_probe_failures_total 0\n")
})
