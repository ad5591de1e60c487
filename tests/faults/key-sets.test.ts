/**
 * An issuer whose keys change, vanish or turn to garbage, and callers who make up key ids. The control plane alone looks at key sets;
 * the edge has what the config says, fetches nothing, and keeps the last good set.
 */
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually, load, usePlatform } from "../harness.ts"
import { type ForgeKey, forge, makeForgeKey } from "../security/hostile-provider/forge.ts"
import {
  type Answer,
  type HostileProvider,
  json,
  nowS,
  startHostileProvider,
  type Tenant,
} from "../security/hostile-provider/provider.ts"

const UNKNOWN_KIDS = 10_000
const LANES = 16
const AUDIENCE = "https://api.example.com"
const ADDRESS = "https://keys.example.com/x"
/** How often the control plane looks at a key set. */
const LOOK_EVERY_S = 20
/** Looks of one run of the minute's schedule, which the tests begin: how long the edge takes by the clock is tests/e2e/issuer-keys.test.ts's to measure. */
const LOOKS_PER_RUN = 3
/** Until the edge follows a key set: a look, which ends with its slowest answer, and the publishing of what it found. */
const FOLLOWS_WITHIN_MS = 30_000

/** What a key set may answer instead of itself; one issuer each. */
const GARBAGE: Readonly<Record<string, Answer>> = {
  "no-json": { body: "<html>", headers: { "content-type": "text/html" } },
  empty: json({ keys: [] }),
  "private-key": json({
    keys: [{ ...makeForgeKey("x").privateKey.export({ format: "jwk" }), kid: "x", alg: "ES256" }],
  }),
  "symmetric-key": json({ keys: [{ kty: "oct", k: "c2VjcmV0", kid: "x" }] }),
  "kid-twice": json({ keys: [makeForgeKey("x").publicJwk, makeForgeKey("x").publicJwk] }),
  fails: { status: 500 },
  silent: { afterMs: Number.POSITIVE_INFINITY },
  huge: { headers: { "content-type": "application/json" }, body: " ".repeat(65_536), repeatedBytes: 16 * 1024 * 1024 },
  redirects: { status: 302, headers: { location: "http://127.0.0.1:9/" } },
  cut: { cut: true },
}

let provider: HostileProvider
let tenant: Tenant
let garbage: Tenant[]
let runs = 0
const platform = usePlatform()

/** The first look of it is at once. */
function beginLooking(): void {
  runs++
  void platform().runSchedule()
}

beforeAll(async () => {
  provider = await startHostileProvider()
  tenant = provider.tenant("corp", { keys: [makeForgeKey("first")] })
  garbage = Object.keys(GARBAGE).map((name) => provider.tenant(name))
  for (const each of garbage) each.jwks = () => GARBAGE[each.name] ?? {}
  const issuers = Object.fromEntries([tenant, ...garbage].map((each) => [each.name, issuerOf(each)]))
  await platform().api.put("/v1/policy/issuers", issuers)
  await platform().uploadWorker({ source: `export default { fetch: () => new Response("ok") }`, script: "keys" })
  await platform().api.put("/v1/hostnames/keys.example.com", { team: "test-team", open: true })
  await platform().api.put("/v1/routes/keys", {
    hostname: "keys.example.com",
    path: "/*",
    script: "keys",
    team: "test-team",
    auth: { mode: "required", issuers: Object.keys(issuers), scopes: [] },
  })
  await platform().waitForConfig()
})
afterAll(() => provider.stop())

/** With the keys that it has now, and where to look for newer ones. */
function issuerOf({ issuer, keys }: Tenant): object {
  const jwks = { keys: keys.map((key) => key.publicJwk) }
  return { issuer, audiences: [AUDIENCE], algorithms: ["ES256"], jwks, jwksUri: `${issuer}/jwks` }
}

function tokenBy(key: ForgeKey, kid = key.kid, { issuer } = tenant): string {
  const claims = { iss: issuer, aud: AUDIENCE, sub: "alice", iat: nowS(), exp: nowS() + 600, jti: randomUUID() }
  return forge({ alg: "ES256", typ: "at+jwt", kid }, claims, key)
}

const ask = (token: string) => platform().fetch(ADDRESS, { headers: { authorization: `Bearer ${token}` } })
const statusOf = async (token: string) => {
  const response = await ask(token)
  await response.text()
  return response.status
}
/** Asks with a new token each time, so that nothing is remembered from before; says how long it took. */
async function untilAccepted(key: ForgeKey, withinMs: number): Promise<number> {
  const from = performance.now()
  await eventually(withinMs, async () => ((await statusOf(tokenBy(key))) === 200 ? true : null))
  return performance.now() - from
}

describe("made-up key ids", () => {
  it("make the edge fetch nothing, cost it little, and hold up no valid token meanwhile", async () => {
    const [stranger, [key]] = [makeForgeKey("stranger"), tenant.keys]
    if (key === undefined) throw new Error("unreachable: the tenant has a key")
    expect(await statusOf(tokenBy(key))).toBe(200)
    const made = Array.from({ length: UNKNOWN_KIDS }, (_, index) =>
      // Every twentieth is valid: what a caller sees while others make things up.
      index % 20 === 0 ? tokenBy(key) : tokenBy(stranger, `made-up-${index}`),
    )
    const lookedBefore = tenant.countOf("jwks")
    const from = performance.now()
    const took: number[] = []
    const answers = await load(made.length, LANES, async (index) => {
      const sent = performance.now()
      const response = await ask(made[index] ?? "")
      if (index % 20 === 0) took.push(performance.now() - sent)
      return response
    })
    const lastedS = (performance.now() - from) / 1000
    const valid = answers.filter((_, index) => index % 20 === 0)
    const madeUp = answers.filter((_, index) => index % 20 !== 0)
    const fetched = tenant.countOf("jwks") - lookedBefore
    took.sort((a, b) => a - b)
    process.stderr.write(
      `Unknown kids: ${madeUp.length} refused in ${lastedS.toFixed(1)} s (${((lastedS / made.length) * 1000).toFixed(2)} ms each over ${LANES} lanes), ` +
        `${fetched} fetches of the key set, valid tokens meanwhile p99 ${took[Math.floor(took.length * 0.99)]?.toFixed(0)} ms\n`,
    )
    expect(madeUp.filter(({ status }) => status !== 401)).toEqual([])
    expect(valid.filter(({ status }) => status !== 200)).toEqual([])
    // The control plane's own looks, which are by the clock and not by the token.
    expect(fetched).toBeLessThanOrEqual(Math.ceil(lastedS / LOOK_EVERY_S) + 2)
    expect(lastedS / made.length).toBeLessThan(0.01)
  })
})

describe("an issuer's key set", () => {
  it("takes a new key to the edge, and the old one is good as long as it is published", async () => {
    const [old] = tenant.keys
    const fresh = makeForgeKey("second")
    if (old === undefined) throw new Error("unreachable: the tenant has a key")
    tenant.keys = [fresh, old]
    const refused: number[] = []
    beginLooking()
    const asking = eventually(FOLLOWS_WITHIN_MS, async () => {
      // Who goes on with the published key notices nothing.
      const status = await statusOf(tokenBy(old))
      if (status !== 200) refused.push(status)
      return (await statusOf(tokenBy(fresh))) === 200 ? true : null
    })
    await asking
    expect(refused).toEqual([])
    expect(await statusOf(tokenBy(old))).toBe(200)
  })

  it("keeps the last good one at the edge, whatever comes instead", async () => {
    const asked = (each: Tenant) => each.countOf("jwks")
    beginLooking()
    await eventually(FOLLOWS_WITHIN_MS, async () => (garbage.every((each) => asked(each) >= 2) ? true : null))
    const answers = await Promise.all(
      garbage.map(async (each) => {
        const [key] = each.keys
        return [each.name, key === undefined ? 0 : await statusOf(tokenBy(key, key.kid, each))]
      }),
    )
    expect(answers).toEqual(garbage.map(({ name }) => [name, 200]))
    process.stderr.write(
      `Key sets: ${garbage.length} kinds of garbage, ${garbage.map(asked).join("/")} looks, no valid token refused\n`,
    )
  })

  it("that changes from one moment to the next, without an overlap, is followed at the next look", async () => {
    const signedBefore = tokenBy(tenant.keys[1] ?? makeForgeKey("none"))
    expect(await statusOf(signedBefore)).toBe(200)
    // A look ends with its slowest answer; how slow that may be is not asked here.
    for (const each of garbage) each.jwks = null
    const third = makeForgeKey("third")
    tenant.keys = [third]
    beginLooking()
    const tookMs = await untilAccepted(third, FOLLOWS_WITHIN_MS)
    process.stderr.write(`Key sets: a change without overlap took ${(tookMs / 1000).toFixed(1)} s to the edge\n`)
    // Remembered tokens of the former keys go with them.
    expect(await statusOf(signedBefore)).toBe(401)
  })

  it("is looked at by the clock alone", () => {
    for (const each of [tenant, ...garbage]) {
      const looks = each.seen.filter(({ endpoint }) => endpoint === "jwks").map(({ atMs }) => atMs)
      const spanS = ((looks.at(-1) ?? 0) - (looks[0] ?? 0)) / 1000
      expect(looks.length).toBeLessThanOrEqual(Math.ceil(spanS / LOOK_EVERY_S) + 2 + runs * LOOKS_PER_RUN)
    }
  })
})
