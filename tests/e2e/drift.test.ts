/** What somebody changes at Cloudflare past the control plane shows in status, at the command line and in metrics: the schedule, over the local Cloudflare API. */
import { readFile } from "node:fs/promises"
import path from "node:path"
import { expect, it } from "vitest"
import type { Secrets } from "../../emulator/secrets.ts"
import { eventually, sallyport, textWorker, usePlatform } from "../harness.ts"

/** The first look finds a dispatcher whose binding to the namespace has lost its outbound Worker. */
const platform = usePlatform({ vars: { cloudflareApi: { PLATFORM_OUTBOUND: "" } } })

interface Drift {
  readonly looked: number
  readonly found: readonly { readonly about: string; readonly fault: string }[]
}
const driftOf = async () => (await platform().api.get<{ drift: Drift }>("/v1/status")).drift
const DISPATCHER = {
  about: "dispatcher",
  fault: "teams' Workers call out directly: its binding to the namespace has no outbound Worker",
}

it("finds a dispatcher without its outbound Worker, and nothing amiss with a namespace and a version as they should be", async () => {
  await platform().uploadWorker({ source: textWorker("hello"), script: "hello" })
  void platform().runSchedule()
  const drift = await eventually(30_000, async () => {
    const found = await driftOf()
    return found.looked === 3 ? found : null
  })
  expect(drift.found).toMatchObject([DISPATCHER])
})

it("finds a version that somebody deleted, and says both where people and machines look", async () => {
  const { cloudflareApiToken } = JSON.parse(
    await readFile(path.join(platform().stateDir, "secrets.json"), "utf8"),
  ) as Secrets
  await platform().uploadWorker({ source: textWorker("other"), script: "other" })
  const { cloudflareApiUrl, accountId } = platform()
  const account = `${cloudflareApiUrl}/client/v4/accounts/${accountId}`
  const placed = `${account}/workers/dispatch/namespaces/production/scripts/other--v1`
  const headers = { authorization: `Bearer ${cloudflareApiToken}` }
  expect((await fetch(placed, { method: "DELETE", headers })).status).toBe(200)
  void platform().runSchedule()
  await eventually(30_000, async () => ((await driftOf()).looked === 4 ? true : null))
  const { code, stdout } = await sallyport(platform(), platform().opsToken, "status")
  expect(code).toBe(2)
  expect(stdout).toMatch(/^scripts\/other\/versions\/1 +changed since \S+ +it is not there$/m)
  expect(stdout).toMatch(/^dispatcher +changed since \S+ +teams' Workers call out directly/m)
  const metrics = await fetch(`${platform().controlPlaneUrl}/metrics`, {
    headers: { authorization: `Bearer ${platform().opsToken}` },
  })
  const text = await metrics.text()
  expect(text).toContain("sallyport_drift_found 2\n")
  expect(text).toContain('sallyport_drift{about="scripts/other/versions/1"} 1\n')
})
