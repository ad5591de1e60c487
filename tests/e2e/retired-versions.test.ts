/** What nothing needs any more leaves the namespace, and is there again when somebody goes back to it: the schedule, over the local Cloudflare API. */
import { expect, it } from "vitest"
import { loadSecrets } from "../../emulator/secrets.ts"
import { eventually, sallyport, textWorker, usePlatform } from "../harness.ts"

const platform = usePlatform()
const URL_OF_AGED = "https://aged.example.com/"

interface VersionRow {
  readonly version: number
  readonly state: string
}

/** By number, the newest first. */
async function states(): Promise<string[]> {
  const { items } = await platform().api.get<{ items: VersionRow[] }>("/v1/scripts/aged/versions")
  return items.map(({ state }) => state)
}

/** Status that the local Cloudflare API answers for a script in the namespace. */
async function statusOf(name: string): Promise<number> {
  const { cloudflareApiUrl, accountId, stateDir } = platform()
  const { cloudflareApiToken } = await loadSecrets(stateDir)
  const namespace = `${cloudflareApiUrl}/client/v4/accounts/${accountId}/workers/dispatch/namespaces/production`
  const headers = { authorization: `Bearer ${cloudflareApiToken}` }
  return (await fetch(`${namespace}/scripts/${name}`, { headers })).status
}

/** By the registry: all that was done lies so far back. */
async function letADayPass(): Promise<void> {
  const earlier = (column: string) => `${column} = strftime('%Y-%m-%dT%H:%M:%fZ', ${column}, '-25 hours')`
  await platform().changeRegistry("UPDATE versions SET used_at_ms = used_at_ms - 90000000")
  await platform().changeRegistry(`UPDATE config_revisions SET ${earlier("published_at")}, ${earlier("live_at")}`)
}

it("retires on schedule the version that was unused for a day and is none to go back to, and serves on", async () => {
  const route = { hostname: "aged.example.com", path: "/*" }
  for (const text of ["first", "second", "third"])
    await platform().uploadWorker({ source: textWorker(text), script: "aged", route })
  await platform().api.put("/v1/scripts/aged", { keepPlacedVersions: 2 })
  expect(await (await platform().fetch(URL_OF_AGED)).text()).toBe("third")
  await letADayPass()
  void platform().runSchedule()
  await eventually(30_000, async () => ((await statusOf("aged--v1")) === 404 ? true : null))
  expect(await states()).toEqual(["verified", "verified", "retired"])
  expect([await statusOf("aged--v2"), await statusOf("aged--v3")]).toEqual([200, 200])
  expect(await (await platform().fetch(URL_OF_AGED)).text()).toBe("third")
  const { stdout } = await sallyport(platform(), platform().opsToken, "versions", "list", "aged")
  expect(stdout).toMatch(/^1 +retired /m)
})

it("serves the retired version again after a rollback to it", async () => {
  const token = await platform().tokenOf("test-team")
  const { code, stderr } = await sallyport(platform(), token, "rollback", "aged", "--to", "1")
  expect([code, stderr]).toEqual([0, ""])
  const shown = await eventually(15_000, async () => {
    const response = await platform().fetch(URL_OF_AGED)
    const text = await response.text()
    return text === "first" ? response : null
  })
  expect(shown.headers.get("x-sallyport-release")).toBe("aged--v1")
  expect(await states()).toEqual(["verified", "verified", "verified"])
})
