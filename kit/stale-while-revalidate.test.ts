import { env } from "cloudflare:workers"
import { describe, it } from "vitest"
import { COMPANY_HEADER } from "./company-detection.ts"
import {
  type AnswerStore,
  type AskingRequest,
  inKv,
  inNamedCache,
  type StaleWhileRevalidateOptions,
  staleWhileRevalidate,
} from "./stale-while-revalidate.ts"

const URL_OF_REPORT = "https://app.example.com/reports?page=1"
const PUBLIC = { "cache-control": "public" }
/** A real namespace: the one in which the runtime of these tests holds its config. */
const KV = (env as { CONFIG: KVNamespace }).CONFIG
let made = 0

/** A store of its own in the runtime's real cache, time that passes where a test says so, and answers that are numbered. */
function make(options: Partial<StaleWhileRevalidateOptions> = {}, headers: Record<string, string> = PUBLIC) {
  const clock = { ms: 1_000_000, now: () => clock.ms }
  const store = inNamedCache(`test-${made++}`)
  const answers = staleWhileRevalidate({ store, freshS: 10, staleS: 20, keyedBy: "everybody", clock, ...options })
  const behind: { count: number; answer: () => Response | Promise<Response> } = {
    count: 0,
    answer: () => new Response(`answer ${behind.count}`, { headers }),
  }
  const background: Promise<unknown>[] = []
  const settle = async () => {
    while (background.length > 0) await background.shift()
  }
  /** Begins only; the work behind it stays in `background`. */
  const begin = (init: RequestInit = {}, asking: Partial<AskingRequest> & { url?: string } = {}) => {
    const { url = URL_OF_REPORT, ...rest } = asking
    const produce = () => {
      behind.count++
      return behind.answer()
    }
    return answers(new Request(url, init), { ...rest, waitUntil: (work) => background.push(work) }, produce)
  }
  const ask = async (init: RequestInit = {}, asking: Partial<AskingRequest> & { url?: string } = {}) => {
    const response = await begin(init, asking)
    const text = await response.text()
    await settle()
    return { text, status: response.headers.get("cache-status"), age: response.headers.get("age"), response }
  }
  return { ask, begin, settle, behind, store, pass: (seconds: number) => (clock.ms += seconds * 1000) }
}

describe("staleWhileRevalidate: time", () => {
  it("gives out an answer while it is fresh, with its age", async ({ expect }) => {
    const { ask, behind, pass } = make()
    expect(await ask()).toMatchObject({ text: "answer 1", status: "kit; fwd=uri-miss; stored", age: null })
    pass(9.9)
    expect(await ask()).toMatchObject({ text: "answer 1", status: "kit; hit; ttl=0", age: "9" })
    expect(behind.count).toBe(1)
  })

  it("gives out a stale one while one request makes a new one behind the others", async ({ expect }) => {
    const { ask, begin, settle, behind, pass } = make()
    await ask()
    pass(10)
    const release = Promise.withResolvers<void>()
    behind.answer = async () => {
      await release.promise
      return new Response("renewed", { headers: PUBLIC })
    }
    for (let count = 0; count < 3; count++) {
      const response = await begin()
      expect(await response.text()).toBe("answer 1")
      expect(response.headers.get("age")).toBe("10")
      expect(response.headers.get("cache-status")).toBe("kit; hit; ttl=0")
    }
    expect(behind.count).toBe(2)
    release.resolve()
    await settle()
    expect(await ask()).toMatchObject({ text: "renewed", age: "0" })
  })

  it("gives out nothing beyond the window", async ({ expect }) => {
    const { ask, behind, pass } = make()
    await ask()
    pass(30)
    expect(await ask()).toMatchObject({ text: "answer 2" })
    expect(behind.count).toBe(2)
  })

  it("keeps the old answer when its renewal fails, and lets the next request try", async ({ expect }) => {
    const { ask, behind, pass } = make()
    await ask()
    pass(10)
    for (const answer of [
      () => Promise.reject(new Error("down")),
      () => new Response("failed", { status: 503 }),
      () => new Response("slow down", { status: 429 }),
      () => new Response(null, { status: 304 }),
    ]) {
      behind.answer = answer
      expect((await ask()).text).toBe("answer 1")
    }
    expect(behind.count).toBe(5)
  })

  it("lets another renewal begin when one is lost", async ({ expect }) => {
    const { ask, begin, behind, pass } = make({ staleS: 1000 })
    await ask()
    pass(10)
    behind.answer = () => new Promise<Response>(() => {})
    await begin()
    pass(29)
    await begin()
    expect(behind.count).toBe(2)
    pass(1)
    await begin()
    expect(behind.count).toBe(3)
  })

  for (const [name, answer] of Object.entries({
    "may not be kept any more": () => new Response("mine", { headers: { "cache-control": "private" } }),
    "is gone": () => new Response("gone", { status: 404 }),
    "is for the signed-in alone now": () => new Response("no", { status: 401 }),
  }))
    it(`takes away what ${name}`, async ({ expect }) => {
      const { ask, behind, pass } = make()
      await ask()
      pass(10)
      behind.answer = answer
      expect((await ask()).text).toBe("answer 1")
      expect((await ask()).status).toBe("kit; fwd=uri-miss")
    })

  it("keeps an answer no longer than it allows", async ({ expect }) => {
    for (const [control, freshS] of [
      ["public, max-age=4", 4],
      ["public, max-age=60", 10],
      ["public, max-age=60, s-maxage=3", 3],
      ['public, max-age="5"', 5],
    ] as const) {
      const { ask, pass } = make({ staleS: 0 }, { "cache-control": control })
      await ask()
      pass(freshS - 0.1)
      expect((await ask()).text).toBe("answer 1")
      pass(0.1)
      expect((await ask()).text).toBe("answer 2")
    }
  })

  it("never gives out a stale one that must be revalidated", async ({ expect }) => {
    for (const [control, keyedBy, text] of [
      ["public, must-revalidate", "everybody", "answer 2"],
      ["public, Must-Revalidate, max-age=60", "everybody", "answer 2"],
      ["public, proxy-revalidate", "everybody", "answer 2"],
      ["public, s-maxage=60", "everybody", "answer 2"],
      ["public, s-maxage=60, stale-while-revalidate=60", "everybody", "answer 1"],
      ["public, stale-while-revalidate=0", "everybody", "answer 2"],
      ["private, must-revalidate", "subject", "answer 2"],
      ["private, proxy-revalidate", "subject", "answer 1"],
      ["public, x-must-revalidate", "everybody", "answer 1"],
    ] as const) {
      const { ask, pass } = make({ keyedBy }, { "cache-control": control })
      const passport = { kind: "user", sub: "alice" } as const
      await ask({}, { passport })
      pass(9)
      expect((await ask({}, { passport })).text).toBe("answer 1")
      pass(1)
      expect([control, (await ask({}, { passport })).text]).toEqual([control, text])
    }
  })

  it("keeps no header that tells of the request that made an answer", async ({ expect }) => {
    const { ask } = make({}, { ...PUBLIC, "x-request-id": "r-1", traceparent: "00-1", "server-timing": "db;dur=5" })
    await ask()
    const { response } = await ask()
    for (const name of ["x-request-id", "traceparent", "server-timing"]) expect(response.headers.has(name)).toBe(false)
  })

  it("counts the age with which an answer came", async ({ expect }) => {
    const { ask } = make({}, { "cache-control": "public, max-age=60", age: "60" })
    await ask()
    expect((await ask()).text).toBe("answer 2")
  })
})

describe("staleWhileRevalidate: what is never kept", () => {
  const never: Record<string, Record<string, string>> = {
    private: { "cache-control": "private" },
    "private beside public": { "cache-control": "public, private" },
    "a list that is private": { "cache-control": 'public, private="set-cookie"' },
    PRIVATE: { "cache-control": "public, PRIVATE" },
    "no-store": { "cache-control": "public, no-store" },
    "no-cache": { "cache-control": "public, no-cache" },
    "nothing said": {},
    "a lifetime alone": { "cache-control": "max-age=60" },
    "public as a value only": { "cache-control": "max-age=60, foo=public" },
    "a word that holds public": { "cache-control": "x-public, non-public, publicly" },
    "a lifetime of nothing": { "cache-control": "public, max-age=0" },
    "a lifetime that is no number": { "cache-control": "public, max-age=soon" },
    "a negative lifetime": { "cache-control": "public, max-age=-1" },
    "a cookie": { "cache-control": "public", "set-cookie": "a=b" },
    "Vary: *": { "cache-control": "public", vary: "*" },
    "a Vary that the key does not hold": { "cache-control": "public", vary: "accept-language, x-other" },
    "an encoded body": { "cache-control": "public", "content-encoding": "gzip" },
  }
  for (const [name, headers] of Object.entries(never))
    it(`for everybody: ${name}`, async ({ expect }) => {
      const { ask, behind } = make({ vary: ["accept-language"] })
      behind.answer = () => new Response("answer", { headers, encodeBody: "manual" })
      expect((await ask()).status).toBe("kit; fwd=uri-miss")
      await ask()
      expect(behind.count).toBe(2)
    })

  for (const status of [201, 203, 206, 301, 404, 500])
    it(`status ${status}`, async ({ expect }) => {
      const { ask, behind } = make()
      behind.answer = () => new Response("answer", { status, headers: PUBLIC })
      await ask()
      await ask()
      expect(behind.count).toBe(2)
    })

  for (const method of ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
    it(`${method}, nor answered from what GET left`, async ({ expect }) => {
      const { ask, behind } = make()
      await ask()
      expect((await ask({ method })).status).toBe("kit; fwd=bypass")
      await ask({ method })
      expect(behind.count).toBe(3)
    })

  it("a request for a range", async ({ expect }) => {
    const { ask } = make()
    await ask()
    expect((await ask({ headers: { range: "bytes=0-1" } })).status).toBe("kit; fwd=bypass")
  })

  it("a body that is too long, which is passed on whole", async ({ expect }) => {
    const { ask, behind } = make({ maxBytes: 7 })
    behind.answer = () => new Response("7 bytes", { headers: PUBLIC })
    await ask()
    await ask()
    expect(behind.count).toBe(1)
    behind.answer = () => new Response("8 bytes!", { headers: PUBLIC })
    const url = `${URL_OF_REPORT}&long`
    expect((await ask({}, { url })).text).toBe("8 bytes!")
    await ask({}, { url })
    expect(behind.count).toBe(3)
  })

  it("a body that breaks off", async ({ expect }) => {
    const { begin, settle, behind } = make()
    behind.answer = () => {
      const chunks = [new TextEncoder().encode("half of it")]
      const body = new ReadableStream({
        pull(controller) {
          const chunk = chunks.shift()
          if (chunk === undefined) controller.error(new Error("broke off"))
          else controller.enqueue(chunk)
        },
      })
      return new Response(body, { headers: PUBLIC })
    }
    for (let count = 0; count < 2; count++) {
      const response = await begin()
      await expect(response.text()).rejects.toThrow("broke off")
      await settle()
    }
    expect(behind.count).toBe(2)
  })
})

describe("staleWhileRevalidate: keys", () => {
  it("hold the URL with its query, but not its fragment", async ({ expect }) => {
    const { ask, behind } = make()
    await ask()
    await ask({}, { url: `${URL_OF_REPORT}#part` })
    expect(behind.count).toBe(1)
    for (const url of [
      `${URL_OF_REPORT}0`,
      "https://other.example.com/reports?page=1",
      "https://app.example.com/reports",
    ])
      await ask({}, { url })
    expect(behind.count).toBe(4)
  })

  it("hold the headers that are listed, an absent one apart from an empty one", async ({ expect }) => {
    const { ask, behind } = make({ vary: ["Accept-Language"] }, { "cache-control": "public", vary: "accept-language" })
    for (const value of ["en", "de", "", "en, de"]) await ask({ headers: { "accept-language": value } })
    await ask()
    expect(behind.count).toBe(5)
    expect((await ask({ headers: { "accept-language": "de" } })).text).toBe("answer 2")
    expect((await ask()).text).toBe("answer 5")
  })

  it("hold nothing else that a client sends: neither its Vary nor its Cache-Control", async ({ expect }) => {
    const { ask, behind } = make()
    await ask()
    for (const headers of [
      { vary: "x-mine", "x-mine": "1" },
      { "cache-control": "no-cache" },
      { pragma: "no-cache" },
      { "x-forwarded-host": "evil.example" },
    ] as Record<string, string>[])
      expect((await ask({ headers })).text).toBe("answer 1")
    expect(behind.count).toBe(1)
  })

  it("are not made of a value that is endless", async ({ expect }) => {
    const { ask } = make({ vary: ["accept-language"] })
    const headers = { "accept-language": "e".repeat(257) }
    expect((await ask({ headers })).status).toBe("kit; fwd=bypass")
  })

  const alice = { kind: "user", sub: "alice", idp: "idp-1", scope: "read", company: "1", zone: "us01" } as const

  it("hold the subject where answers are its own, with all that its answers are of", async ({ expect }) => {
    const { ask, behind } = make({ keyedBy: "subject" }, { "cache-control": "private, max-age=60" })
    const callers = [
      alice,
      { ...alice, sub: "bob" },
      { ...alice, idp: "idp-2" },
      { ...alice, kind: "service" },
      { ...alice, scope: "read write" },
      { ...alice, company: "10" },
      { ...alice, zone: "uk01" },
      { ...alice, level: 1 },
      { ...alice, level: 3 },
      { kind: "user", sub: "alice" },
    ] as const
    for (const [index, passport] of callers.entries())
      expect((await ask({}, { passport })).text).toBe(`answer ${index + 1}`)
    expect((await ask({}, { passport: { ...alice } })).text).toBe("answer 1")
    expect(behind.count).toBe(callers.length)
  })

  for (const keyedBy of ["everybody", "subject"] as const) {
    const { company: _bound, ...passport } = alice

    it(`hold the company that the header names, an absent one apart from an empty one, keyed by ${keyedBy}`, async ({
      expect,
    }) => {
      const { ask, behind } = make({ keyedBy })
      const of = (company: string) => ask({ headers: { [COMPANY_HEADER]: company } }, { passport })
      for (const [at, company] of ["1", "2", "12", "01", ""].entries())
        expect((await of(company)).text).toBe(`answer ${at + 1}`)
      expect((await ask({}, { passport })).text).toBe("answer 6")
      expect((await of("2")).text).toBe("answer 2")
      expect(behind.count).toBe(6)
    })

    it(`hold the company that path or query name, since they hold the URL, keyed by ${keyedBy}`, async ({ expect }) => {
      const { ask, behind } = make({ keyedBy })
      const urls = ["/companies/1/a", "/companies/2/a", "/a?company_id=1", "/a?company_id=2"]
      for (const each of [...urls, ...urls]) await ask({}, { passport, url: `https://app.example.com${each}` })
      expect(behind.count).toBe(4)
    })

    it(`hold the company that the credential is bound to, keyed by ${keyedBy}`, async ({ expect }) => {
      const { ask, behind } = make({ keyedBy })
      for (const company of ["1", "2", "1"]) await ask({}, { passport: { ...alice, company } })
      expect(behind.count).toBe(2)
    })
  }

  it("are not made of a company that is endless", async ({ expect }) => {
    const headers = { [COMPANY_HEADER]: "1".repeat(257) }
    expect((await make().ask({ headers })).status).toBe("kit; fwd=bypass")
    expect((await make().ask({ headers: { [COMPANY_HEADER]: "1".repeat(256) } })).status).toMatch(/stored$/)
  })

  it("hold no subject where answers are everybody's", async ({ expect }) => {
    const { ask, behind } = make()
    for (const passport of [alice, { ...alice, sub: "bob", level: 3, scope: "write" }]) await ask({}, { passport })
    expect(behind.count).toBe(1)
  })

  it("are no one's own for anonymous callers: only what is public is kept for them", async ({ expect }) => {
    const anonymous = { kind: "anonymous", sub: "anonymous" } as const
    for (const [control, count] of [
      ["private", 2],
      ["max-age=60", 2],
      ["public", 1],
    ] as const) {
      const { ask, behind } = make({ keyedBy: "subject" }, { "cache-control": control })
      await ask({}, { passport: anonymous })
      await ask({}, { passport: anonymous })
      expect(behind.count).toBe(count)
    }
  })

  it("cannot be made without the passport that they need", async ({ expect }) => {
    await expect(make({ keyedBy: "subject" }).begin()).rejects.toThrow(TypeError)
  })

  it("keep no cookie and nothing that must not be stored, even per subject", async ({ expect }) => {
    for (const headers of [{ "set-cookie": "a=b" }, { "cache-control": "no-store" }] as Record<string, string>[]) {
      const { ask, behind } = make({ keyedBy: "subject" }, headers)
      await ask({}, { passport: alice })
      await ask({}, { passport: alice })
      expect(behind.count).toBe(2)
    }
  })
})

describe("staleWhileRevalidate: stores", () => {
  it("keep headers and body as they were", async ({ expect }) => {
    const headers = { ...PUBLIC, "content-type": "application/json", etag: '"1"', "x-long": "x".repeat(2_000) }
    for (const store of [inKv(KV, "reports/"), inNamedCache("as-they-were")]) {
      const { ask, behind } = make({ store })
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      behind.answer = () => new Response(bytes, { headers })
      await ask()
      const { response } = await ask()
      expect(behind.count).toBe(1)
      expect(Object.fromEntries(response.headers)).toMatchObject(headers)
    }
    const { keys } = await KV.list({ prefix: "reports/" })
    expect(keys.map(({ name }) => name)).toEqual([expect.stringMatching(/^reports\/[0-9a-f]{64}$/)])
    // 30 s would do, but KV keeps nothing for less than a minute.
    expect((keys[0]?.expiration ?? 0) - Date.now() / 1000).toBeGreaterThan(50)
  })

  it("are as good as empty when they fail or hold something else", async ({ expect }) => {
    const down = () => Promise.reject(new Error("down"))
    const broken: AnswerStore = { get: down, put: down, delete: down }
    const spoil = async (value: ArrayBuffer | Uint8Array) => {
      const { keys } = await KV.list({ prefix: "spoilt/" })
      for (const { name } of keys) await KV.put(name, value)
    }
    for (const store of [broken, inKv(KV, "spoilt/")]) {
      const { ask, behind } = make({ store })
      expect((await ask()).text).toBe("answer 1")
      await spoil(new TextEncoder().encode("something else"))
      expect((await ask()).text).toBe("answer 2")
      await spoil(new ArrayBuffer(2))
      expect((await ask()).text).toBe("answer 3")
      expect(behind.count).toBe(3)
    }
  })

  for (const wrong of [
    { freshS: 0 },
    { staleS: -1 },
    { vary: ["*"] },
    { vary: ["Cookie"] },
    { vary: ["authorization"] },
  ])
    it(`are of no use with ${JSON.stringify(wrong)}, which throws`, ({ expect }) => {
      expect(() => make(wrong)).toThrow(TypeError)
    })
})
