import { createScheduledController } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeEach, describe, it, vi } from "vitest"
import type { PassportKeyConfig } from "../../../contracts/dispatch-config.ts"
import {
  KEY_GRACE_S,
  KEY_LEAD_S,
  KEY_MAX_AGE_S,
  KEY_RETIRES_S,
  LEAST_LEAD_S,
  PASSPORT_KEY_PURPOSE,
  signingKey,
} from "../../../contracts/passport-keys.ts"
import { sealWith } from "../../../kit/seal.ts"
import { RING_KEY, startControlPlane, type TestControlPlane } from "../../test/harness.ts"
import { healPublication } from "../config/heal-publication.ts"
import type { Env } from "../env.ts"
import worker from "../index.ts"
import { tendKeys } from "./change-ring.ts"
import { keySettingsOf } from "./key-settings.ts"

let platform: TestControlPlane
beforeEach(async () => {
  platform = await startControlPlane()
  await platform.team("web")
})

const rotate = (body: object = {}, headers: Record<string, string> = {}) =>
  platform.send("POST /v1/keys/rotate", { body, headers })
const rollback = (headers: Record<string, string> = {}) =>
  platform.send("POST /v1/keys/rollback", { body: {}, headers })
const pass = (s: number) => platform.pass(s * 1000)
const published = async (): Promise<readonly PassportKeyConfig[] | undefined> =>
  (await platform.published()).passportKeys
async function states(): Promise<Record<string, string>> {
  const { body } = await platform.send("GET /v1/keys")
  return Object.fromEntries(body.keys.map((key: { kid: string; state: string }) => [key.kid, key.state]))
}
const actions = async () => (await platform.deps.store.audit.list({ limit: 100 })).items.map(({ action }) => action)
/** The first rotation, over: its key signs. */
async function firstKey(): Promise<string> {
  const { body } = await rotate()
  pass(KEY_LEAD_S + 1)
  return body.keys[0].kid
}

describe("keys: works", () => {
  it("names no keys in the config before the first rotation, so that older dispatchers can load it", async ({
    expect,
  }) => {
    expect(await published()).toBeUndefined()
    const { body } = await platform.send("GET /v1/keys")
    expect(body).toEqual({ keys: [], configured: true, rotatesAt: null })
  })

  it("publishes a new key at once and lets it sign after the lead; the one before it goes on verifying", async ({
    expect,
  }) => {
    const first = await firstKey()
    const rotated = await rotate({ message: "quarterly" })
    expect(rotated.status).toBe(201)
    const [, { kid: second }] = rotated.body.keys
    expect(await states()).toEqual({ [first]: "current", [second]: "next" })
    const keys = (await published()) ?? []
    expect(keys.map((key) => key.kid)).toEqual([first, second])
    pass(KEY_LEAD_S)
    expect(await states()).toEqual({ [first]: "retiring", [second]: "current" })
    expect(signingKey(keys, platform.deps.clock.now())?.kid).toBe(second)
  })

  it("makes no second key while one waits: asked again, it answers with the rotation under way", async ({ expect }) => {
    await firstKey()
    const once = await rotate()
    const again = await rotate()
    expect([again.status, again.body]).toEqual([200, once.body])
  })

  it("lets the new key sign at once when told so, and ends the others soon after", async ({ expect }) => {
    const first = await firstKey()
    const { body } = await rotate({ immediately: true })
    const second = body.keys[1].kid
    expect(await states()).toEqual({ [first]: "retiring", [second]: "current" })
    pass(KEY_GRACE_S)
    expect(await states()).toEqual({ [first]: "retired", [second]: "current" })
  })

  it("rolls back a rotation: the former key signs again, what the other signed is still accepted", async ({
    expect,
  }) => {
    const first = await firstKey()
    await rotate()
    pass(KEY_LEAD_S + 3600)
    const { status, body } = await rollback()
    expect(status).toBe(201)
    const second = body.keys.find((key: { state: string }) => key.state === "taken-back")
    expect(second.signsFrom).toBeNull()
    expect(await states()).toEqual({ [first]: "current", [second.kid]: "taken-back" })
    expect((await published())?.map((key) => key.kid).sort()).toEqual([first, second.kid].sort())
  })

  it("is done once for one Idempotency-Key, also when it could not be published the first time", async ({ expect }) => {
    await firstKey()
    const key = { "idempotency-key": "emergency-1" }
    const put = vi.spyOn(platform.deps.config, "put").mockRejectedValue(new Error("KV PUT failed: 500"))
    expect((await rotate({ immediately: true }, key)).body.code).toBe("config.not-published")
    put.mockRestore()
    const again = await rotate({ immediately: true }, key)
    expect(again.body.keys).toHaveLength(2)
    expect((await published())?.length).toBe(2)
    expect((await rotate({ immediately: true }, key)).headers.get("idempotency-replayed")).toBe("true")
    pass(60)
    const back = { "idempotency-key": "emergency-2" }
    await rollback(back)
    expect((await rollback(back)).headers.get("idempotency-replayed")).toBe("true")
    expect((await actions()).filter((action) => action.startsWith("keys."))).toEqual([
      "keys.rollback",
      "keys.rotate",
      "keys.rotate",
    ])
  })
})

describe("keys: a repeat", () => {
  it("of a rollback that could not be published the first time takes back no second key", async ({ expect }) => {
    await firstKey()
    const { body } = await rotate()
    pass(KEY_LEAD_S)
    const { body: after } = await rotate()
    const [, { kid: second }, { kid: third }] = after.keys
    expect(body.keys[1].kid).toBe(second)
    const key = { "idempotency-key": "back-1" }
    const put = vi.spyOn(platform.deps.config, "put").mockRejectedValue(new Error("KV PUT failed: 500"))
    expect((await rollback(key)).body.code).toBe("config.not-published")
    put.mockRestore()
    expect((await rollback(key)).status).toBeLessThan(300)
    expect(await states()).toMatchObject({ [second]: "current", [third]: "taken-back" })
  })
})

describe("keys: refuses", () => {
  it("to make a key that it could not keep: without RING_KEY", async ({ expect }) => {
    platform = await startControlPlane((bindings) => ({
      settings: { ...platform.deps.settings, ringKey: null, bootstrapTokenHash: bindings.BOOTSTRAP_TOKEN_HASH ?? null },
    }))
    const { status, body } = await rotate()
    expect([status, body.code]).toEqual([409, "keys.not-configured"])
    expect((await platform.send("GET /v1/keys")).body.configured).toBe(false)
  })

  it("to go back when there is nothing to go back to, or no longer", async ({ expect }) => {
    expect((await rollback()).body.code).toBe("keys.none-before")
    await firstKey()
    expect((await rollback()).body.code).toBe("keys.none-before")
    await rotate()
    pass(KEY_LEAD_S + KEY_RETIRES_S)
    expect((await rollback()).body.code).toBe("keys.none-before")
  })

  it("a ninth key while eight are still accepted", async ({ expect }) => {
    for (let made = 0; made < 8; made++) {
      expect((await rotate({ immediately: true })).status).toBe(201)
      pass(1)
    }
    expect((await rotate({ immediately: true })).body.code).toBe("keys.ring-full")
    pass(KEY_GRACE_S)
    expect((await rotate({ immediately: true })).status).toBe(201)
  })

  it.for([{ immediately: "yes" }, { leadS: 1 }])("the body %j", async (body, { expect }) => {
    expect((await rotate(body)).status).toBe(400)
  })
})

describe("keys: security", () => {
  it("leaves the private part in no answer, audit record, log line or row in clear, though the dispatcher can open it", async ({
    expect,
  }) => {
    await firstKey()
    const answers = [await rotate({ message: "why" }), await rollback(), await rotate({ immediately: true })]
    answers.push(...(await Promise.all(READABLE.map((path) => platform.send(`GET ${path}`)))))
    const { results } = await platform.deps.db.prepare("SELECT * FROM passport_keys").all()
    const { results: kept } = await platform.deps.db.prepare("SELECT * FROM idempotency").all()
    const seen = JSON.stringify([
      answers.map(({ body }) => body),
      results,
      kept,
      platform.logs,
      await platform.published(),
    ])
    const { open } = await sealWith(RING_KEY)
    const keys = (await published()) ?? []
    expect(keys.length).toBeGreaterThan(1)
    for (const { kid, sealed } of keys) {
      const opened = await open(sealed, { purpose: PASSPORT_KEY_PURPOSE, name: kid })
      const d = new TextDecoder().decode(opened ?? new Uint8Array())
      expect(d).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(seen).not.toContain(d)
      expect(JSON.stringify([answers.slice(0, -1).map(({ body }) => body), platform.logs])).not.toContain(sealed)
    }
    expect(seen).not.toContain(RING_KEY)
  })
  /** The last one is the document itself, which holds the seals. */
  const READABLE = [
    "/v1/keys",
    "/v1/audit?limit=1000",
    "/v1/config",
    "/v1/config/revisions",
    "/v1/config/revisions/2/document",
  ]

  it("records each change with kids and times, before it is published", async ({ expect }) => {
    const { body } = await rotate({ message: "because" })
    const [record] = (await platform.deps.store.audit.list({ limit: 1 })).items
    expect(record).toMatchObject({ action: "keys.rotate", target: `passport-keys/${body.keys[0].kid}` })
    expect(Object.keys(record?.detail ?? {}).sort()).toEqual(["change", "immediately", "keys", "message"])
    expect((await platform.deps.store.audit.verify()).brokenAt).toBeNull()
  })
})

describe("the schedule", () => {
  it("begins with no ring: the first rotation is ops' to order", async ({ expect }) => {
    pass(2 * KEY_MAX_AGE_S)
    await tendKeys(platform.deps)
    expect(await states()).toEqual({})
  })

  it("rotates when a key has signed for its age, so that the next signs when it is over, and removes what verifies no longer", async ({
    expect,
  }) => {
    const first = await firstKey()
    const { body } = await platform.send("GET /v1/keys")
    pass(KEY_MAX_AGE_S - KEY_LEAD_S - 2)
    await tendKeys(platform.deps)
    expect(await states()).toEqual({ [first]: "current" })
    pass(1)
    expect(Date.parse(body.rotatesAt)).toBe(platform.deps.clock.now())
    await tendKeys(platform.deps)
    await tendKeys(platform.deps)
    expect(Object.values(await states())).toEqual(["current", "next"])
    pass(KEY_LEAD_S + KEY_RETIRES_S - 1)
    await tendKeys(platform.deps)
    expect(Object.values(await states())).toEqual(["retiring", "current"])
    pass(1)
    await tendKeys(platform.deps)
    expect(Object.values(await states())).toEqual(["current"])
    expect((await published())?.map((key) => key.kid)).not.toContain(first)
    const { results } = await platform.deps.db.prepare("SELECT kid FROM passport_keys").all<{ kid: string }>()
    expect(results.map((row) => row.kid)).not.toContain(first)
    expect((await actions()).slice(0, 2)).toEqual(["keys.remove", "keys.rotate"])
    const [removed] = (await platform.deps.store.audit.list({ limit: 1 })).items
    expect(removed).toMatchObject({ actor: "system", detail: { kids: [first] } })
  })

  it("gives a key that could not be published its whole lead from when it is, and the one before it as long to verify", async ({
    expect,
  }) => {
    const first = await firstKey()
    const put = vi.spyOn(platform.deps.config, "put").mockRejectedValue(new Error("KV PUT failed: 500"))
    expect((await rotate()).body.code).toBe("config.not-published")
    for (let minute = 0; minute < 12; minute++) {
      pass(60)
      await tendKeys(platform.deps).catch(() => undefined)
    }
    put.mockRestore()
    await healPublication(platform.deps)
    const keys = (await published()) ?? []
    const nowMs = platform.deps.clock.now()
    const next = keys.find((key) => key.kid !== first)
    const before = keys.find((key) => key.kid === first)
    expect(signingKey(keys, nowMs)?.kid).toBe(first)
    expect(((next?.signsFromMs ?? 0) - nowMs) / 1000).toBeGreaterThanOrEqual(LEAST_LEAD_S)
    expect(before?.verifiesUntilMs).toBe((next?.signsFromMs ?? 0) + KEY_RETIRES_S * 1000)
    pass(KEY_LEAD_S)
    await tendKeys(platform.deps)
    expect(await states()).toEqual({ [first]: "retiring", [next?.kid ?? ""]: "current" })
    expect((await platform.deps.store.audit.verify()).brokenAt).toBeNull()
  })

  it("leaves a rotation alone that is not published yet for half a minute, and no longer", async ({ expect }) => {
    await firstKey()
    const put = vi.spyOn(platform.deps.config, "put").mockRejectedValue(new Error("KV PUT failed: 500"))
    await rotate()
    const { body } = await platform.send("GET /v1/keys")
    pass(30)
    await tendKeys(platform.deps).catch(() => undefined)
    expect((await platform.send("GET /v1/keys")).body).toEqual(body)
    pass(1)
    await tendKeys(platform.deps).catch(() => undefined)
    expect((await platform.send("GET /v1/keys")).body).not.toEqual(body)
    put.mockRestore()
  })

  it("leaves a key that is published alone, and one that is to sign at once, whatever later config could not be", async ({
    expect,
  }) => {
    await firstKey()
    const { body } = await rotate()
    const put = vi.spyOn(platform.deps.config, "put").mockRejectedValue(new Error("KV PUT failed: 500"))
    await platform.send("PUT /v1/policy/flags", { body: { a: true } })
    pass(300)
    await tendKeys(platform.deps).catch(() => undefined)
    expect((await platform.send("GET /v1/keys")).body).toEqual(body)
    await rotate({ immediately: true })
    const { body: hurried } = await platform.send("GET /v1/keys")
    pass(60)
    await tendKeys(platform.deps).catch(() => undefined)
    expect((await platform.send("GET /v1/keys")).body).toEqual(hurried)
    put.mockRestore()
  })

  it("does not undo a rollback: the former key's age counts from then", async ({ expect }) => {
    const first = await firstKey()
    pass(KEY_MAX_AGE_S)
    await rotate()
    pass(KEY_LEAD_S)
    await rollback()
    pass(KEY_GRACE_S)
    await tendKeys(platform.deps)
    expect(await states()).toEqual({ [first]: "current" })
  })

  it("takes the config back to no keys when the first rotation was taken back", async ({ expect }) => {
    await rotate()
    expect((await rollback()).status).toBe(201)
    pass(KEY_LEAD_S + KEY_GRACE_S)
    await tendKeys(platform.deps)
    expect(await published()).toBeUndefined()
  })

  it("is part of the minute's work", async ({ expect }) => {
    const bindings = env as unknown as Env
    await rotate()
    await platform.deps.db.prepare("UPDATE passport_keys SET verifies_until_ms = 1, signs_from_ms = 1").run()
    await worker.scheduled(createScheduledController(), bindings)
    expect(await platform.deps.store.passportKeys.list()).toEqual([])
  })
})

describe("keySettingsOf", () => {
  it("takes times from the variables, never a lead by which a verifier could miss a key", ({ expect }) => {
    const of = (environment: string, age?: string, lead?: string) =>
      keySettingsOf({
        ENVIRONMENT: environment,
        ...(age === undefined ? {} : { PASSPORT_KEY_MAX_AGE_S: age }),
        ...(lead === undefined ? {} : { PASSPORT_KEY_LEAD_S: lead }),
      })
    expect(of("production")).toEqual({ leadS: 600, maxAgeS: 2_592_000, retiresS: 86_400 })
    expect(of("staging", "86400", "1200")).toMatchObject({ leadS: 1200, maxAgeS: 86_400 })
    expect(of("production", "nonsense", "1")).toMatchObject({ leadS: 485, maxAgeS: 2_592_000 })
    expect(of("local", "10", "2")).toMatchObject({ leadS: 2, maxAgeS: 10 })
  })
})
