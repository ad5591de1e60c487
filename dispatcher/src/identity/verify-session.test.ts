import { describe, expect, it } from "vitest"
import type { SessionSeal } from "../../../contracts/session.ts"
import { sealSession } from "../../../kit/session-cookie.ts"
import { SESSION_KEYS } from "../test-dependencies.ts"
import { sessionOf } from "../test-stores.ts"
import { verifySession } from "./verify-session.ts"

const NOW_MS = 1_800_000_000_000
const DAY_MS = 86_400_000

async function verdict(changes: Partial<SessionSeal>, nowMs = NOW_MS, keys = SESSION_KEYS): Promise<string> {
  const { cookieValue } = await sealSession({ ...sessionOf(NOW_MS), ...changes }, SESSION_KEYS)
  const check = await verifySession(cookieValue, keys, nowMs)
  return check.ok ? "ok" : check.fault
}

describe("verifySession", () => {
  it("knows the subject as the seal has it", async () => {
    const seal = { ...sessionOf(NOW_MS), company: "42", scopes: ["read"], level: 2 }
    const { cookieValue, handle } = await sealSession(seal, SESSION_KEYS)
    const check = await verifySession(cookieValue, SESSION_KEYS, NOW_MS)
    if (!check.ok) throw new Error(check.fault)
    expect(check.session).toMatchObject({ handle, seal })
    expect(await check.session.subject.under({})).toMatchObject({
      kind: "user",
      id: "alice",
      idp: "example-idp",
      company: "42",
      scopes: ["read"],
      sid: handle,
      authTimeMs: NOW_MS,
      level: 2,
    })
  })

  it("takes none that another key sealed", async () => {
    expect(await verdict({}, NOW_MS, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).toBe("malformed")
    expect(await verdict({}, NOW_MS, `AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ${SESSION_KEYS}`)).toBe("ok")
  })

  it("ends exactly at its end, whatever the clocks", async () => {
    const { expiresAtMs } = sessionOf(NOW_MS)
    expect(await verdict({}, expiresAtMs - 1)).toBe("ok")
    expect(await verdict({}, expiresAtMs)).toBe("expired")
  })

  it.each([
    [30, "ok"],
    [60, "ok"],
    [60.001, "lifetime"],
    [120, "lifetime"],
  ])("is taken by a clock that is %d s behind the one that sealed it: %s", async (behindS, expected) => {
    expect(await verdict({}, NOW_MS - behindS * 1000)).toBe(expected)
  })

  it.each([30, 60, 120])("is taken by a clock that is %d s ahead", async (aheadS) => {
    expect(await verdict({}, NOW_MS + aheadS * 1000)).toBe("ok")
  })

  it("counts from the later of its beginning and the proof of who it is", async () => {
    expect(await verdict({ authenticatedAtMs: NOW_MS + 60_000 })).toBe("ok")
    expect(await verdict({ authenticatedAtMs: NOW_MS + 60_001 })).toBe("lifetime")
  })

  it("takes none that would outlive the memory of its revocation", async () => {
    expect(await verdict({ expiresAtMs: NOW_MS + 30 * DAY_MS })).toBe("ok")
    expect(await verdict({ expiresAtMs: NOW_MS + 30 * DAY_MS + 1 })).toBe("lifetime")
  })
})
