import { exportJWK, generateKeyPair, type JWK } from "jose"
import { beforeEach, describe, it, vi } from "vitest"
import { CONFIG_LIMITS } from "../../../contracts/dispatch-config.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { healPublication } from "../config/heal-publication.ts"
import { AT_ONCE, MOST_PER_LOOK } from "./turns.ts"
import { lookAtIssuers, watchIssuers } from "./watch-issuers.ts"

const URI = "https://idp.example/jwks"
const keyOf = async (kid: string): Promise<JWK> => ({
  ...(await exportJWK((await generateKeyPair("ES256", { extractable: true })).publicKey)),
  kid,
})
const [seed, first, second] = await Promise.all([keyOf("seed"), keyOf("k1"), keyOf("k2")])
const rsa = await exportJWK((await generateKeyPair("RS256", { extractable: true })).publicKey)
const secret = await exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey)

type Answer = () => Response | Promise<Response>
let platform: TestControlPlane
let answers: Record<string, Answer>
let fetched: { url: string; init: RequestInit | undefined; atMs: number }[]
beforeEach(async () => {
  answers = {}
  fetched = []
  platform = await startControlPlane(() => ({
    fetch: (async (input: string, init?: RequestInit) => {
      fetched.push({ url: input, init, atMs: platform.deps.clock.now() })
      const answer = answers[input]
      if (answer === undefined) throw new Error("no such host")
      return answer()
    }) as typeof fetch,
    wait: async (ms) => platform.pass(ms),
  }))
  await putIssuers({ idp: issuer() })
})

function issuer(changes: object = {}) {
  return {
    issuer: "https://idp.example",
    audiences: ["edge"],
    algorithms: ["ES256", "RS256"],
    jwks: { keys: [seed] },
    jwksUri: URI,
    ...changes,
  }
}
async function putIssuers(body: object) {
  const sent = await platform.send("PUT /v1/policy/issuers", { body })
  if (sent.status !== 200) throw new Error(JSON.stringify(sent.body))
}
const publishes =
  (...keys: object[]): Answer =>
  () =>
    Response.json({ keys })
const look = () => lookAtIssuers(platform.deps)
async function inForce(id = "idp"): Promise<string[]> {
  return (await platform.published()).issuers[id].jwks.keys.map((key: JWK) => key.kid)
}
const looks = () => platform.deps.store.issuerKeys.looks()

describe("issuers' keys: what changed is published", () => {
  it("publishes the keys that an issuer publishes in the place of those that ops wrote", async ({ expect }) => {
    answers[URI] = publishes(first, second)
    await look()
    expect(await inForce()).toEqual(["k1", "k2"])
    expect((await platform.send("GET /v1/policy/issuers")).body.idp.jwks.keys).toMatchObject([{ kid: "seed" }])
  })

  it("takes away a key that the issuer has taken back", async ({ expect }) => {
    answers[URI] = publishes(first, second)
    await look()
    answers[URI] = publishes(second)
    await look()
    expect(await inForce()).toEqual(["k2"])
  })

  it("records who changed what, and nothing where nothing changed, in whatever order it comes", async ({ expect }) => {
    answers[URI] = publishes(second, first)
    await look()
    const { items } = (await platform.send("GET /v1/audit")).body
    expect(items[0]).toMatchObject({
      actor: "system",
      action: "issuers.keys-changed",
      target: "policy/issuers",
      detail: { kids: { idp: ["k1", "k2"] } },
    })
    const before = await platform.pointer()
    answers[URI] = publishes(first, second)
    await look()
    expect((await platform.send("GET /v1/audit")).body.items).toHaveLength(items.length)
    expect(await platform.pointer()).toEqual(before)
  })

  it("leaves what ops write alone, and keeps it from undoing what was found", async ({ expect }) => {
    answers[URI] = publishes(first)
    await look()
    await putIssuers({ idp: issuer({ clockSkewS: 5 }) })
    expect(await inForce()).toEqual(["k1"])
    expect((await platform.published()).issuers.idp.clockSkewS).toBe(5)
  })

  it("goes by ops' keys again once they name another place, or none", async ({ expect }) => {
    answers[URI] = publishes(first)
    await look()
    for (const changes of [{ jwksUri: `${URI}/2` }, { jwksUri: undefined }]) {
      await putIssuers({ idp: issuer(changes) })
      expect(await inForce()).toEqual(["seed"])
    }
  })

  it("forgets what it found at a place that ops no longer name, so that naming it again brings no old key back", async ({
    expect,
  }) => {
    answers[URI] = publishes(first)
    await look()
    await putIssuers({ idp: issuer({ jwksUri: undefined }) })
    await putIssuers({ idp: issuer({ jwks: { keys: [second] } }) })
    expect(await inForce()).toEqual(["k2"])
    answers[URI] = () => Promise.reject(new Error("gone"))
    await look()
    expect(await inForce()).toEqual(["k2"])
    await putIssuers({})
    await putIssuers({ idp: issuer() })
    expect(await inForce()).toEqual(["seed"])
  })

  it("keeps nothing of a look that was under way when ops named another place", async ({ expect }) => {
    answers[URI] = async () => {
      await putIssuers({ idp: issuer({ jwksUri: `${URI}/2` }) })
      return Response.json({ keys: [first] })
    }
    await look()
    await putIssuers({ idp: issuer() })
    expect(await inForce()).toEqual(["seed"])
  })

  it("leaves out what is of no use here, and believes the rest", async ({ expect }) => {
    const encryption = { ...rsa, kid: "enc", use: "enc", alg: "RSA-OAEP" }
    const curve = { kty: "EC", crv: "P-384", kid: "p384", x: "x", y: "y" }
    const withMore = { ...rsa, kid: "k3", alg: "RS256", use: "sig", x5t: "x", x5c: ["MII"], issuer: "of Microsoft's" }
    answers[URI] = publishes(encryption, curve, { ...first, kid: undefined }, withMore)
    await look()
    expect(await inForce()).toEqual(["k3"])
    expect((await platform.published()).issuers.idp.jwks.keys[0]).not.toHaveProperty("x5c")
  })
})

describe("issuers' keys: what is not good leaves the last good ones in force", () => {
  const big = () => new Response(`{"keys":[],"pad":"${"x".repeat(256 * 1024)}"}`)
  const bad: Record<string, [answer: Answer, fault: string]> = {
    "an outage": [() => Promise.reject(new Error("gone")), "cannot be reached"],
    "a failure": [() => new Response("no", { status: 500 }), "answered 500"],
    "a redirect": [
      () => new Response(null, { status: 302, headers: { location: "https://e.example/" } }),
      "answered 302",
    ],
    "what is not JSON": [() => new Response("<html>"), "is not JSON"],
    "what is no key set": [() => Response.json([first]), "is no key set"],
    "an empty key set": [publishes(), "holds no usable key"],
    "keys for encryption alone": [publishes({ ...rsa, kid: "enc", use: "enc" }), "holds no usable key"],
    "a short RSA modulus": [publishes({ kty: "RSA", kid: "s", n: "x".repeat(171), e: "AQAB" }), "holds no usable key"],
    "a kid that stands there twice": [
      publishes(first, { ...second, kid: "k1" }),
      "holds too many keys, or a kid twice",
    ],
    "a private key": [publishes(first, { ...secret, kid: "k9" }), "holds a secret key"],
    "a symmetric key": [publishes(first, { kty: "oct", kid: "k9", k: "AAAA" }), "holds a secret key"],
    "a point that lies on no curve": [
      publishes({ kty: "EC", crv: "P-256", kid: "k9", x: "A".repeat(43), y: "A".repeat(42).concat("E") }),
      "holds a key that is none",
    ],
    "more than 256 KiB": [big, "is larger than 256 KiB or no text"],
  }
  for (const [what, [answer, fault]] of Object.entries(bad))
    it(`keeps them through ${what}, and says so`, async ({ expect }) => {
      answers[URI] = publishes(first)
      await look()
      const before = await platform.pointer()
      platform.pass(20_000)
      answers[URI] = answer
      await look()
      expect(await inForce()).toEqual(["k1"])
      expect(await platform.pointer()).toEqual(before)
      const [seen] = await looks()
      expect(seen).toMatchObject({ issuer: "idp", fault, lookedAtMs: platform.deps.clock.now() })
      expect(seen?.goodAtMs).toBe(platform.deps.clock.now() - 20_000)
    })

  it("gives up on one that gives no answer, and looks at the others meanwhile", { timeout: 3_000 }, async ({
    expect,
  }) => {
    const other = "https://other.example/jwks"
    await putIssuers({ idp: issuer(), other: issuer({ issuer: "https://other.example", jwksUri: other }) })
    answers[URI] = () =>
      new Promise<never>((_, reject) => {
        const signal = fetched.find(({ url }) => url === URI)?.init?.signal
        signal?.addEventListener("abort", () => reject(signal.reason))
      })
    answers[other] = publishes(second)
    await lookAtIssuers(platform.deps, 50)
    expect(await looks()).toMatchObject([
      { issuer: "idp", fault: "gave no answer within 0.05 s" },
      { issuer: "other", fault: null },
    ])
    expect(await inForce("other")).toEqual(["k2"])
  })

  it("lets go of an answer that it does not read, so that its connection is free again", async ({ expect }) => {
    let isCancelled = false
    const cancel = () => {
      isCancelled = true
    }
    answers[URI] = () => new Response(new ReadableStream({ cancel }), { status: 500 })
    await look()
    expect(isCancelled).toBe(true)
  })

  it("follows no redirect and has a limit on each look", async ({ expect }) => {
    answers[URI] = publishes(first)
    await look()
    expect(fetched[0]?.init).toMatchObject({ redirect: "manual", signal: expect.any(AbortSignal) })
  })

  it("forgets the looks at an issuer that is no longer watched", async ({ expect }) => {
    answers[URI] = publishes(first)
    await look()
    await putIssuers({ idp: issuer({ jwksUri: undefined }) })
    expect(await look()).toBe(false)
    expect(await looks()).toEqual([])
    expect(fetched).toHaveLength(1)
  })
})

describe("issuers' keys: one issuer's fault is its own", () => {
  const uriOf = (id: string) => `https://${id}.example/jwks`
  const numbered = (count: number) => Array.from({ length: count }, (_, at) => `i${String(at).padStart(2, "0")}`)
  const put = (...ids: string[]) =>
    putIssuers(
      Object.fromEntries(ids.map((id) => [id, issuer({ issuer: `https://${id}.example`, jwksUri: uriOf(id) })])),
    )
  /** An answer that comes when the test says so. */
  function held(): { answer: Answer; give: (response: Response) => void } {
    let give: (response: Response) => void = () => undefined
    const response = new Promise<Response>((resolve) => {
      give = resolve
    })
    return { answer: () => response, give: (given) => give(given) }
  }

  it("has the keys of others in force, and their looks noted, while one gives no answer", async ({ expect }) => {
    await put("quick", "silent")
    const silent = held()
    answers[uriOf("silent")] = silent.answer
    answers[uriOf("quick")] = publishes(first)
    const looking = look()
    await vi.waitFor(async () => {
      expect(await inForce("quick")).toEqual(["k1"])
      expect(await looks()).toMatchObject([
        { issuer: "quick", fault: null },
        { issuer: "silent", fault: "was not looked at yet", goodAtMs: null },
      ])
    })
    silent.give(Response.json({ keys: [second] }))
    await looking
    expect(await inForce("silent")).toEqual(["k2"])
  })

  it("looks first at those that answered the last time, so that not even many silent ones hold them up", async ({
    expect,
  }) => {
    const silentOnes = numbered(AT_ONCE)
    await put(...silentOnes, "quick")
    answers[uriOf("quick")] = publishes(first)
    await look()
    fetched = []
    platform.pass(20_000)
    await look()
    expect(fetched[0]?.url).toBe(uriOf("quick"))
  })

  it("publishes the others' keys when one set is refused, says whose it was and why, and tries it again", async ({
    expect,
  }) => {
    await put("able", "large", "small")
    // The first is published alone, and the other two together. Room for a few keys, and not for twenty.
    const text = "x".repeat(1_000)
    const flags = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`flag-${at}`, text]))
    await platform.send("PUT /v1/policy/flags", { body: flags })
    const sizeBytes = (await platform.pointer())?.sizeBytes ?? 0
    const perFlag = JSON.stringify(`flag-${1000}`).length + text.length + 4
    const count = 10 + Math.floor((CONFIG_LIMITS.bytes - 4_000 - sizeBytes) / perFlag)
    const filled = Object.fromEntries(Array.from({ length: count }, (_, at) => [`flag-${at}`, text]))
    const sent = await platform.send("PUT /v1/policy/flags", { body: filled })
    expect([sent.status, sent.body.code]).toEqual([200, undefined])
    const keysOf: Record<string, object[]> = {
      able: [first],
      large: Array.from({ length: 20 }, (_, at) => ({ ...rsa, kid: `l${at}` })),
      small: [second],
    }
    for (const [id, keys] of Object.entries(keysOf)) answers[uriOf(id)] = publishes(...keys)
    await look()
    expect([await inForce("able"), await inForce("large"), await inForce("small")]).toEqual([["k1"], ["seed"], ["k2"]])
    expect((await platform.send("GET /v1/status")).body.issuers).toMatchObject([
      { id: "able", fault: null },
      { id: "large", goodAt: null, fault: "was found, but not published: config.invalid" },
      { id: "small", fault: null },
    ])
    await platform.send("PUT /v1/policy/flags", { body: {} })
    await look()
    expect(await inForce("large")).toHaveLength(20)
  })

  it("publishes the others' keys also when the store refuses one", async ({ expect }) => {
    await put("able", "bad", "good")
    await platform.deps.db
      .prepare(
        "CREATE TRIGGER no BEFORE INSERT ON issuer_keys WHEN NEW.issuer = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
      )
      .run()
    for (const id of ["able", "bad", "good"]) answers[uriOf(id)] = publishes(first)
    await look()
    expect([await inForce("able"), await inForce("bad"), await inForce("good")]).toEqual([["k1"], ["seed"], ["k1"]])
    expect((await looks()).map(({ fault }) => fault)).toEqual([null, "was found, but not published: internal", null])
  })

  /**
   * A look whose first key set is being published, which ends only with `go`, when two more have come, and of the rest none. A lane that comes back asks the next
   * issuer: so it can be seen that they have come. KV answers each write as `write` does.
   */
  async function lookUnderWay(write: () => Promise<void>) {
    const ids = numbered(AT_ONCE + 3)
    await put(...ids)
    const gate = held()
    const written = vi.spyOn(platform.deps.config, "put").mockImplementation(async () => {
      await gate.answer()
      await write()
    })
    const others = ids.slice(1).map((id) => ({ id, ...held() }))
    answers[uriOf("i00")] = publishes(first)
    for (const { id, answer } of others) answers[uriOf(id)] = answer
    const looking = look()
    await vi.waitUntil(() => written.mock.calls.length > 0)
    for (const { give } of others.slice(0, 2)) give(Response.json({ keys: [first] }))
    await vi.waitUntil(() => fetched.length === ids.length)
    const go = async () => {
      gate.give(new Response(null))
      for (const { give } of others.slice(2)) give(new Response("no", { status: 500 }))
      await looking
      written.mockRestore()
    }
    return { go }
  }
  const changes = async () =>
    (await platform.send("GET /v1/audit")).body.items
      .filter(({ action }: { action: string }) => action === "issuers.keys-changed")
      .map(({ detail }: { detail: { kids: object } }) => Object.keys(detail.kids))

  it("publishes one change at a time, and what comes meanwhile together in the next", async ({ expect }) => {
    const { go } = await lookUnderWay(async () => undefined)
    expect(await changes()).toEqual([["i00"]])
    await go()
    expect(await changes()).toEqual([["i01", "i02"], ["i00"]])
  })

  it("asks no more of a KV that refuses by trying what is recorded one by one, says so, and has it in force once KV takes it", async ({
    expect,
  }) => {
    const { go } = await lookUnderWay(() => Promise.reject(new Error("KV PUT failed: 500")))
    await go()
    const failed = platform.logs.filter(({ event }) => event === "issuers.keys-not-published")
    expect(failed).toMatchObject([
      { issuers: ["i00"], code: "config.not-published" },
      { issuers: ["i01", "i02"], code: "config.not-published" },
    ])
    const fault = "was found, but not published: config.not-published"
    expect((await looks()).slice(0, 3)).toMatchObject([{ fault }, { fault }, { fault }])
    await healPublication(platform.deps)
    for (const id of ["i01", "i02"]) answers[uriOf(id)] = publishes(first)
    expect([await inForce("i00"), await inForce("i01"), await inForce("i02")]).toEqual([["k1"], ["k1"], ["k1"]])
    await look()
    expect((await looks()).slice(0, 3)).toMatchObject([{ fault: null }, { fault: null }, { fault: null }])
  })

  it("has no more looks open at once than leave connections for what is found", async ({ expect }) => {
    let open = 0
    let most = 0
    const ids = numbered(3 * AT_ONCE)
    await put(...ids)
    for (const id of ids)
      answers[uriOf(id)] = async () => {
        most = Math.max(most, ++open)
        await Promise.resolve()
        open--
        return Response.json({ keys: [first] })
      }
    await look()
    expect([most, fetched.length]).toEqual([AT_ONCE, ids.length])
  })

  it("looks at the bound and no more of them at a time, at all in turn, and says how often each has its turn", async ({
    expect,
  }) => {
    const ids = numbered(MOST_PER_LOOK + 1)
    await put(...ids.slice(1))
    const everyS = async () => [
      ...new Set((await platform.send("GET /v1/status")).body.issuers.map((each: { everyS: number }) => each.everyS)),
    ]
    await look()
    expect([fetched.length, await everyS()]).toEqual([MOST_PER_LOOK, [20]])
    await put(...ids)
    fetched = []
    platform.pass(20_000)
    await look()
    expect(fetched).toHaveLength(MOST_PER_LOOK)
    expect(await everyS()).toEqual([40])
    const left = ids.filter((id) => !fetched.some(({ url }) => url === uriOf(id)))
    fetched = []
    platform.pass(20_000)
    await look()
    expect(fetched.map(({ url }) => url)).toContain(uriOf(left[0] ?? ""))
  })
})

describe("issuers' keys: the schedule", () => {
  it("looks every 20 seconds within the minute", async ({ expect }) => {
    answers[URI] = publishes(first)
    const begun = platform.deps.clock.now()
    await watchIssuers(platform.deps)
    expect(fetched.map(({ atMs }) => atMs - begun)).toEqual([0, 20_000, 40_000])
  })

  it("has a key in force within 20 seconds of its being published, whatever the look before came to", async ({
    expect,
  }) => {
    answers[URI] = () => {
      // Published a moment after the second look, which failed.
      if (fetched.length === 2) throw new Error("gone")
      return Response.json({ keys: fetched.length < 3 ? [first] : [first, second] })
    }
    await watchIssuers(platform.deps)
    expect(await inForce()).toEqual(["k1", "k2"])
  })

  it("goes on after a look whose result could not be written", async ({ expect }) => {
    answers[URI] = publishes(first)
    await platform.deps.db.prepare("ALTER TABLE issuer_looks RENAME TO elsewhere").run()
    await watchIssuers(platform.deps)
    expect(fetched).toHaveLength(3)
    expect(await inForce()).toEqual(["k1"])
  })

  it("does nothing where no issuer publishes its keys", async ({ expect }) => {
    await putIssuers({ idp: issuer({ jwksUri: undefined }) })
    const begun = platform.deps.clock.now()
    await watchIssuers(platform.deps)
    expect([fetched, platform.deps.clock.now()]).toEqual([[], begun])
  })
})
