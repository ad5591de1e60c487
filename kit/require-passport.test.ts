import { afterEach, beforeEach, describe, it, vi } from "vitest"
import { type PassportClaims, scriptAudience } from "../contracts/passport.ts"
import { Refusal } from "./problem.ts"
import { type PassportVariables, passportRequirement, requirePassport } from "./require-passport.ts"
import { worker } from "./worker.ts"

const NOW_S = 1_800_000_000
const claims: PassportClaims = {
  iss: "https://api.procore.com",
  aud: scriptAudience("gateway"),
  sub: "alice",
  iat: NOW_S - 10,
  nbf: NOW_S - 10,
  exp: NOW_S + 50,
  jti: "j-1",
  kind: "user",
  route: "api",
  hops: 0,
  facts: { ip: null, country: null, colo: null, asn: null, tls: null, bot: null },
}
const header = { alg: "ES256", typ: "passport+jwt", kid: "k1" }
const current = await makeKey("k1")
const other = await makeKey("k2")

describe("passportRequirement: accepts", () => {
  it("a passport made for this script", async ({ expect }) => {
    expect(await check(await sign(header, claims))).toEqual(claims)
  })

  it("optional claims, and members that it does not know", async ({ expect }) => {
    const more = {
      ...claims,
      idp: "example-idp",
      scope: "a b",
      company: "99999999999999999999",
      zone: "us01",
      host: "api.procore.com",
      companies: ["1", "2"],
      sid: "A".repeat(43),
      auth_time: NOW_S - 100,
      level: 2,
      later: 1,
    }
    expect(await check(await sign(header, { ...more, act: { sub: "script:router" } }))).toMatchObject(more)
  })

  for (const [name, times] of Object.entries({
    "until the tolerated skew after its end": { iat: NOW_S - 64, nbf: NOW_S - 64, exp: NOW_S - 4 },
    "from the tolerated skew before its beginning": { iat: NOW_S + 5, nbf: NOW_S + 5, exp: NOW_S + 65 },
    "of exactly 60 seconds": { iat: NOW_S - 30, nbf: NOW_S - 30, exp: NOW_S + 30 },
  }))
    it(`a passport ${name}`, async ({ expect }) => {
      expect(await check(await sign(header, { ...claims, ...times }))).toMatchObject(times)
    })
})

describe("passportRequirement: refuses", () => {
  const wrongClaims: Record<string, Record<string, unknown>> = {
    "for another script": { aud: scriptAudience("router") },
    "for a script whose name begins alike": { aud: scriptAudience("gateway2") },
    "for a list of audiences": { aud: [scriptAudience("gateway")] },
    "without audience": { aud: undefined },
    "of another issuer": { iss: "https://evil.example" },
    "without issuer": { iss: undefined },
    "that has expired": { iat: NOW_S - 65, nbf: NOW_S - 65, exp: NOW_S - 5 },
    "that is not valid yet": { nbf: NOW_S + 6 },
    "made in the future": { iat: NOW_S + 6, nbf: NOW_S, exp: NOW_S + 60 },
    "that lives longer than 60 seconds": { exp: NOW_S + 51 },
    "that ends before it begins": { exp: NOW_S - 10 },
    "with a fraction in exp": { exp: NOW_S + 49.5 },
    "with exp as text": { exp: String(NOW_S + 50) },
    "without exp": { exp: undefined },
    "without nbf": { nbf: undefined },
    "without iat": { iat: null },
    "with a far exp": { exp: 1e300 },
    "without subject": { sub: undefined },
    "with an empty subject": { sub: "" },
    "without id": { jti: undefined },
    "of an unknown kind": { kind: "admin" },
    "without route": { route: 1 },
    "with negative hops": { hops: -1 },
    "without facts": { facts: null },
    "with a number for the company": { company: 42 },
    "with a zone that is no text": { zone: ["us01"] },
    "with a host that is no text": { host: ["api.procore.com"] },
    "with an empty host": { host: "" },
    "with companies that are one text": { companies: "1" },
    "with a company that is a number among its companies": { companies: ["1", 2] },
    "with an empty session": { sid: "" },
    "with a time of authentication as text": { auth_time: String(NOW_S) },
    "with a fraction of a level": { level: 1.5 },
    "with an actor that is no object": { act: "script:router" },
  }
  for (const [name, change] of Object.entries(wrongClaims))
    it(`a passport ${name}`, async ({ expect }) => {
      expect(await refusalOf(check(await sign(header, { ...claims, ...change })))).toBe("platform.passport-required")
    })

  for (const payload of [null, 1, "text", [claims], true])
    it(`a payload that is ${JSON.stringify(payload)?.slice(0, 10)}`, async ({ expect }) => {
      expect(await refusalOf(check(await sign(header, payload)))).toBe("platform.passport-required")
    })

  const wrongHeaders: Record<string, unknown> = {
    "alg none": { ...header, alg: "none" },
    "alg None": { ...header, alg: "None" },
    "alg HS256": { ...header, alg: "HS256" },
    "alg ES384": { ...header, alg: "ES384" },
    "no alg": { typ: header.typ, kid: header.kid },
    "typ JWT": { ...header, typ: "JWT" },
    "typ in another spelling": { ...header, typ: "application/passport+jwt" },
    "no typ": { alg: header.alg, kid: header.kid },
    "no kid": { alg: header.alg, typ: header.typ },
    "an unknown kid": { ...header, kid: "k9" },
    "the kid of another key": { ...header, kid: "k2" },
    "a kid that is no text": { ...header, kid: 1 },
    "a kid named like a property of every object": { ...header, kid: "__proto__" },
    crit: { ...header, crit: ["exp"] },
    jku: { ...header, jku: "https://evil.example/jwks" },
    jwk: { ...header, jwk: current.jwk },
    x5u: { ...header, x5u: "https://evil.example/x" },
    b64: { ...header, b64: false },
    "no object": "header",
  }
  for (const [name, wrong] of Object.entries(wrongHeaders))
    it(`a header with ${name}`, async ({ expect }) => {
      expect(await refusalOf(check(await sign(wrong, claims)))).toBe("platform.passport-required")
    })

  it("a missing passport", async ({ expect }) => {
    expect(await refusalOf(check(null))).toBe("platform.passport-required")
  })

  it("every spelling but the canonical one", async ({ expect }) => {
    const token = await sign(header, claims)
    const [head = "", body = "", signature = ""] = token.split(".")
    const spellings = [
      "",
      " ",
      `${token}=`,
      `${token}.`,
      `.${token}`,
      ` ${token} x`,
      `Bearer ${token}`,
      `${token}, ${token}`,
      `${head}.${body}`,
      `${head}.${body}.`,
      `${head}..${signature}`,
      `${head}=.${body}.${signature}`,
      `${head}.${body}.${signature.slice(0, -1)}${signature.endsWith("A") ? "B" : "A"}`,
      `${head}.${body}.${nextInAlphabet(signature)}`,
      `${token}${"A".repeat(9000)}`,
    ]
    for (const each of spellings) expect(await refusalOf(check(each))).toBe("platform.passport-required")
  })

  it("every signature that is not exactly r and s over exactly this text", async ({ expect }) => {
    const token = await sign(header, claims)
    const [head = "", body = ""] = token.split(".")
    const genuine = bytes(token.split(".")[2] ?? "")
    const bad = [
      new Uint8Array(64),
      new Uint8Array(64).fill(255),
      genuine.slice(0, 63),
      new Uint8Array([...genuine, 0]),
      new Uint8Array([...genuine.slice(32), ...genuine.slice(0, 32)]),
      genuine.map((byte, index) => (index === 0 ? byte ^ 1 : byte)),
      genuine.map((byte, index) => (index === 63 ? byte ^ 1 : byte)),
      derOf(genuine),
    ]
    for (const each of bad)
      expect(await refusalOf(check(`${head}.${body}.${base64url(each)}`))).toBe("platform.passport-required")
    const forged = base64url(JSON.stringify({ ...claims, sub: "bob" }))
    expect(await refusalOf(check(`${head}.${forged}.${base64url(genuine)}`))).toBe("platform.passport-required")
  })

  it("a MAC made with the public key as secret", async ({ expect }) => {
    const secret = new TextEncoder().encode(JSON.stringify(current.jwk))
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
    const text = `${base64url(JSON.stringify({ ...header, alg: "HS256" }))}.${base64url(JSON.stringify(claims))}`
    const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text))
    expect(await refusalOf(check(`${text}.${base64url(new Uint8Array(mac))}`))).toBe("platform.passport-required")
  })
})

describe("passportRequirement: remembers", () => {
  it("a verified passport only until it expires", async ({ expect }) => {
    const clock = { nowMs: NOW_S * 1000, now: () => clock.nowMs }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    const token = await sign(header, claims)
    const source = keysOf(current.jwk)
    expect(await requirePassport(carrying(token), source)).toEqual(claims)
    clock.nowMs = (claims.exp + 5) * 1000
    expect(await refusalOf(requirePassport(carrying(token), source))).toBe("platform.passport-required")
  })

  it("a verified passport without asking or verifying again", async ({ expect }) => {
    const requirePassport = passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })
    const token = await sign(header, claims)
    const first = await requirePassport(carrying(token), keysOf(current.jwk))
    expect(await requirePassport(carrying(token), keysOf())).toBe(first)
  })

  it("no more than a bounded number of passports, and still checks the forgotten ones", async ({ expect }) => {
    const requirePassport = passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })
    const source = keysOf(current.jwk)
    const first = await sign(header, claims)
    const remembered = await requirePassport(carrying(first), source)
    for (let each = 0; each < 1001; each++) {
      await requirePassport(carrying(await sign(header, { ...claims, jti: `j-${each}` })), source)
    }
    const again = await requirePassport(carrying(first), source)
    expect(again).toEqual(remembered)
    expect(again).not.toBe(remembered)
  })
})

describe("passportRequirement: keys", () => {
  it("asks again for a kid that it does not know, and finds a key published since", async ({ expect }) => {
    const requirePassport = passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })
    await requirePassport(carrying(await sign(header, claims)), keysOf(current.jwk))
    const next = await sign({ ...header, kid: "k2" }, claims, other)
    expect(await requirePassport(carrying(next), keysOf(current.jwk, other.jwk))).toEqual(claims)
  })

  it("asks at most 20 times a minute for unknown kids", async ({ expect }) => {
    const clock = { nowMs: NOW_S * 1000, now: () => clock.nowMs }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    const source = keysOf(current.jwk)
    await requirePassport(carrying(await sign(header, claims)), source)
    const rubbish = await sign({ ...header, kid: "k9" }, claims)
    for (let each = 0; each < 50; each++) await refusalOf(requirePassport(carrying(rubbish), source))
    expect(source.asked).toBe(21)
    clock.nowMs += 60_000
    await refusalOf(requirePassport(carrying(rubbish), source))
    expect(source.asked).toBe(22)
  })

  it("drops a key that is no longer published within a minute", async ({ expect }) => {
    const clock = { nowMs: NOW_S * 1000, now: () => clock.nowMs }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    await requirePassport(carrying(await sign(header, claims)), keysOf(current.jwk))
    clock.nowMs += 60_000
    const later = { ...claims, iat: NOW_S + 60, nbf: NOW_S + 60, exp: NOW_S + 120 }
    const token = await sign(header, later)
    expect(await refusalOf(requirePassport(carrying(token), keysOf(other.jwk)))).toBe("platform.passport-required")
  })

  it("goes on with the keys it has while the platform does not answer", async ({ expect }) => {
    const clock = { nowMs: NOW_S * 1000, now: () => clock.nowMs }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    await requirePassport(carrying(await sign(header, claims)), keysOf(current.jwk))
    clock.nowMs += 60_000
    const later = { ...claims, iat: NOW_S + 60, nbf: NOW_S + 60, exp: NOW_S + 120 }
    expect(await requirePassport(carrying(await sign(header, later)), failing)).toEqual(later)
  })

  it("refuses as unavailable, not as unauthorised, when no key was ever to be had", async ({ expect }) => {
    const requirePassport = passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })
    expect(await refusalOf(requirePassport(carrying(await sign(header, claims)), failing))).toBe("platform.unavailable")
  })

  it("trusts no key that is private, ambiguous, nameless or of another kind", async ({ expect }) => {
    const { jwk } = current
    const sets = [
      [{ ...jwk, d: "AAAA" }],
      [jwk, { ...other.jwk, kid: "k1" }],
      [{ ...jwk, kid: undefined }],
      [{ ...jwk, kty: "oct", k: "AAAA" }],
      [{ ...jwk, crv: "P-384" }],
      [{ ...jwk, alg: "HS256" }],
      [{ ...jwk, use: "enc" }],
      [],
    ]
    for (const keys of sets) {
      const requirePassport = passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })
      const check = requirePassport(carrying(await sign(header, claims)), keysOf(...(keys as JsonWebKey[])))
      expect(await refusalOf(check)).toBe("platform.passport-required")
    }
  })
})

describe("passportRequirement: the wait for keys", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }))
  afterEach(() => void vi.useRealTimers())

  /** Time that passes where a test says so, a platform that answers when it is told to, and tokens that nobody has seen yet. */
  function make() {
    const clock = { ms: NOW_S * 1000, now: () => clock.ms }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    const platform = {
      asked: 0,
      answer: async (): Promise<{ readonly keys: readonly JsonWebKey[] }> => ({ keys: [current.jwk] }),
      keys: () => {
        platform.asked++
        return platform.answer()
      },
    }
    const behind: Promise<unknown>[] = []
    const waitUntil = (work: Promise<unknown>) => void behind.push(work)
    /** `under`: the kid and the key of the passport. */
    const freshToken = (under = "k1") => {
      const iat = Math.floor(clock.ms / 1000)
      const times = { iat, nbf: iat, exp: iat + 60, jti: crypto.randomUUID() }
      return sign({ ...header, kid: under }, { ...claims, ...times }, under === "k2" ? other : current)
    }
    /** When it returns, whatever the check waits for is waited for. */
    const present = (token: string, inBackground: typeof waitUntil | null = waitUntil) =>
      refusalOf(requirePassport(carrying(token), platform, inBackground ?? undefined))
    const ask = async (under = "k1", inBackground: typeof waitUntil | null = waitUntil) =>
      present(await freshToken(under), inBackground)
    return { ask, freshToken, present, platform, behind, waitUntil, pass: (ms: number) => (clock.ms += ms) }
  }
  const hanging = () => new Promise<never>(() => {})

  it("is none while a key is younger than a minute: one request renews it behind its answer", async ({ expect }) => {
    const { ask, platform, behind, pass } = make()
    await ask("k1", null)
    platform.answer = hanging
    pass(44_999)
    expect(await ask()).toBe("accepted")
    expect([platform.asked, behind.length]).toEqual([1, 0])
    pass(1)
    for (const ms of [0, 1, 14_998]) {
      pass(ms)
      expect(await ask()).toBe("accepted")
    }
    expect([platform.asked, behind.length]).toEqual([2, 1])
  })

  it("is none where a renewal behind a request has answered, whose keys count from when it began", async ({
    expect,
  }) => {
    const { ask, platform, behind, pass } = make()
    await ask()
    pass(45_000)
    platform.answer = async () => ({ keys: [other.jwk] })
    expect(await ask()).toBe("accepted")
    await Promise.all(behind)
    platform.answer = hanging
    pass(44_999)
    expect([await ask("k2"), platform.asked]).toEqual(["accepted", 2])
  })

  it("lets no key live on that a renewal no longer found", async ({ expect }) => {
    const { ask, platform, behind, pass } = make()
    await ask()
    pass(45_000)
    platform.answer = async () => ({ keys: [other.jwk] })
    await ask()
    await Promise.all(behind)
    expect(await ask()).toBe("platform.passport-required")
  })

  it("is no renewal where nothing keeps it alive", async ({ expect }) => {
    const { ask, platform, pass } = make()
    await ask()
    pass(59_999)
    for (let count = 0; count < 3; count++) expect(await ask("k1", null)).toBe("accepted")
    expect(platform.asked).toBe(1)
  })

  it("is two and a half seconds at most for one request a minute while the platform hangs, and then the known keys go on", async ({
    expect,
  }) => {
    for (const inBackground of ["kept alive", null] as const) {
      const { ask, freshToken, present, platform, waitUntil, pass } = make()
      await ask()
      platform.answer = hanging
      pass(60_000)
      let isOver = false
      const kept = inBackground === null ? null : waitUntil
      const first = present(await freshToken(), kept)
      void first.then(() => (isOver = true))
      expect(await ask("k1", kept)).toBe("accepted")
      await vi.advanceTimersByTimeAsync(2_499)
      expect(await ask("k1", kept)).toBe("accepted")
      expect(isOver).toBe(false)
      await vi.advanceTimersByTimeAsync(1)
      expect(await first).toBe("accepted")
      expect(platform.asked).toBe(2)
    }
  })

  it("is five seconds at most where no key is known, and then there is no answer", async ({ expect }) => {
    const { freshToken, present, platform } = make()
    platform.answer = hanging
    let isOver = false
    const first = present(await freshToken(), null)
    void first.then(() => (isOver = true))
    await vi.advanceTimersByTimeAsync(4_999)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(await first).toBe("platform.unavailable")
    expect(vi.getTimerCount()).toBe(0)
  })

  it("is five seconds at most for a key that the known set lacks", async ({ expect }) => {
    const { ask, freshToken, present, platform } = make()
    await ask()
    platform.answer = hanging
    const first = present(await freshToken("k2"), null)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await first).toBe("platform.passport-required")
  })

  it("loses no answer that comes after it", async ({ expect }) => {
    const { ask, freshToken, present, platform, behind, pass } = make()
    await ask()
    await Promise.all(behind)
    pass(60_000)
    const late = Promise.withResolvers<{ keys: JsonWebKey[] }>()
    platform.answer = () => late.promise
    const first = present(await freshToken())
    await vi.advanceTimersByTimeAsync(2_500)
    expect(await first).toBe("accepted")
    late.resolve({ keys: [other.jwk] })
    await Promise.all(behind)
    expect([await ask("k2"), platform.asked]).toEqual(["accepted", 2])
  })

  it("believes no answer that a later question overtook", async ({ expect }) => {
    const { ask, freshToken, present, platform, behind, pass } = make()
    await ask()
    pass(60_000)
    const late = Promise.withResolvers<{ keys: JsonWebKey[] }>()
    platform.answer = () => late.promise
    const first = present(await freshToken())
    await vi.advanceTimersByTimeAsync(2_500)
    expect(await first).toBe("accepted")
    pass(60_000)
    platform.answer = async () => ({ keys: [other.jwk] })
    expect(await ask("k2")).toBe("accepted")
    late.resolve({ keys: [current.jwk] })
    await Promise.all(behind)
    expect(await ask()).toBe("platform.passport-required")
    expect(await ask("k2")).toBe("accepted")
  })

  it("keeps a Worker's request alive no longer than its own bound", async ({ expect }) => {
    const { ask, platform, behind, pass } = make()
    await ask("k1", null)
    platform.answer = hanging
    pass(45_000)
    await ask()
    let isOver = false
    const all = Promise.all(behind).then(() => (isOver = true))
    await vi.advanceTimersByTimeAsync(4_999)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await all
    expect(behind).toHaveLength(1)
  })

  it("counts questions for unknown keys by the minute, renewed or not", async ({ expect }) => {
    const { ask, platform, behind, pass } = make()
    await ask()
    for (let count = 0; count < 30; count++) await ask("k9")
    expect(platform.asked).toBe(21)
    pass(45_000)
    await ask()
    await Promise.all(behind)
    for (let count = 0; count < 30; count++) await ask("k9")
    expect(platform.asked).toBe(22)
    pass(15_000)
    for (let count = 0; count < 30; count++) await ask("k9")
    expect(platform.asked).toBe(42)
  })
})

describe("passportRequirement: a key set with unusable keys", () => {
  const { jwk } = current
  const unusable: Record<string, unknown> = {
    "a point that is too short": { ...jwk, kid: "k0", x: "AAAA" },
    "a point that is on no curve": { ...jwk, kid: "k0", y: jwk.x },
    "a point that is no base64url": { ...jwk, kid: "k0", x: "!" },
    "a point that is no text": { ...jwk, kid: "k0", x: 1 },
    null: null,
    text: "k0",
    "no member": {},
  }
  const outcome = async (keys: readonly unknown[], requirePassport = atNow()) =>
    refusalOf(requirePassport(carrying(await sign(header, claims)), keysOf(...(keys as JsonWebKey[]))))
  const atNow = () => passportRequirement({ script: "gateway", clock: { now: () => NOW_S * 1000 } })

  for (const [name, key] of Object.entries(unusable))
    it(`goes by the others beside ${name}`, async ({ expect }) => {
      expect(await outcome([key, jwk])).toBe("accepted")
      expect(await outcome([jwk, key])).toBe("accepted")
    })

  it("trusts no key whose name an unusable one bears too", async ({ expect }) => {
    const twin = { ...jwk, x: "AAAA" }
    expect(await outcome([twin, jwk])).toBe("platform.passport-required")
    expect(await outcome([jwk, twin])).toBe("platform.passport-required")
  })

  it("says nothing where none can be used: unavailable at first, and later what was known goes on", async ({
    expect,
  }) => {
    const clock = { ms: NOW_S * 1000, now: () => clock.ms }
    const requirePassport = passportRequirement({ script: "gateway", clock })
    const bad = [{ ...jwk, x: "AAAA" }]
    expect(await outcome(bad, requirePassport)).toBe("platform.unavailable")
    expect(await outcome([jwk], requirePassport)).toBe("accepted")
    clock.ms += 60_000
    const iat = NOW_S + 60
    const token = await sign(header, { ...claims, iat, nbf: iat, exp: iat + 60 })
    expect(await refusalOf(requirePassport(carrying(token), keysOf(...(bad as JsonWebKey[]))))).toBe("accepted")
  })
})

const failing = { keys: () => Promise.reject(new Error("down")) }

function keysOf(...keys: JsonWebKey[]) {
  const source = {
    asked: 0,
    keys: async () => {
      source.asked++
      return { keys }
    },
  }
  return source
}

function check(token: string | null): Promise<PassportClaims> {
  const requirePassport = passportRequirement({
    script: "gateway",
    issuer: claims.iss,
    clock: { now: () => NOW_S * 1000 },
  })
  return requirePassport(carrying(token), keysOf(current.jwk, other.jwk))
}

function carrying(token: string | null): Request {
  return new Request("https://api.procore.com/", token === null ? {} : { headers: { "x-passport": token } })
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return "accepted"
  } catch (thrown) {
    return thrown instanceof Refusal ? thrown.code : String(thrown)
  }
}

async function makeKey(kid: string): Promise<{ privateKey: CryptoKey; jwk: JsonWebKey }> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"])
  if (!("privateKey" in pair)) throw new Error("not a pair")
  const { kty, crv, x, y } = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey
  return { privateKey: pair.privateKey, jwk: { kty, crv, x, y, kid, alg: "ES256", use: "sig" } as JsonWebKey }
}

describe("requirePassport", () => {
  const keys = async () => ({ keys: [current.jwk] })
  const ask = async (token: string | null) => {
    const app = worker<{ PLATFORM: { keys: typeof keys } }, PassportVariables>()
    app.use(requirePassport({ script: "gateway", clock: { now: () => NOW_S * 1000 } }))
    app.get("/", (c) => c.json(c.var.passport))
    const headers = token === null ? {} : { "x-passport": token }
    return app.request("https://api.example.com/", { headers }, { PLATFORM: { keys } })
  }

  it("sets what the passport says", async ({ expect }) => {
    expect(await (await ask(await sign(header, claims))).json()).toEqual(claims)
  })

  it("renews keys behind the answer where the runtime says how", async ({ expect }) => {
    const clock = { ms: NOW_S * 1000, now: () => clock.ms }
    let asked = 0
    const PLATFORM = {
      keys: async () => {
        asked++
        return asked === 1 ? { keys: [current.jwk] } : new Promise<never>(() => {})
      },
    }
    const app = worker<{ PLATFORM: typeof PLATFORM }, PassportVariables>()
    app.use(requirePassport({ script: "gateway", clock }))
    app.get("/", (c) => c.text(c.var.passport.jti))
    const behind: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void behind.push(work) } as unknown as ExecutionContext
    const request = async () => {
      const token = await sign(header, { ...claims, jti: crypto.randomUUID() })
      return app.fetch(carrying(token), { PLATFORM }, context)
    }
    expect((await request()).status).toBe(200)
    await Promise.all(behind.splice(0))
    clock.ms += 45_000
    expect((await request()).status).toBe(200)
    expect([asked, behind.length]).toEqual([2, 1])
  })

  it("lets nothing behind it run without one, or with one for another script", async ({ expect }) => {
    for (const token of [null, "", await sign(header, { ...claims, aud: scriptAudience("gateway2") })]) {
      const response = await ask(token)
      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({ code: "platform.passport-required" })
    }
  })
})

async function sign(head: unknown, payload: unknown, key = current): Promise<string> {
  const text = `${base64url(JSON.stringify(head))}.${base64url(JSON.stringify(payload))}`
  const algorithm = { name: "ECDSA", hash: "SHA-256" }
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, new TextEncoder().encode(text))
  return `${text}.${base64url(new Uint8Array(signature))}`
}

function base64url(data: string | Uint8Array): string {
  const text = typeof data === "string" ? data : String.fromCharCode(...data)
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

function bytes(part: string): Uint8Array {
  return Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
}

/** A last character whose unused bits differ: the same bytes for a tolerant decoder. */
function nextInAlphabet(part: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  const last = alphabet.indexOf(part.slice(-1))
  return part.slice(0, -1) + alphabet[last + 1]
}

/** The same signature as ASN.1, which some libraries make and some accept. */
function derOf(signature: Uint8Array): Uint8Array {
  const integer = (part: Uint8Array) => [2, 33, 0, ...part]
  return new Uint8Array([48, 70, ...integer(signature.slice(0, 32)), ...integer(signature.slice(32))])
}
