/** The platform measures by itself how long a revocation takes to reach the edge: the control plane's schedule, the real log, relay and dispatcher. */
import { expect, it } from "vitest"
import { processIo } from "../../cli/io.ts"
import { main } from "../../cli/main.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
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

/** A command line against the running platform, as ops: its exit code and what it printed. */
async function sallyport(...words: string[]): Promise<[code: number, out: string]> {
  let out = ""
  const { controlPlaneUrl, edgeUrl, opsToken } = platform()
  const env = { SALLYPORT_API_URL: controlPlaneUrl, SALLYPORT_EDGE_URL: edgeUrl, SALLYPORT_TOKEN: opsToken }
  const print = (text: string) => {
    out += text
  }
  const code = await main(words, { ...processIo(), env, out: print, err: print })
  return [code, out]
}

it("revokes, lists and shows the lag by the command line", async () => {
  const revoked = await sallyport("revocations", "create", "company", "987", "-m", "drill")
  expect(revoked).toEqual([
    0,
    expect.stringMatching(/^Revoked company 987 \(entry \d+\); the edge refuses it within 5 s\n$/),
  ])
  const [, list] = await sallyport("revocations", "list", "--limit", "1000")
  expect(list).toMatch(/company +987 .* token:bootstrap +drill$/m)
  expect(list).toMatch(/session +\S{43} +whenever .* probe +probe$/m)
  const [code, status] = await sallyport("status")
  expect(status).toMatch(
    /^revocation lag +p50 \d\.\d s, p99 \d\.\d s, max \d\.\d s, last \d\.\d s \(\d+ probes, 0 failed\) +-$/m,
  )
  expect(code).toBe(0)
  process.stdout.write(status)
})

it("calls with a service account's key that the command line made, until it takes it away", async () => {
  await platform().uploadWorker({ source: ECHO_WORKER, script: "echo" })
  await platform().api.put("/v1/hostnames/machines.procore.com", { team: "test-team", open: false })
  const auth = { mode: "required", accept: ["service-key"], scopes: ["exports:write"] }
  const route = { hostname: "machines.procore.com", path: "/*", script: "echo", team: "test-team", auth }
  await platform().api.put("/v1/routes/machines", route)
  expect((await sallyport("service-accounts", "set", "export", "--scope", "exports:write"))[0]).toBe(0)
  const [, printed] = await sallyport("service-accounts", "create-key", "export", "--json")
  const { id, key } = JSON.parse(printed) as { id: string; key: string }
  await platform().waitForConfig()
  const call = () => platform().fetch("https://machines.procore.com/", { headers: { authorization: `Bearer ${key}` } })
  const { passport, headers } = await platform().received(await call())
  expect(passport).toMatchObject({ kind: "service", scope: "exports:write" })
  expect(JSON.stringify(headers)).not.toContain(key)
  expect((await sallyport("service-accounts", "delete-key", "export", id))[0]).toBe(0)
  await platform().waitForConfig()
  expect((await call()).status).toBe(401)
})
