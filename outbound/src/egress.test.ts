import { describe, it } from "vitest"
import { PASSPORT_TYP, TXN_TOKEN_TYP } from "../../contracts/passport.ts"
import type { ExchangedPassport } from "../../contracts/platform.ts"
import type { EgressRecord } from "../../contracts/trip.ts"
import { type EgressPolicy, handleEgress } from "./egress.ts"
import { ExchangedPassports } from "./exchanged-passports.ts"

const policy: EgressPolicy = {
  team: "edge-routing",
  script: "gateway",
  version: 3,
  allow: ["https://api.example.com", "http://127.0.0.1:9000"],
  audiences: {
    "cell:us01": ["https://us01.example.com"],
    "cell:uk01": ["https://uk01.example.com:8443"],
    "docs:old": ["https://docs.example.com", "https://api.example.com"],
    "docs:new": ["https://docs.example.com"],
  },
}

const OWN = passport("script:gateway")

describe("handleEgress: destinations", () => {
  for (const url of ["https://api.example.com/a?b=c", "https://API.example.com:443/", "http://127.0.0.1:9000/"]) {
    it(`lets ${url} pass, its origin being listed`, async ({ expect }) => {
      const { response, sent, records } = await call(new Request(url))
      expect(response.status).toBe(200)
      expect(sent).toHaveLength(1)
      expect(records).toHaveLength(1)
    })
  }

  const refused = [
    "https://other.example.com/",
    "http://api.example.com/",
    "https://api.example.com:8443/",
    "https://api.example.com./",
    "https://api.example.com.evil.example/",
    "https://evil.example/https://api.example.com",
    "https://us01.example.com/",
    "https://api.example.com@evil.example/",
    "http://127.0.0.1/",
    "http://127.0.0.1:9001/",
    "http://127.1:9001/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0/",
    "http://localhost:9000/",
    "http://[::1]:9000/",
    "http://[::ffff:127.0.0.1]:9000/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://sallyport-dispatcher/",
    "https://api.procore.com/",
  ]
  for (const url of refused) {
    it(`refuses ${url}`, async ({ expect }) => {
      const { response, sent, records } = await call(new Request(url))
      expect(await codeOf(response)).toBe("egress.destination-refused")
      expect(response.status).toBe(403)
      expect(sent).toHaveLength(0)
      expect(records).toHaveLength(1)
    })
  }

  it("accepts another spelling of a listed address only because it is the same origin", async ({ expect }) => {
    const { sent } = await call(new Request("http://0x7f.1:9000/"))
    expect(new URL(sent[0]?.url ?? "").origin).toBe("http://127.0.0.1:9000")
  })

  for (const url of [
    "https://alice:secret@api.example.com/",
    "https://alice@api.example.com/",
    "https://:secret@api.example.com/",
    "ftp://api.example.com/",
  ])
    it(`refuses ${url}, even if its origin is listed: not plain http(s)`, async ({ expect }) => {
      const listed = { ...policy, allow: [...policy.allow, "ftp://api.example.com"] }
      const { response, sent } = await call(requestWithUrl(url), listed)
      expect(await codeOf(response)).toBe("egress.destination-refused")
      expect(sent).toHaveLength(0)
    })

  it("refuses everything when no policy came", async ({ expect }) => {
    const { response, sent, records } = await call(new Request("https://api.example.com/"), null)
    expect(await codeOf(response)).toBe("egress.policy-missing")
    expect(response.status).toBe(503)
    expect(sent).toHaveLength(0)
    expect(records[0]).toMatchObject({ team: "unknown", problem: "egress.policy-missing" })
  })

  it("refuses everything when the policy is not as it must be", async ({ expect }) => {
    const { response, sent, records } = await call(new Request("https://api.example.com/"), {} as EgressPolicy)
    expect(response.status).toBe(500)
    expect(sent).toHaveLength(0)
    expect(records).toHaveLength(1)
  })
})

describe("handleEgress: passports", () => {
  it("puts the destination's passport in place of the script's own, at an origin that needs no place on the allow-list", async ({
    expect,
  }) => {
    const { response, sent, exchanges } = await call(carrying({ "x-passport": OWN }, "https://us01.example.com/a"))
    expect(response.status).toBe(200)
    expect([...(sent[0]?.headers ?? [])]).toEqual([["x-passport", "for cell:us01"]])
    expect(exchanges).toEqual([[OWN, "cell:us01", { script: "gateway", team: "edge-routing", version: 3 }, 0]])
  })

  it("asks for one under the config revision that the call says, or any where it says none", async ({ expect }) => {
    for (const [said, revision] of [
      ["7", 7],
      ["none", 0],
      ["-1", 0],
    ] as const) {
      const headers = { "x-passport": OWN, "x-sallyport-config": said }
      const { exchanges } = await call(carrying(headers, "https://us01.example.com/"))
      expect(exchanges).toEqual([[OWN, "cell:us01", expect.anything(), revision]])
    }
  })

  it("has each call exchanged that does not say its revision, and not each that does", async ({ expect }) => {
    for (const [said, asked] of [
      [{}, 2],
      [{ "x-sallyport-config": "0" }, 2],
      [{ "x-sallyport-config": "7" }, 1],
    ] as const) {
      const passports = new ExchangedPassports({ now: () => 0 })
      const again = () => carrying({ "x-passport": OWN, ...said }, "https://us01.example.com/")
      const first = await call(again(), policy, undefined, undefined, passports)
      const second = await call(again(), policy, undefined, undefined, passports)
      expect(first.exchanges.length + second.exchanges.length).toBe(asked)
    }
  })

  it("puts it in the header that the exchange names, with nothing beside it that could be taken for one", async ({
    expect,
  }) => {
    const headers = { "x-passport": OWN, "txn-token": "mine", Txn_Token: "mine", "x-kept": "1" }
    const exchange = async () => ({ header: "txn-token", token: "made", expiresS: 60 })
    const { sent } = await call(carrying(headers, "https://us01.example.com/"), policy, undefined, exchange)
    expect([...(sent[0]?.headers ?? [])]).toEqual([
      ["txn-token", "made"],
      ["x-kept", "1"],
    ])
  })

  it("makes no passport for a call without the script's own, and refuses one to an origin that is not listed too", async ({
    expect,
  }) => {
    const listedToo = await call(new Request("https://api.example.com/"))
    expect(listedToo.sent[0]?.headers.has("x-passport")).toBe(false)
    const unlisted = await call(new Request("https://us01.example.com/"))
    expect(await codeOf(unlisted.response)).toBe("egress.destination-refused")
    expect([...listedToo.exchanges, ...unlisted.exchanges]).toEqual([])
  })

  it("takes an origin of several audiences for the one that the call names, and tells nobody that it did", async ({
    expect,
  }) => {
    for (const audience of ["docs:old", "docs:new"]) {
      const headers = { "x-passport": OWN, "x-sallyport-audience": audience }
      const { sent } = await call(carrying(headers, "https://docs.example.com/"))
      expect([...(sent[0]?.headers ?? [])]).toEqual([["x-passport", `for ${audience}`]])
    }
  })

  it("refuses an origin of several audiences when the call names none", async ({ expect }) => {
    const { response, sent, exchanges } = await call(carrying({ "x-passport": OWN }, "https://docs.example.com/"))
    expect(await codeOf(response)).toBe("egress.audience-ambiguous")
    expect([sent, exchanges]).toEqual([[], []])
  })

  for (const audience of ["cell:uk01", "cell:us02", "", "constructor", "cell:us01, cell:us01", "CELL:US01"])
    it(`refuses an origin for an audience named ${JSON.stringify(audience)} that is not its own`, async ({
      expect,
    }) => {
      const headers = { "x-passport": OWN, "x-sallyport-audience": audience }
      const { response, sent, exchanges } = await call(carrying(headers, "https://us01.example.com/"))
      expect(await codeOf(response)).toBe("egress.passport-misdirected")
      expect([sent, exchanges]).toEqual([[], []])
    })

  for (const to of ["https://api.example.com/", "https://us01.example.com/"])
    it(`keeps the config revision of a call to ${to}, which is the gateway's own affair`, async ({ expect }) => {
      const passport = to.includes("us01") ? { "x-passport": OWN } : {}
      const { sent } = await call(carrying({ ...passport, "x-sallyport-config": "7" }, to))
      expect(sent).toHaveLength(1)
      expect(sent[0]?.headers.has("x-sallyport-config")).toBe(false)
    })

  it("lets the name of an audience leave with no call, whatever it is for", async ({ expect }) => {
    const { sent } = await call(carrying({ "x-sallyport-audience": "docs:old" }, "https://api.example.com/"))
    expect([...(sent[0]?.headers ?? [])]).toEqual([])
  })

  const failures: Record<string, () => Promise<ExchangedPassport>> = {
    throws: async () => Promise.reject(new Error("no such Worker")),
    "has a bug": async () => Promise.reject(new Error("internal")),
    "answers nothing": async () => undefined as unknown as ExchangedPassport,
    "answers an empty passport": async () => ({ header: "x-passport", token: "", expiresS: 60 }),
    "never answers": () => new Promise(() => undefined),
  }
  for (const [name, exchange] of Object.entries(failures))
    it(`sends nothing, least of all the own passport, when the exchange ${name}`, async ({ expect }) => {
      const request = carrying({ "x-passport": OWN }, "https://us01.example.com/")
      const { response, sent, records } = await call(request, policy, undefined, exchange)
      expect(await codeOf(response)).toBe("egress.passport-exchange-failed")
      expect(sent).toEqual([])
      expect(records).toMatchObject([{ status: 503, problem: "egress.passport-exchange-failed" }])
    })

  for (const code of ["zone.country-refused", "auth.revoked", "platform.not-granted"])
    it(`sends nothing and says ${code} when the exchange refuses so`, async ({ expect }) => {
      const exchange = async () => Promise.reject(new Error(code))
      const request = carrying({ "x-passport": OWN }, "https://us01.example.com/")
      const { response, sent } = await call(request, policy, undefined, exchange)
      expect(response.headers.get("x-sallyport-egress-problem")).toBe(code)
      expect(sent).toEqual([])
    })

  it("takes from an answer what an origin that echoes would give away", async ({ expect }) => {
    const echoing = async () => new Response("echo", { headers: { "x-passport": "made", "txn-token": "made", b: "1" } })
    const { response } = await call(carrying({ "x-passport": OWN }, "https://us01.example.com/"), policy, echoing)
    expect(Object.fromEntries(response.headers)).toEqual({ b: "1", "content-type": "text/plain;charset=UTF-8" })
  })

  const misdirected: Record<string, Request> = {
    "to an origin that is merely on the allow-list": carrying({ "x-passport": OWN }, "http://127.0.0.1:9000/"),
    "to an origin of no audience": carrying({ "x-passport": OWN }, "https://us02.example.com/"),
    "to another port of an audience's origin": carrying({ "x-passport": OWN }, "https://us01.example.com:8443/"),
    "to an audience's origin by another scheme": carrying({ "x-passport": OWN }, "http://us01.example.com/"),
    "of another script": carrying({ "x-passport": passport("script:gateway2") }, "https://us01.example.com/"),
    "of the destination itself": carrying({ "x-passport": passport("cell:us01") }, "https://us01.example.com/"),
    "of an audience named like a property of every object": carrying(
      { "x-passport": passport("constructor") },
      "https://us01.example.com/",
    ),
    "with a list of audiences": carrying({ "x-passport": passport(["script:gateway"]) }, "https://us01.example.com/"),
    "without audience": carrying({ "x-passport": passport(undefined) }, "https://us01.example.com/"),
    "without expiry": carrying({ "x-passport": passport("script:gateway", null) }, "https://us01.example.com/"),
    "that is not a token": carrying({ "x-passport": "rubbish" }, "https://us01.example.com/"),
    "that is empty": carrying({ "x-passport": "" }, "https://api.example.com/"),
    "that is too long": carrying({ "x-passport": `${OWN}${"A".repeat(8200)}` }, "https://us01.example.com/"),
    "twice in one header": carrying({ "x-passport": `${OWN}, ${OWN}` }, "https://us01.example.com/"),
    "as x_passport, whatever it looks like": carrying({ x_passport: "mine" }, "https://api.example.com/"),
    "as x_passport": carrying({ x_passport: OWN }, "https://us01.example.com/"),
    "as X_Passport beside a good one": carrying({ "x-passport": OWN, X_Passport: OWN }, "https://us01.example.com/"),
    "as bearer token": carrying({ authorization: `Bearer ${OWN}` }, "https://api.example.com/"),
    "as bearer token, even to an audience": carrying({ authorization: `Bearer ${OWN}` }, "https://us01.example.com/"),
    "in a cookie": carrying({ cookie: `a=1; p=${OWN}` }, "https://api.example.com/"),
    "in the query": carrying({}, `https://api.example.com/?p=${OWN}`),
    "in the path": carrying({}, `https://api.example.com/${OWN}/x`),
    "that is a Transaction Token": carrying({ "txn-token": txnToken() }, "https://api.example.com/"),
    "that is a Transaction Token beside a good one": carrying(
      { "x-passport": OWN, "txn-token": txnToken() },
      "https://us01.example.com/",
    ),
  }
  for (const [name, request] of Object.entries(misdirected)) {
    it(`refuses a passport ${name}`, async ({ expect }) => {
      const { response, sent, exchanges, records } = await call(request)
      expect(await codeOf(response)).toBe("egress.passport-misdirected")
      expect([sent, exchanges]).toEqual([[], []])
      expect(records).toHaveLength(1)
      expect(JSON.stringify(records)).not.toContain(OWN.split(".")[1])
    })
  }

  for (const header of [PASSPORT_TYP, TXN_TOKEN_TYP].flatMap((typ) => [
    `{"typ":"${typ}","alg":"ES256"}`,
    `{ "typ":"${typ}"}`,
    `{  "typ":"${typ}"}`,
  ])) {
    it(`finds a copied passport at every alignment: ${header}`, async ({ expect }) => {
      const token = `${base64url(header)}.e30.AAAA`
      const { response } = await call(carrying({ "x-note": `seen ${token}` }, "https://api.example.com/"))
      expect(await codeOf(response)).toBe("egress.passport-misdirected")
    })
  }

  it("lets other bearer tokens pass to a listed origin", async ({ expect }) => {
    const token = `${base64url('{"alg":"ES256","typ":"JWT"}')}.e30.AAAA`
    const { sent } = await call(carrying({ authorization: `Bearer ${token}` }, "https://api.example.com/"))
    expect(sent[0]?.headers.get("authorization")).toBe(`Bearer ${token}`)
  })
})

describe("handleEgress: what is passed on", () => {
  it("drops hop-by-hop headers and Host, keeps the rest, adds nothing", async ({ expect }) => {
    const request = carrying(
      {
        connection: "x-mine, x-passport",
        "x-mine": "1",
        te: "trailers",
        "keep-alive": "9",
        host: "evil.example",
        "x-kept": "2",
      },
      "https://api.example.com/",
    )
    const { sent } = await call(request)
    expect([...(sent[0]?.headers ?? [])]).toEqual([["x-kept", "2"]])
  })

  it("never follows a redirect itself, and hands out the Location as it came", async ({ expect }) => {
    const moved = new Response(null, { status: 302, headers: { location: "http://169.254.169.254/" } })
    const { response, sent } = await call(new Request("https://api.example.com/"), policy, async () => moved)
    expect(sent[0]?.redirect).toBe("manual")
    expect(response).toBe(moved)
  })

  it("drops the cf options of the team's fetch, which would act with the platform's standing", async ({ expect }) => {
    const request = new Request("https://api.example.com/", {
      cf: { resolveOverride: "evil.example", cacheEverything: true },
    })
    const { sent } = await call(request)
    expect(sent[0]?.cf).toBeUndefined()
  })

  it("gives a call up once the Worker does", async ({ expect }) => {
    const stop = new AbortController()
    const { sent } = await call(new Request("https://api.example.com/", { signal: stop.signal }))
    expect(sent[0]?.signal.aborted).toBe(false)
    stop.abort()
    expect(sent[0]?.signal.aborted).toBe(true)
  })

  it("streams the body through", async ({ expect }) => {
    const request = new Request("https://api.example.com/", { method: "PUT", body: "a long body" })
    const { sent } = await call(request)
    expect(sent[0]?.method).toBe("PUT")
    expect(await sent[0]?.text()).toBe("a long body")
  })

  for (const method of ["GET", "HEAD"])
    it(`carries ${method} on without the body that the runtime gives it for Content-Length: 0`, async ({ expect }) => {
      const request = new Request("https://api.example.com/", {
        method,
        headers: { "content-length": "0", "x-kept": "1" },
      })
      // Only a request from the network can be a GET with a body: none that is made here.
      Object.defineProperty(request, "body", { value: new Response("").body })
      const { response, sent } = await call(request)
      expect(response.status).toBe(200)
      expect(sent[0]).toMatchObject({ method, body: null })
      expect([...(sent[0]?.headers ?? [])]).toEqual([["x-kept", "1"]])
    })

  it("answers 502 for a call that cannot be made anew, whatever is wrong with it", async ({ expect }) => {
    const request = new Request("https://api.example.com/", { method: "PUT", body: "read already" })
    await request.text()
    const { response, sent } = await call(request)
    expect(await codeOf(response)).toBe("egress.destination-failed")
    expect(sent).toHaveLength(0)
  })

  it("hands out the response itself, untouched", async ({ expect }) => {
    const answer = new Response("hello", { headers: { "set-cookie": "a=1" } })
    const { response } = await call(new Request("https://api.example.com/"), policy, async () => answer)
    expect(response).toBe(answer)
  })

  it("marks the answers that are its own, and lets no origin set that mark", async ({ expect }) => {
    const failing = async () => {
      throw new Error("down")
    }
    const ours = await call(new Request("https://api.example.com/"), policy, failing)
    expect(ours.response.headers.get("x-sallyport-egress-problem")).toBe("egress.destination-failed")
    const headers = { "x-sallyport-egress-problem": "egress.destination-failed", "x-kept": "1" }
    const forged = async () => new Response("mine", { status: 502, headers })
    const { response } = await call(new Request("https://api.example.com/"), policy, forged)
    expect(response.headers.has("x-sallyport-egress-problem")).toBe(false)
    expect(response.headers.get("x-kept")).toBe("1")
    expect(response.status).toBe(502)
    expect(await response.text()).toBe("mine")
  })

  it("answers 502 without a byte of the reason when the destination fails", async ({ expect }) => {
    const { response, records } = await call(new Request("https://api.example.com/"), policy, async () => {
      throw new Error("connect ECONNREFUSED 10.9.8.7")
    })
    const text = await response.text()
    expect(response.status).toBe(502)
    expect(text).toContain("egress.destination-failed")
    expect(text).not.toContain("10.9.8.7")
    expect(records).toHaveLength(1)
  })
})

describe("handleEgress: the record", () => {
  it("says who called where, with what result, and never the path or query", async ({ expect }) => {
    const request = carrying({ "x-request-id": "r-1" }, "https://api.example.com/private?token=t")
    const { records } = await call(request)
    expect(records).toEqual([
      {
        event: "egress",
        team: "edge-routing",
        script: "gateway",
        version: 3,
        method: "GET",
        origin: "https://api.example.com",
        status: 200,
        problem: null,
        ms: 5,
        requestId: "r-1",
      },
    ])
  })

  it("names the request that the call belongs to in record and refusal, whatever the Worker says or does not say of it", async ({
    expect,
  }) => {
    for (const said of [{}, { "x-request-id": "made up" }] as const) {
      const call = carrying(said, "https://other.example.com/")
      const { response, records } = await callOf({ egress: policy, requestId: "r-1" }, call)
      expect(await response.json()).toMatchObject({ code: "egress.destination-refused", requestId: "r-1" })
      expect(records[0]?.requestId).toBe("r-1")
    }
  })

  it("keeps what the Worker passed on where the dispatcher named no request, at most 128 characters of it", async ({
    expect,
  }) => {
    const long = await call(carrying({ "x-request-id": "r".repeat(500) }, "https://other.example.com/"))
    expect(long.records[0]?.requestId).toBe("r".repeat(128))
    expect(await long.response.json()).toMatchObject({ requestId: "r".repeat(128) })
    const none = await call(new Request("https://other.example.com/"))
    expect(none.records[0]?.requestId).toBeNull()
    expect(await none.response.json()).toMatchObject({ requestId: "unknown" })
  })
})

function call(request: Request, given: EgressPolicy | null = policy, ...more: Rest) {
  return callOf({ egress: given ?? undefined }, request, ...more)
}

type Rest = [
  answer?: (request: Request) => Promise<Response>,
  exchange?: () => Promise<ExchangedPassport>,
  passports?: ExchangedPassports,
]

async function callOf(
  given: Parameters<typeof handleEgress>[1],
  request: Request,
  ...[answer = async () => new Response("ok"), exchange, passports = new ExchangedPassports({ now: () => 0 }, 20)]: Rest
): Promise<{ response: Response; sent: Request[]; exchanges: unknown[]; records: EgressRecord[] }> {
  const sent: Request[] = []
  const exchanges: unknown[] = []
  const records: EgressRecord[] = []
  let now = 1000
  const response = await handleEgress(request, given, {
    fetch: (outgoing) => {
      sent.push(outgoing)
      return answer(outgoing)
    },
    exchange: (...asked) => {
      exchanges.push(asked)
      return exchange?.() ?? Promise.resolve({ header: "x-passport", token: `for ${asked[1]}`, expiresS: 60 })
    },
    passports,
    clock: {
      now: () => {
        now += 5
        return now
      },
    },
    log: (record) => records.push(record),
  })
  return { response, sent, exchanges, records }
}

function carrying(headers: Record<string, string>, url: string): Request {
  return new Request(url, { headers })
}

/** The runtime's Request may normalise such URLs; the judge must not depend on that. */
function requestWithUrl(url: string): Request {
  const request = new Request("https://api.example.com/")
  Object.defineProperty(request, "url", { value: url })
  return request
}

function passport(aud: unknown, exp: number | null = 60): string {
  const claims = JSON.stringify({ aud, exp })
  return `${base64url(`{"alg":"ES256","kid":"k1","typ":"${PASSPORT_TYP}"}`)}.${base64url(claims)}.AAAA`
}

function txnToken(): string {
  return `${base64url(`{"alg":"ES256","kid":"k1","typ":"${TXN_TOKEN_TYP}"}`)}.e30.AAAA`
}

function base64url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code: unknown }).code
}
