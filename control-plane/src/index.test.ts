import { createExecutionContext, createScheduledController } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeEach, it, vi } from "vitest"
import { CONFIG_POINTER_KEY } from "../../contracts/dispatch-config.ts"
import { startControlPlane } from "../test/harness.ts"
import type { Env } from "./env.ts"
import worker from "./index.ts"

const bindings = env as unknown as Env
/** What lies behind the network; nothing answers. */
const fetched = vi.fn<typeof fetch>(async () => Promise.reject(new Error("nothing answers in tests")))
beforeEach(() => {
  fetched.mockClear()
  vi.stubGlobal("fetch", fetched)
  return () => vi.unstubAllGlobals()
})

it("publishes on schedule what was interrupted, and lets no failing part keep the others from it", async ({
  expect,
}) => {
  const platform = await startControlPlane()
  await platform.team("web")
  const before = await platform.pointer()
  await platform.deps.config.delete(CONFIG_POINTER_KEY)
  await platform.deps.db.prepare("ALTER TABLE idempotency RENAME TO elsewhere").run()
  await worker.scheduled(createScheduledController(), bindings)
  expect(await platform.pointer()).toEqual(before)
  // What stands at Cloudflare was to be looked at, too.
  const asked = fetched.mock.calls.map(
    ([input]) => new URL(input instanceof Request ? input.url : String(input)).pathname,
  )
  expect(asked.some((path) => path.endsWith("/workers/dispatch/namespaces/production"))).toBe(true)
})

it("goes on with what a client asked for when that goes away", async ({ expect }) => {
  await startControlPlane()
  const kept: Promise<unknown>[] = []
  const context = Object.assign(createExecutionContext(), {
    waitUntil: (work: Promise<unknown>) => void kept.push(work),
  })
  const request = new Request("https://control-plane.example/v1/nothing") as Request<
    unknown,
    IncomingRequestCfProperties
  >
  const answer = worker.fetch(request, bindings, context)
  expect(kept).toHaveLength(1)
  expect(await kept[0]).toBe(await answer)
})

it("answers on its own bindings", async ({ expect }) => {
  await startControlPlane()
  const request = new Request("https://control-plane.example/health/ready") as Request<
    unknown,
    IncomingRequestCfProperties
  >
  expect((await worker.fetch(request, bindings, createExecutionContext())).status).toBe(200)
})
