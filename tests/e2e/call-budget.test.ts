/** A team whose calls to Cloudflare are spent, as the person sees it who runs wrangler: why, until when, and that nothing was lost. */
import { expect, it } from "vitest"
import { WranglerError } from "../../emulator/build.ts"
import { deployWithWrangler } from "../../emulator/upload.ts"
import { expectProblem, sallyport, textWorker, usePlatform, useWorkerFolders } from "../harness.ts"

/** Sixteen calls in five minutes for the uploads of one team: four uploads, or fewer where the machine is slow. */
const platform = usePlatform({ vars: { controlPlane: { CLOUDFLARE_CALL_LIMIT: "40" } } })
const workerFolder = useWorkerFolders()
const versions = async () =>
  (await platform().api.get<{ items: { version: number; state: string }[] }>("/v1/scripts/hello/versions")).items

it("wrangler ends at once with what is spent and when to come back, and a rollback works meanwhile", async () => {
  const token = await platform().tokenOf("test-team")
  await platform().uploadWorker({ source: textWorker("1"), script: "hello", route: "https://hello.example.com/*" })
  let taken = 1
  let refused: unknown = null
  while (refused === null && taken < 5) {
    const directory = await workerFolder("hello", textWorker(String(taken + 1)))
    refused = await deployWithWrangler(platform(), token, directory).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    if (refused === null) taken++
  }
  if (!(refused instanceof WranglerError)) throw new Error(`wrangler was not refused: ${String(refused)}`)
  expect(refused.output).toContain("The calls to Cloudflare's API are spent for the moment.")
  expect(refused.output).toMatch(/Team test-team has spent \d+ of the 16 calls/)
  expect(refused.output).toMatch(/Send it again in \d+ s\./)
  expect(refused.output).toContain("[code: 971]")
  expect(taken).toBeGreaterThan(1)
  expect((await versions()).filter(({ state }) => state === "verified")).toHaveLength(taken)

  expect((await sallyport(platform(), token, "rollback", "hello")).code).toBe(0)
  await platform().waitForConfig()
  expect(await (await platform().fetch("https://hello.example.com/")).text()).toBe(String(taken - 1))
  const form = new FormData()
  form.append("metadata", JSON.stringify({ main_module: "index.js", compatibility_date: "2026-10-01", bindings: [] }))
  form.append("index.js", new File([textWorker("more")], "index.js", { type: "application/javascript+module" }))
  const headers = { authorization: `Bearer ${token}` }
  const url = `${platform().controlPlaneUrl}/v1/scripts/hello/versions`
  await expectProblem(await fetch(url, { method: "POST", headers, body: form }), 429, "cloudflare.budget-spent")
})
