import { describe, expect, it } from "vitest"
import type { TripRecord } from "../../contracts/trip.ts"
import { answerLocalPath, isLocalPath } from "./local-endpoints.ts"
import { Ring } from "./ring.ts"
import { tripRing } from "./rings.ts"

describe("isLocalPath", () => {
  it.each([
    ["http://api.procore.com/.sallyport/local/trips", true],
    ["http://api.procore.com/.sallyport/localtrips", false],
    ["http://api.procore.com/x?/.sallyport/local/", false],
    ["http://api.procore.com/", false],
  ])("%s: %s", (url, local) => {
    expect(isLocalPath(url)).toBe(local)
  })
})

describe("answerLocalPath", () => {
  const trips = async (query: string) =>
    (await answerLocalPath(`http://127.0.0.1/.sallyport/local/trips${query}`).json()) as TripRecord[]

  it("gives the newest trips first, narrowed as asked", async () => {
    for (const requestId of ["a", "b", "a"]) tripRing.push({ requestId, script: "files" } as TripRecord)
    expect((await trips("?requestId=a")).length).toBe(2)
    expect((await trips("?script=files&limit=1")).map((each) => each.requestId)).toEqual(["a"])
    expect(await trips("?requestId=nobody")).toEqual([])
    expect((await trips("?limit=rubbish")).length).toBe(3)
  })

  it("has nothing else", () => {
    expect(answerLocalPath("http://localhost:8787/.sallyport/local/secrets").status).toBe(404)
  })

  it.each(["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "api.procore.com"])(
    "tells a page of %s nothing",
    (hostname) => {
      expect(answerLocalPath(`http://${hostname}/.sallyport/local/trips`).status).toBe(421)
    },
  )
})

describe("Ring", () => {
  it("keeps the last records, newest first", () => {
    const ring = new Ring<number>(3)
    for (let n = 1; n <= 100; n++) ring.push(n)
    expect(ring.find(() => true, 10)).toEqual([100, 99, 98])
    expect(ring.find((n) => n % 2 === 1, 1)).toEqual([99])
  })
})
