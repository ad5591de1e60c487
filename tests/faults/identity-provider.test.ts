/**
 * An identity provider that is down, slow or talks nonsense while people are logged in: their sessions do not notice, who wants to log in is told to come
 * back later, and the provider is asked no more than once a second.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { SESSION_COOKIE } from "../../contracts/session.ts"
import { eventually, load } from "../harness.ts"
import type { Answer } from "../security/hostile-provider/provider.ts"
import { APP, logIn, startUrl, useStage } from "../security/hostile-provider/stage.ts"

/** Requests by session during each fault. */
const SESSION_REQUESTS = 2_000
const LANES = 8
/** In each lane, however long they take: the second is one that knows. */
const LEAST_ROUNDS = 2
/** Questions that may be out before the first of them has failed: one per lane. */
const BEFORE_IT_IS_KNOWN = LANES
const stage = useStage("steady")
let cookie = ""

beforeAll(async () => {
  const browser = stage().browser()
  await logIn(stage(), browser, stage().provider.tenant("steady"))
  cookie = `${SESSION_COOKIE}=${await browser.cookie(APP, SESSION_COOKIE)}`
})

/** With for how long logins are tried: where nothing comes, longer than the login Worker waits for a provider and lets none ask again. */
const faults: readonly (readonly [string, Answer, number])[] = [
  ["cuts connections", { cut: true }, 2_000],
  ["answers 500", { status: 500, body: "<html>500</html>" }, 2_000],
  ["answers a page", { headers: { "content-type": "text/html" }, body: "<html>Maintenance</html>" }, 2_000],
  ["never answers", { afterMs: Number.POSITIVE_INFINITY }, 7_000],
]

/** Somebody begins a login every now and then, for a while and twice at least; what they were answered, and how often the provider was asked meanwhile. */
async function askForAWhile(
  ms: number,
  begin: () => Promise<{ status: number; headers: Headers }>,
  asked: () => number,
) {
  const before = asked()
  const until = performance.now() + ms
  const answers: { status: number; retryAfter: string | null; tookMs: number }[] = []
  const lane = async () => {
    for (let round = 1; round <= LEAST_ROUNDS || performance.now() < until; round++) {
      const from = performance.now()
      const { status, headers } = await begin()
      answers.push({ status, retryAfter: headers.get("retry-after"), tookMs: performance.now() - from })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const from = performance.now()
  await Promise.all(Array.from({ length: LANES }, lane))
  return { answers, asked: asked() - before, lastedS: (performance.now() - from) / 1000 }
}

async function expectSessionsUntouched(): Promise<void> {
  const answers = await load(SESSION_REQUESTS, LANES, () => stage().platform.fetch(`${APP}/x`, { headers: { cookie } }))
  expect(answers.filter(({ status }) => status !== 200)).toEqual([])
}

function expectRefusedPolitely({ answers, asked, lastedS }: Awaited<ReturnType<typeof askForAWhile>>, what: string) {
  const slowest = Math.max(...answers.map(({ tookMs }) => tookMs))
  process.stderr.write(
    `Provider ${what}: ${answers.length} logins refused in ${lastedS.toFixed(1)} s, ${asked} questions to the provider, slowest ${slowest.toFixed(0)} ms; ${SESSION_REQUESTS} session requests without an error\n`,
  )
  expect(answers.length).toBeGreaterThan(LANES)
  expect(answers.filter(({ status, retryAfter }) => status !== 503 || !(Number(retryAfter) > 0))).toEqual([])
  expect(asked).toBeLessThanOrEqual(Math.ceil(lastedS) + BEFORE_IT_IS_KNOWN)
  expect(slowest).toBeLessThan(8_000)
}

describe.each(faults.map(([what, answer, forMs], index) => ({ what, answer, forMs, index })))(
  "a provider that $what",
  ({ what, answer, forMs, index }) => {
    const name = `ill-${index}`
    const tenant = () => stage().provider.tenant(name)
    const steady = () => stage().provider.tenant("steady")
    beforeAll(() => stage().useTenants([steady(), tenant()]))

    it("costs its own logins, and nobody's session, before anything is known of it", { timeout: 60_000 }, async () => {
      tenant().fault = answer
      const begin = () => stage().browser().visit(startUrl(tenant()))
      const [result] = await Promise.all([
        askForAWhile(forMs, begin, () => tenant().seen.length),
        expectSessionsUntouched(),
      ])
      expectRefusedPolitely(result, `${what}, unknown`)
      const { ended } = await logIn(stage(), stage().browser(), steady())
      expect(ended.location).toBe(`${APP}/home`)
    })

    it("lets people in again soon after it is well", { timeout: 60_000 }, async () => {
      tenant().fault = null
      const location = await eventually(
        10_000,
        async () => (await logIn(stage(), stage().browser(), tenant())).ended.location,
      )
      expect(location).toBe(`${APP}/home`)
    })

    it("costs the logins that are under way, and nobody's session", { timeout: 60_000 }, async () => {
      tenant().forget()
      tenant().fault = answer
      const redeem = async () => {
        const browser = stage().browser()
        const begun = await browser.visit(startUrl(tenant()))
        if (begun.location === null) return begun
        const back = await browser.visit(begun.location, { from: APP })
        return browser.visit(back.location ?? "", { from: stage().provider.url })
      }
      const [result] = await Promise.all([
        askForAWhile(forMs, redeem, () => tenant().countOf("token")),
        expectSessionsUntouched(),
      ])
      expectRefusedPolitely(result, `${what}, known`)
      tenant().fault = null
    })
  },
)
