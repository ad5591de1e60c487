/** The kit inside an uploaded user Worker, for tests/e2e/kit.test.ts: each path uses one helper on the platform's own bindings. */
import { cors } from "../cors.ts"
import { type FlagsVariables, flags, platformFlags } from "../flags.ts"
import { launchDarklyFlags } from "../launchdarkly-flags.ts"
import { type PassportVariables, requirePassport } from "../require-passport.ts"
import { inKv, inNamedCache, type StaleOrFresh, staleWhileRevalidate } from "../stale-while-revalidate.ts"
import { VolatileCache } from "../volatile-cache.ts"
import { worker } from "../worker.ts"

interface Env {
  readonly PLATFORM: Parameters<typeof platformFlags>[0] & { keys(): Promise<{ readonly keys: readonly JsonWebKey[] }> }
  readonly LAUNCHDARKLY: KVNamespace
  readonly ANSWERS: KVNamespace
  /** A server of the test. */
  readonly ORIGIN: string
}

const CLIENT_SIDE_ID = "probe"
/** Milliseconds; short, so that tests see a switch at once. */
const REFRESH_MS = 20
const GIVE_UP_MS = 400

const app = worker<Env, PassportVariables & FlagsVariables>()
app.use(cors({ origins: ["https://app.example.com"], credentials: true }))
app.use(requirePassport({ script: "kit-probe" }))

app.use(
  "/launchdarkly/*",
  flags((env: Env) => launchDarklyFlags({ clientSideId: CLIENT_SIDE_ID, kv: env.LAUNCHDARKLY, refreshMs: REFRESH_MS })),
)
app.use(
  "/platform/*",
  flags((env: Env) => platformFlags(env.PLATFORM, { refreshMs: REFRESH_MS })),
)
for (const provider of ["launchdarkly", "platform"])
  app.get(`/${provider}/:flag`, async (c) => c.json(await c.var.flags.details(c.req.param("flag"), false)))
app.put("/launchdarkly", async (c) => {
  await c.env.LAUNCHDARKLY.put(`LD-Env-${CLIENT_SIDE_ID}`, await c.req.text())
  return c.body(null, 204)
})

const cache = new VolatileCache<string>({ capacity: 100, ttlMs: 60_000, giveUpMs: GIVE_UP_MS })
app.get("/cache/:key", async (c) => {
  const key = c.req.param("key")
  const load = async () => (await fetch(`${c.env.ORIGIN}/${key}`)).text()
  return c.text(await cache.get(key, load, (work) => c.executionCtx.waitUntil(work)))
})
app.get("/cache-stats", (c) => c.json(cache.stats()))

/** What the runtime does with a promise that another request made, so that the test can hold `VolatileCache` to it. */
let shared: Promise<string> | null = null
app.get("/promise/make/:key", async (c) => {
  shared = fetch(`${c.env.ORIGIN}/${c.req.param("key")}`).then((response) => response.text())
  return c.text(await shared)
})
app.get("/promise/leave/:key", (c) => {
  shared = fetch(`${c.env.ORIGIN}/${c.req.param("key")}`).then((response) => response.text())
  return c.text("left")
})
app.get("/promise/join", async (c) => {
  const late = new Promise<string>((resolve) => setTimeout(() => resolve("never settled"), GIVE_UP_MS))
  return c.text(await Promise.race([shared ?? "nothing to join", late]))
})

const kept = { freshS: 1, staleS: 3_600, keyedBy: "everybody" } as const
const stores: Record<string, (env: Env) => StaleOrFresh> = {
  cache: () => staleWhileRevalidate({ ...kept, store: inNamedCache("probe") }),
  kv: (env) => staleWhileRevalidate({ ...kept, store: inKv(env.ANSWERS, "probe/") }),
}
app.get("/answers/:store/:key", async (c) => {
  const answers = stores[c.req.param("store")]?.(c.env)
  const asking = { waitUntil: (work: Promise<unknown>) => c.executionCtx.waitUntil(work) }
  return (await answers?.(c.req.raw, asking, () => fetch(`${c.env.ORIGIN}/${c.req.param("key")}`))) ?? c.notFound()
})

export default app
