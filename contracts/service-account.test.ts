import { describe, it } from "vitest"
import { serviceKeyEndsMs } from "./service-account.ts"

const createdAt = "2026-11-20T12:00:00.000Z"
const LATEST = "2027-11-21T12:00:00.000Z"

describe("serviceKeyEndsMs", () => {
  const ends: [expiresAt: string | undefined, end: string][] = [
    [undefined, LATEST],
    ["2026-11-20T12:01:00Z", "2026-11-20T12:01:00.000Z"],
    ["2027-11-21T11:59:59.999Z", "2027-11-21T11:59:59.999Z"],
    [LATEST, LATEST],
    ["2027-11-21T12:00:00.001Z", LATEST],
    ["2026-11-20T11:00:00Z", "2026-11-20T11:00:00.000Z"],
  ]
  it.for(ends)(
    "lets a key that is to end at %s end at %s, 366 days after it was made at the latest",
    ([expiresAt, end], { expect }) => {
      const endsMs = serviceKeyEndsMs({ createdAt, ...(expiresAt === undefined ? {} : { expiresAt }) })
      expect(new Date(endsMs).toISOString()).toBe(end)
    },
  )
})
