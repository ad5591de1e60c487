/** Revocations from the log to four isolates of the dispatcher, at two locations: how long they take, that none is forgotten, and that nobody else is hit. */
import { performance } from "node:perf_hooks"
import { describe, expect, it } from "vitest"
import { MAX_REVOCATIONS_PER_CALL, type Revocation } from "../../contracts/revocation.ts"
import { edgeRequest } from "../../emulator/edge-request.ts"
import { eventually, textWorker, usePlatform } from "../harness.ts"

const URL = "https://revoked.example.com/"
const BOUND_MS = 5_000
const EDGES = 4
/** Two isolates each, so that both ways are there: a relay shared, and a relay of another location. */
const COLOS = ["AMS", "AMS", "CDG", "CDG"]
const reason = "test"

const platform = usePlatform({ edges: EDGES }, async (started) => {
  await started.uploadWorker({
    source: textWorker("mine"),
    script: "mine",
    route: { hostname: "revoked.example.com", path: "/*", auth: "required" },
  })
  // Only the first edge is told of the new route.
  for (let edge = 0; edge < EDGES; edge += 1)
    await eventually(10_000, async () =>
      (await statusAt(edge, started.issueToken({ subject: "ready" }))) === 200 ? 1 : null,
    )
})

async function statusAt(edge: number, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, "x-local-cf": JSON.stringify({ colo: COLOS[edge] }) }
  const response = await edgeRequest(platform().edgeUrls[edge] ?? "", URL, { headers })
  await response.arrayBuffer()
  return response.status
}

const everywhere = (token: string) => Promise.all(COLOS.map((_, edge) => statusAt(edge, token)))
const aliceIs = (subject: string): Revocation["target"] => ({ kind: "subject", idp: "example-idp", subject })
const revoke = (...targets: Revocation["target"][]) =>
  platform().revocations.append(
    targets.map((target) => ({ target, reason })),
    "ops:test",
  )
/** Milliseconds until this edge refuses. */
async function lagAt(edge: number, token: string, since: number): Promise<number> {
  return eventually(BOUND_MS, async () => ((await statusAt(edge, token)) === 401 ? performance.now() - since : null))
}

describe("a revocation", () => {
  it("of a subject is in force everywhere within the bound, and hits no other", async () => {
    const [alice, alicia] = ["alice", "alicia"].map((subject) => platform().issueToken({ subject }))
    expect(await everywhere(alice ?? "")).toEqual([200, 200, 200, 200])
    await revoke(aliceIs("alice"))
    const revokedAt = performance.now()
    await Promise.all(COLOS.map((_, edge) => lagAt(edge, alice ?? "", revokedAt)))
    // One relay for each location, not for each isolate; and one more for whoever has none.
    const { relays } = await platform().revocations.status()
    expect([2, 3]).toContain(relays)
    expect(await everywhere(alicia ?? "")).toEqual([200, 200, 200, 200])
  })

  it("of a company is in force for its members and for nobody else", async () => {
    const [member, other] = ["42", "43"].map((company) => platform().issueToken({ subject: "carol", company }))
    await revoke({ kind: "company", company: "42" })
    const revokedAt = performance.now()
    await Promise.all(COLOS.map((_, edge) => lagAt(edge, member ?? "", revokedAt)))
    expect(await everywhere(other ?? "")).toEqual([200, 200, 200, 200])
  })

  it("does not hold for a token that was made after it", async () => {
    await revoke(aliceIs("dora"))
    const revokedAt = performance.now()
    const before = platform().issueToken({ subject: "dora" })
    await Promise.all(COLOS.map((_, edge) => lagAt(edge, before, revokedAt)))
    // Tokens tell their time in whole seconds.
    await eventually(3_000, async () => {
      const after = platform().issueToken({ subject: "dora" })
      return (await everywhere(after)).every((status) => status === 200) ? after : null
    })
    expect(await everywhere(before)).toEqual([401, 401, 401, 401])
  })

  it("takes at most five seconds for each of 60 under load, at each of four isolates", async () => {
    const lags: number[] = []
    let isOver = false
    const background = Array.from({ length: 8 }, async (_, lane) => {
      const token = platform().issueToken({ subject: `bystander-${lane}` })
      while (!isOver) expect(await statusAt(lane % EDGES, token)).toBe(200)
    })
    const one = async (n: number) => {
      const token = platform().issueToken({ subject: `leaver-${n}` })
      expect(await everywhere(token)).toEqual([200, 200, 200, 200])
      await revoke(aliceIs(`leaver-${n}`))
      const since = performance.now()
      lags.push(...(await Promise.all(COLOS.map((_, edge) => lagAt(edge, token, since)))))
      // It stays so: a while later, and while others are revoked.
      expect(await everywhere(token)).toEqual([401, 401, 401, 401])
    }
    for (let round = 0; round < 6; round += 1)
      await Promise.all(Array.from({ length: 10 }, (_, n) => one(round * 10 + n)))
    isOver = true
    await Promise.all(background)
    expect(lags).toHaveLength(60 * EDGES)
    expect(Math.max(...lags)).toBeLessThanOrEqual(BOUND_MS)
  })
})

describe("a storm of 50 000 within seconds", () => {
  it("is in force everywhere within the bound, and is still there after a restart of everything", async () => {
    const tokens = Array.from({ length: 20 }, (_, n) => platform().issueToken({ subject: `storm-${n * 2_500}` }))
    for (const token of tokens) expect(await everywhere(token)).toEqual([200, 200, 200, 200])
    for (let call = 0; call < 10; call += 1) {
      const from = call * MAX_REVOCATIONS_PER_CALL
      await revoke(...Array.from({ length: MAX_REVOCATIONS_PER_CALL }, (_, n) => aliceIs(`storm-${from + n}`)))
    }
    const since = performance.now()
    for (const [edge] of COLOS.entries()) await lagAt(edge, tokens.at(-1) ?? "", since)
    for (const token of tokens) expect(await everywhere(token)).toEqual([401, 401, 401, 401])
    expect((await platform().revocations.status()).live).toBeGreaterThanOrEqual(50_000)
    await platform().restart({})
    // An isolate that has only begun waits a quarter of a second for the feed; on a loaded machine that may be too short.
    const restartedAt = performance.now()
    for (const [edge] of COLOS.entries()) await lagAt(edge, tokens[0] ?? "", restartedAt)
    for (const token of tokens) expect(await everywhere(token)).toEqual([401, 401, 401, 401])
  })
})
