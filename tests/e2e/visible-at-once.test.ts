/** On a laptop the first request after a deploy sees it, also when other requests keep the edge busy and its config young. */
import { expect, it } from "vitest"
import { deployWithWrangler } from "../../emulator/upload.ts"
import { textWorker, usePlatform, useWorkerFolders } from "../harness.ts"

const platform = usePlatform()
const workerFolder = useWorkerFolders()
const URL_OF_HELLO = "https://hello.example.com/hello/"
const UPLOADS = 6

it("shows each of several deploys to the first request after wrangler has ended", { timeout: 120_000 }, async () => {
  const route = "https://hello.example.com/hello/*"
  await platform().uploadWorker({ directory: await workerFolder("hello", textWorker("0")), script: "hello", route })
  const token = await platform().tokenOf("test-team")
  let isBusy = true
  const others = (async () => {
    while (isBusy) await (await platform().fetch(URL_OF_HELLO)).text()
  })()
  const seen: string[] = []
  try {
    for (let upload = 1; upload <= UPLOADS; upload++) {
      await deployWithWrangler(platform(), token, await workerFolder("hello", textWorker(String(upload))))
      seen.push(await (await platform().fetch(URL_OF_HELLO)).text())
    }
  } finally {
    isBusy = false
    await others
  }
  expect(seen).toEqual(Array.from({ length: UPLOADS }, (_, index) => String(index + 1)))
})
