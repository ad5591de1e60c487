import { describe, expect, it } from "vitest"
import { keyRingShape } from "../contracts/api.ts"
import {
  revocationShape,
  revocationsCreated,
  type Status,
  serviceAccountKeyCreated,
  serviceAccountShape,
  statusShape,
} from "../contracts/api-identity.ts"
import { policySections } from "../contracts/dispatch-config.ts"
import { handleOf } from "../contracts/session.ts"
import { AT, useBench } from "./testing/command-line.ts"
import { page, problem, thing } from "./testing/control-plane-double.ts"

const bench = useBench()
const handle = "h".repeat(43)
const done = () => bench.api.on("POST /v1/revocations", thing(revocationsCreated, { seq: 7, count: 1, boundMs: 5000 }))
const create = (...line: string[]) => bench.run(["revocations", "create", ...line])

describe("revocations create", () => {
  const targets: Record<string, [line: string[], target: object, said: string]> = {
    "a session": [["session", handle], { kind: "session", session: handle }, `session ${handle}`],
    "a subject": [
      ["subject", "corp", "al ice"],
      { kind: "subject", idp: "corp", subject: "al ice" },
      "subject corp al ice",
    ],
    "a company": [["company", "100"], { kind: "company", company: "100" }, "company 100"],
    "a key": [["key", "corp", "2026-11"], { kind: "key", idp: "corp", kid: "2026-11" }, "key corp 2026-11"],
    everything: [["everything", "--yes"], { kind: "everything" }, "everything"],
  }
  for (const [what, [line, target, said]] of Object.entries(targets))
    it(`revokes ${what}, and says within which time it is in force`, async () => {
      done()
      const { code, out } = await create(...line, "-m", "incident 42")
      expect([code, out]).toEqual([0, `Revoked ${said} (entry 7); the edge refuses it within 5 s\n`])
      expect(bench.api.received[0]).toMatchObject({
        line: "POST /v1/revocations",
        body: [{ target, reason: "incident 42" }],
        headers: { "idempotency-key": expect.any(String) },
      })
    })

  it("revokes a leaked cookie from standard input, of which nothing is sent", async () => {
    done()
    const id = "i".repeat(43)
    const stdin = `__Host-sallyport-session=${id}.cGF5bG9hZA.${"m".repeat(43)}\n`
    await bench.run(["revocations", "create", "session", "-", "-m", "leaked"], { stdin })
    expect(bench.api.received[0]?.body).toMatchObject([{ target: { session: await handleOf(id) } }])
    expect(JSON.stringify(bench.api.received)).not.toContain(id)
  })

  it("takes a time with its zone, and no other", async () => {
    done()
    await create("company", "100", "--before", "2026-11-20T12:00:00+02:00", "-m", "x")
    expect(bench.api.received[0]?.body).toMatchObject([{ beforeMs: Date.parse(AT) }])
    for (const wrong of ["2026-11-20", "2026-11-20T10:00", "1795000000", "yesterday"])
      expect((await create("company", "100", "--before", wrong, "-m", "x")).err).toContain("with its zone")
    expect(bench.api.received).toHaveLength(1)
  })

  it("refuses to revoke the passport key that signs or will, but not without being told, nor one that only verifies", async () => {
    done()
    const key = (kid: string, state: "current" | "next" | "retiring") => ({
      kid,
      state,
      signsFrom: AT,
      verifiesUntil: null,
    })
    const keys = [key("old", "retiring"), key("now", "current"), key("then", "next")]
    bench.api.on("GET /v1/keys", thing(keyRingShape, { keys, configured: true, rotatesAt: null }))
    bench.api.on("GET /.sallyport/version", {
      status: 200,
      headers: {},
      body: { passportKeys: { signing: "secret's", unopened: [] } },
    })
    for (const kid of ["now", "then", "secret's"]) {
      const { code, err } = await create("key", "passports", kid, "-m", "x")
      expect([code, err]).toEqual([1, expect.stringContaining(`${kid} is the key that signs`)])
    }
    expect(bench.api.received.some(({ line }) => line.startsWith("POST"))).toBe(false)
    expect((await create("key", "passports", "old", "-m", "x")).code).toBe(0)
    expect((await create("key", "passports", "now", "--yes", "-m", "x")).code).toBe(0)
  })

  it("refuses a day that its month does not have, and takes the last one that it has", async () => {
    done()
    for (const wrong of ["2026-02-31T10:00Z", "2026-02-29T10:00:00+01:00", "2026-13-01T10:00Z"])
      expect((await create("company", "100", "--before", wrong, "-m", "x")).code).toBe(1)
    expect(bench.api.received).toEqual([])
    for (const right of ["2026-02-28T23:59Z", "2028-02-29T00:30:00+01:00", "2026-11-20T24:00Z"])
      expect((await create("company", "100", "--before", right, "-m", "x")).code).toBe(0)
    expect(bench.api.received.map(({ body }) => body)).toMatchObject(
      ["2026-02-28T23:59Z", "2028-02-28T23:30Z", "2026-11-21T00:00Z"].map((time) => [{ beforeMs: Date.parse(time) }]),
    )
  })

  it("says that a passport key may be none when neither ring nor edge knows it, and is quiet when one does", async () => {
    done()
    const retiring = { kid: "old", state: "retiring" as const, signsFrom: AT, verifiesUntil: AT }
    bench.api.on("GET /v1/keys", thing(keyRingShape, { keys: [retiring], configured: true, rotatesAt: null }))
    const revoke = async (kid: string) => (await create("key", "passports", kid, "--yes", "-m", "x")).err
    expect(await revoke("odl")).toContain("No key of the passports is called odl (there are: old)")
    expect(await revoke("old")).toBe("")
    const body = { passportKeys: { signing: "secret's", unopened: [] } }
    bench.api.on("GET /.sallyport/version", { status: 200, headers: {}, body })
    expect(await revoke("secret's")).toBe("")
    expect(await revoke("odl")).toContain("there are: old, secret's")
  })

  it("says that a service account or the id of a key may be none", async () => {
    done()
    const account = { name: "export", scopes: [], company: null, keys: [] }
    bench.api.on("GET /v1/service-accounts/export", thing(serviceAccountShape, account))
    const said = async (...line: string[]) => (await create(...line, "-m", "x")).err
    for (const target of [
      ["subject", "service-accounts", "exprot"],
      ["key", "service-accounts", "exprot/k-1"],
    ])
      expect(await said(...target)).toContain("No service account is called exprot")
    for (const kid of ["export", "export/", "export/K 1", "export/k-1/x", "/k-1"])
      expect(await said("key", "service-accounts", kid)).toContain("is not <account>/<key>")
    // The runbook takes the key away first, so that there is none of that id any more.
    expect(await said("key", "service-accounts", "export/k-gone")).toBe("")
    expect(await said("subject", "service-accounts", "export")).toBe("")
    bench.api.on("GET /v1/service-accounts/exprot", problem("internal"))
    expect(await said("subject", "service-accounts", "exprot")).toBe("")
  })

  it("says that it may be nobody when no issuer has that name, and is quiet when one has, or when it cannot know", async () => {
    done()
    expect((await create("subject", "crop", "alice", "-m", "x")).err).toBe("")
    const jwks = { keys: [{ kty: "OKP" as const, crv: "Ed25519" as const, kid: "1", x: "x".repeat(43) }] }
    const corp = { issuer: "https://corp.example", audiences: ["edge"], algorithms: ["EdDSA" as const], jwks }
    bench.api.on("GET /v1/policy/issuers", thing(policySections.issuers, { corp }))
    const account = { name: "export", scopes: [], company: null, keys: [] }
    bench.api.on("GET /v1/service-accounts/export", thing(serviceAccountShape, account))
    for (const target of [
      ["subject", "crop", "alice"],
      ["key", "crop", "1"],
      ["subject", "passports", "alice"],
    ])
      expect((await create(...target, "-m", "x")).err).toContain("if that is a slip, nobody was revoked")
    for (const target of [
      ["subject", "corp", "alice"],
      ["subject", "service-accounts", "export"],
      ["key", "service-accounts", "export/k-1"],
      ["key", "passports", "old"],
    ])
      expect((await create(...target, "-m", "x")).err).toBe("")
  })

  it("does nothing in a dry run but say what it would", async () => {
    bench.api.on("POST /v1/revocations", thing(revocationsCreated, { seq: null, count: 1, boundMs: 5000 }))
    expect((await create("everything", "--dry-run", "-m", "drill")).out).toBe("Would revoke everything\n")
    expect((await create("company", "100", "--before", AT, "--dry-run", "-m", "drill")).out).toBe(
      `Would revoke company 100, what was made until ${new Date(AT).toISOString()}\n`,
    )
    expect(bench.api.received[0]?.line).toBe("POST /v1/revocations?dry_run=true")
  })

  const refusals: Record<string, [line: string[], says: string]> = {
    "everything without --yes": [["everything", "-m", "x"], "Add --yes"],
    "no reason": [["company", "100"], "Add -m"],
    "a cookie on the command line": [["session", `${handle}.x.y`, "-m", "x"], "which is a secret"],
    "what is no company": [["company", "acme", "-m", "x"], "/target/company: must be 1–20 decimal digits"],
    "what is no provider": [["subject", "Corp", "alice", "-m", "x"], "/target/idp"],
  }
  for (const [what, [line, says]] of Object.entries(refusals))
    it(`refuses ${what} before anything is sent, and says what to do`, async () => {
      const { code, err } = await create(...line)
      expect(code).toBe(1)
      expect(err).toContain(says)
      expect(bench.api.received).toEqual([])
    })
})

describe("revocations list", () => {
  it("shows what was revoked, until when and why", async () => {
    const target = { kind: "subject" as const, idp: "corp", subject: "alice" }
    const entry = { seq: 3, at: AT, target, before: AT, keptUntil: AT, reason: "lost", actor: "token:t-1" }
    bench.api.on("GET /v1/revocations", page(revocationShape, [entry]))
    const { out } = await bench.run(["revocations", "list"])
    expect(out).toMatch(/^3 {4}\S+ {2}subject {2}corp alice {2}.*token:t-1 {2}lost$/m)
  })

  const company = { kind: "company" as const, company: "100" }
  const entry = { at: AT, target: company, before: AT, keptUntil: AT, reason: "lost", actor: "token:t-1" }

  it("says how to see the newest when they are not among the oldest that it lists", async () => {
    bench.api.on("GET /v1/revocations", page(revocationShape, [{ ...entry, seq: 3 }], "3"))
    const { err } = await bench.run(["revocations", "list", "--limit", "1"])
    expect(err).toBe(
      "More exist, and these are the oldest: --newest shows the newest first, --limit 10 more of them.\n",
    )
  })

  it("lists the newest first when asked to, and says when there may be older ones", async () => {
    const reply = page(
      revocationShape,
      [8, 5].map((seq) => ({ ...entry, seq })),
    )
    bench.api.on("GET /v1/revocations", reply)
    const newest = ["revocations", "list", "--newest", "--json"]
    const whole = await bench.run(newest)
    expect([JSON.parse(whole.out).map(({ seq }: { seq: number }) => seq), whole.err]).toEqual([[8, 5], ""])
    expect((await bench.run([...newest, "--limit", "2"])).err).toBe("Older ones may exist: --limit 20 shows more.\n")
    expect(bench.api.received.map(({ line }) => line)).toEqual([
      "GET /v1/revocations?newest=true&limit=100",
      "GET /v1/revocations?newest=true&limit=2",
    ])
    const many = await bench.run([...newest, "--limit", "1001"])
    expect([many.code, many.err]).toEqual([1, expect.stringContaining("--limit 1000")])
  })
})

const well: Status = {
  at: AT,
  config: { revision: 41, publishedAt: AT, ageS: 7_500, live: true },
  revocations: { head: 20, live: 12, relays: 3, bytes: 240 },
  probe: {
    ...{ configured: true, runs: 1440, failed: 0, p50Ms: 1_000, p99Ms: 2_250, maxMs: 3_000 },
    ...{ lastAt: AT, lastLagMs: 1_100, lastFault: null },
  },
  passportKeys: {
    keys: [{ kid: "a", state: "current", signsFrom: AT, verifiesUntil: null }],
    configured: true,
    rotatesAt: null,
  },
  issuers: [{ id: "corp", goodAt: AT, ageS: 12, fault: null, everyS: 20 }],
  drift: { looked: 9, waiting: 0, oldestAgeS: 840, found: [] },
}

describe("status", () => {
  it("shows the lag and the age of everything in a few lines, and ends well", async () => {
    bench.api.on("GET /v1/status", thing(statusShape, well))
    const { code, out } = await bench.run(["status"])
    expect(code).toBe(0)
    expect(out).toContain("p50 1.0 s, p99 2.3 s, max 3.0 s, last 1.1 s (1440 probes, 0 failed)")
    expect(out).toContain("revision 41, 2 h old")
    expect(out).toContain("12 in force, relays of the last minute: 3")
    expect(out).toContain("9 looked at, the last to have its turn 14 min ago")
    expect(out.trimEnd().split("\n")).toHaveLength(7)
  })

  const probe = (changes: Partial<Status["probe"]>): Status => ({ ...well, probe: { ...well.probe, ...changes } })
  const ring = (changes: Partial<Status["passportKeys"]>): Status => ({
    ...well,
    passportKeys: { ...well.passportKeys, ...changes },
  })
  const attention: Record<string, [status: Status, says: string]> = {
    "a lag beyond the bound": [probe({ p99Ms: 5_001 }), "p99 is beyond 5.0 s"],
    "so many failures that there is no p99": [probe({ p99Ms: null, failed: 20 }), "p99 is beyond"],
    "a last probe that failed": [probe({ lastLagMs: null, lastFault: "not-accepted" }), "the last probe: not-accepted"],
    "a probe that no longer runs": [probe({ lastAt: "2026-11-20T09:56:59.000Z" }), "no probe for minutes"],
    "a probe that cannot run": [probe({ configured: false }), "no SESSION_KEYS"],
    "a feed that does not answer": [{ ...well, revocations: null }, "sensitive routes refuse"],
    "a config that is not in force": [
      { ...well, config: { revision: 42, publishedAt: AT, ageS: 3, live: false } },
      "not in KV yet",
    ],
    "a rotation that is overdue": [
      ring({ rotatesAt: "2026-11-20T09:49:59.000Z" }),
      "no rotation since 2026-11-20T09:49",
    ],
    "a rotation that cannot be, for want of the secret": [
      ring({ rotatesAt: "2026-11-20T09:49:59.000Z", configured: false }),
      "no RING_KEY",
    ],
    "an issuer whose keys cannot be read": [
      { ...well, issuers: [{ id: "corp", goodAt: null, ageS: null, fault: "is not JSON", everyS: 20 }] },
      "its key set is not JSON",
    ],
    "what was changed past the control plane": [
      {
        ...well,
        drift: { ...well.drift, found: [{ about: "namespace", fault: "its Workers are trusted", since: AT }] },
      },
      "its Workers are trusted",
    ],
    "Cloudflare that was not seen for an hour": [
      { ...well, drift: { looked: 0, waiting: 3, oldestAgeS: 3_601, found: [] } },
      "not all was seen",
    ],
    "keys that nobody looks at": [
      { ...well, issuers: [{ id: "corp", goodAt: AT, ageS: 301, fault: null, everyS: 20 }] },
      "not looked at",
    ],
  }
  for (const [what, [value, says]] of Object.entries(attention))
    it(`ends with 2 for ${what}`, async () => {
      bench.api.on("GET /v1/status", thing(statusShape, value))
      const { code, out } = await bench.run(["status"])
      expect(code).toBe(2)
      expect(out).toContain(says)
      expect((await bench.run(["status", "--json"])).code).toBe(2)
    })

  it("takes five seconds for within the bound, a look an hour ago for recent, an issuer looked at five minutes ago for fresh, and a rotation due ten minutes ago for under way", async () => {
    const issuers = [{ id: "corp", goodAt: AT, ageS: 300, fault: null, everyS: 20 }]
    const { passportKeys } = ring({ rotatesAt: "2026-11-20T09:50:00.000Z" })
    const drift = { looked: 9, waiting: 2, oldestAgeS: 3_600, found: [] }
    bench.api.on("GET /v1/status", thing(statusShape, { ...probe({ p99Ms: 5_000 }), issuers, passportKeys, drift }))
    expect((await bench.run(["status"])).code).toBe(0)
  })
})

describe("status of many issuers", () => {
  const corp = { id: "corp", goodAt: AT, ageS: 400, fault: null, everyS: 20 }
  const shown = async (change: Partial<Status["issuers"][number]>) => {
    bench.api.on("GET /v1/status", thing(statusShape, { ...well, issuers: [{ ...corp, ...change }] }))
    return bench.run(["status"])
  }

  it("says how often one is looked at that has to wait for its turn, and takes none for old before two turns are over", async () => {
    expect((await shown({ ageS: 30, everyS: 40 })).out).toContain("looked at every 40 s")
    expect((await shown({ ageS: 30 })).out).not.toContain("looked at every")
    expect((await shown({ everyS: 200 })).code).toBe(0)
    expect((await shown({ everyS: 199 })).code).toBe(2)
  })
})

describe("service-accounts", () => {
  const account = {
    name: "export",
    scopes: ["a"],
    company: "100",
    keys: [{ id: "k-1", expiresAt: "2027-01-01T00:00:00Z" }],
  }

  it("keep what was not named", async () => {
    bench.api.on("GET /v1/service-accounts/export", thing(serviceAccountShape, account, '"v1"'))
    bench.api.on("PUT /v1/service-accounts/export", thing(serviceAccountShape, account))
    await bench.run(["service-accounts", "set", "export", "--scope", "b", "--scope", "c"])
    expect(bench.api.received[1]).toMatchObject({
      headers: { "if-match": '"v1"' },
      body: { scopes: ["b", "c"], company: "100" },
    })
    await bench.run(["service-accounts", "set", "export", "--no-company"])
    expect(bench.api.received[3]?.body).toEqual({ scopes: ["a"], company: null })
  })

  it("print a new key alone on standard output", async () => {
    const key = `spsa_export_${"x".repeat(43)}`
    bench.api.on(
      "POST /v1/service-accounts/export/keys",
      thing(serviceAccountKeyCreated, { id: "k-2", key, expiresAt: "2027-01-01T00:00:00Z" }),
    )
    const { out, err } = await bench.run(["service-accounts", "create-key", "export", "--expires-in-days", "2"])
    expect([out, err]).toEqual([`${key}\n`, "Key k-2 of export; it is not shown again:\n"])
    expect(bench.api.received[0]?.body).toEqual({ expiresInS: 172_800 })
  })

  it("lose a key, and whoever takes it away learns that the edge may accept it for minutes, and how not to", async () => {
    bench.api.on("DELETE /v1/service-accounts/export/keys/k-1", { status: 204, headers: {}, body: undefined })
    const { out, err } = await bench.run(["service-accounts", "delete-key", "export", "k-1"])
    expect(out).toContain("three minutes")
    expect(err).toContain("revocations create key service-accounts export/k-1")
  })

  it("are removed only with --yes, and only as they were read", async () => {
    bench.api.on("GET /v1/service-accounts/export", thing(serviceAccountShape, account, '"v1"'))
    bench.api.on("DELETE /v1/service-accounts/export", { status: 204, headers: {}, body: undefined })
    const asked = await bench.run(["service-accounts", "delete", "export"])
    expect([asked.code, bench.api.received.length]).toEqual([1, 1])
    await bench.run(["service-accounts", "delete", "export", "--yes", "-m", "gone"])
    expect(bench.api.received[2]).toMatchObject({
      line: "DELETE /v1/service-accounts/export?message=gone",
      headers: { "if-match": '"v1"' },
    })
  })
})
