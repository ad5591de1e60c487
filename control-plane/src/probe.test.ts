import { beforeEach, describe, it } from "vitest"
import type { Revocation } from "../../contracts/revocation.ts"
import { SESSION_COOKIE, type SessionSeal } from "../../contracts/session.ts"
import { openSession } from "../../kit/session-cookie.ts"
import { PUBLIC_KEY, startControlPlane, type TestControlPlane } from "../test/harness.ts"
import type { Dependencies } from "./dependencies.ts"
import { PROBE_LIMIT_MS, probeRevocation } from "./probe.ts"

const KEYS = "A".repeat(43)
const MINUTE_MS = 60_000
let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
  const issuer = {
    issuer: "https://idp.example",
    audiences: ["edge"],
    algorithms: ["ES256"],
    jwks: { keys: [PUBLIC_KEY] },
  }
  await platform.send("PUT /v1/policy/issuers", { body: { other: issuer, corp: issuer } })
})

interface Edge {
  /** Milliseconds from the revocation to the first refusal; null for never. */
  readonly lagMs?: number | null
  /** What the edge answers instead, by the number of the question. */
  readonly answer?: (asked: number) => Response | Promise<Response> | null
  readonly append?: () => Promise<never>
}

/** Runs a probe against an edge that takes its lag, in time that passes only where the probe waits. */
async function probe({ lagMs = 1_000, answer = () => null, append }: Edge, sessionKeys: string | null = KEYS) {
  const revoked: { at: number; what: Revocation; actor: string }[] = []
  const handles: string[] = []
  const seals: SessionSeal[] = []
  let asked = 0
  const { clock, store, log } = platform.deps
  const edgeFront = {
    fetch: async (url: string, init: RequestInit) => {
      asked++
      const cookie = new Headers(init.headers).get("cookie") ?? ""
      const opened = await openSession(cookie.slice(SESSION_COOKIE.length + 1), KEYS)
      handles.push(opened?.handle ?? "none")
      if (opened !== null) seals.push(opened.seal)
      const given = await answer(asked)
      if (given !== null) return given
      const revocation = revoked.find(
        ({ what }) => what.target.kind === "session" && what.target.session === handles[0],
      )
      const isRefused = revocation !== undefined && lagMs !== null && clock.now() >= revocation.at + lagMs
      if (new URL(url).pathname !== "/.sallyport/session") return new Response(null, { status: 404 })
      return isRefused ? problem("auth.revoked") : Response.json({ subject: opened?.seal.subject })
    },
  }
  await probeRevocation({
    clock,
    store,
    log,
    wait: async (ms) => platform.pass(ms),
    edgeFront: edgeFront as unknown as Dependencies["edgeFront"],
    revocations: {
      ...platform.deps.revocations,
      append: async (list, actor) => {
        await append?.()
        for (const what of list) revoked.push({ at: clock.now(), what, actor })
        return { seq: 1, atMs: clock.now() }
      },
    },
    settings: { ...platform.deps.settings, sessionKeys },
  })
  const runs = await store.probes.runs(0)
  return { run: runs[0], runs, revoked, handles, seals, totals: await store.probes.totals(), asked }
}

function problem(code: string): Response {
  return Response.json({ code }, { status: 401 })
}

describe("probe", () => {
  it("measures from the asking for the revocation to the first refusal", async ({ expect }) => {
    const { run, revoked, handles, totals } = await probe({ lagMs: 1_000 })
    expect(run).toMatchObject({ lagMs: 1_000, fault: null })
    expect(revoked).toMatchObject([
      { actor: "probe", what: { target: { kind: "session", session: handles[0] }, reason: "probe" } },
    ])
    expect(totals).toMatchObject({ count: 1, sumS: 1, failed: 0 })
    expect([totals.buckets["0.5"], totals.buckets["1"], totals.buckets["60"]]).toEqual([0, 1, 1])
  })

  it("is a session of its own each time", async ({ expect }) => {
    const first = await probe({})
    platform.pass(MINUTE_MS)
    const second = await probe({})
    expect(second.handles[0]).not.toBe(first.handles[0])
    expect(second.runs).toHaveLength(2)
  })

  const failures: Record<string, [edge: Edge, fault: string]> = {
    "the edge does not know the session": [{ answer: () => problem("auth.credential-invalid") }, "not-accepted"],
    "the edge calls it revoked before it was": [{ answer: () => problem("auth.revoked") }, "not-accepted"],
    "the edge answers with somebody else's session": [
      { answer: () => Response.json({ subject: "alice" }) },
      "not-accepted",
    ],
    "the edge fails from the beginning": [{ answer: () => new Response(null, { status: 500 }) }, "not-accepted"],
    "the edge cannot be reached": [{ answer: () => Promise.reject(new Error("gone")) }, "not-accepted"],
    "the revocation is not recorded": [{ append: () => Promise.reject(new Error("full")) }, "not-revoked"],
    "the session is refused for another reason": [
      { answer: (asked) => (asked > 2 ? problem("auth.session-expired") : null) },
      "refused-otherwise",
    ],
    "the session is accepted to the end": [{ lagMs: null }, "not-refused-in-time"],
    "the edge no longer answers": [
      { answer: (asked) => (asked > 1 ? new Response(null, { status: 503 }) : null) },
      "not-refused-in-time",
    ],
  }
  for (const [what, [edge, fault]] of Object.entries(failures))
    it(`has failed, and is beyond every bucket, when ${what}`, async ({ expect }) => {
      const { run, totals } = await probe(edge)
      expect(run).toMatchObject({ lagMs: null, fault })
      expect(totals).toMatchObject({ count: 1, failed: 1, sumS: 60 })
      expect(Object.values(totals.buckets).every((count) => count === 0)).toBe(true)
    })

  it("goes on through failures of the edge that end", async ({ expect }) => {
    const { run } = await probe({ answer: (asked) => (asked === 2 ? new Response(null, { status: 503 }) : null) })
    expect(run).toMatchObject({ lagMs: 1_000 })
  })

  it("ends after its time, and has called other Workers no more often than the platform lets one invocation", async ({
    expect,
  }) => {
    const begun = platform.deps.clock.now()
    const { asked, revoked } = await probe({ lagMs: null })
    expect(platform.deps.clock.now() - begun).toBe(PROBE_LIMIT_MS)
    expect(asked + revoked.length).toBeLessThan(32)
  })

  for (const lagMs of [200, 1_900, 5_000, 12_000, 29_000, 55_000])
    it(`measures a lag of ${lagMs} ms, overstated by a fifth of a second or a quarter of it at the most`, async ({
      expect,
    }) => {
      const { run } = await probe({ lagMs })
      expect(run?.lagMs).toBeGreaterThanOrEqual(lagMs)
      expect(run?.lagMs).toBeLessThanOrEqual(lagMs + Math.max(200, lagMs / 4))
    })

  it("is none where no session keys are set, or no identity provider is known", async ({ expect }) => {
    const { runs, totals } = await probe({}, null)
    expect([runs, totals.count]).toEqual([[], 0])
    await platform.send("PUT /v1/policy/issuers", { body: {} })
    expect((await probe({})).runs).toEqual([])
  })

  it("is a session of a provider that the edge knows, always the same, and may nothing", async ({ expect }) => {
    const { seals } = await probe({})
    expect(seals[0]).toMatchObject({ idp: "corp", subject: "sallyport-probe", scopes: [], company: null, level: 0 })
  })

  it("keeps a week", async ({ expect }) => {
    await probe({})
    platform.pass(8 * 86_400_000)
    expect((await probe({})).runs).toHaveLength(1)
  })
})
