import { beforeEach, describe, it } from "vitest"
import type { RevocationEntry, RevocationsApi } from "../../../contracts/revocation.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"

/** As the log gives them (revocations/src/log.ts): the newest where no place to begin is named, and never more than this. */
const LOG_MOST = 1_000

let platform: TestControlPlane
let seqs: number[]
beforeEach(async () => {
  seqs = []
  const entry = (seq: number): RevocationEntry => ({
    ...{ seq, atMs: seq, target: { kind: "company", company: "100" }, beforeMs: seq, keptUntilMs: 2_000 },
    ...{ reason: "x", actor: "a" },
  })
  const list: RevocationsApi["list"] = async ({ after, limit = 100 }) => {
    const most = Math.min(limit, LOG_MOST)
    return (after === undefined ? seqs.slice(-most) : seqs.filter((seq) => seq > after).slice(0, most)).map(entry)
  }
  const append = async () => ({ seq: 0, atMs: 0 })
  const status = async () => ({ head: 0, live: 0, relays: 0, bytes: 0 })
  platform = await startControlPlane(() => ({ revocations: { append, status, list } }))
})

async function list(query: string) {
  const { status, body } = await platform.send(`GET /v1/revocations${query}`)
  return { status, seqs: body.items?.map(({ seq }: RevocationEntry) => seq), next: body.nextCursor }
}

describe("revocations.list: works", () => {
  it("names a next page only where there is one", async ({ expect }) => {
    seqs = [3, 5, 8]
    expect(await list("?limit=2")).toEqual({ status: 200, seqs: [3, 5], next: "5" })
    expect(await list("?limit=2&cursor=3")).toEqual({ status: 200, seqs: [5, 8], next: null })
    expect(await list("?limit=3")).toEqual({ status: 200, seqs: [3, 5, 8], next: null })
  })

  it("goes on after a page of as many as the log gives at once", async ({ expect }) => {
    seqs = Array.from({ length: LOG_MOST + 1 }, (_, index) => index + 1)
    expect((await list("?limit=1000")).next).toBe("1000")
    expect(await list("?limit=1000&cursor=1000")).toEqual({ status: 200, seqs: [1001], next: null })
  })

  it("gives the newest first when asked to, which is one page", async ({ expect }) => {
    seqs = [3, 5, 8]
    expect(await list("?newest=true&limit=2")).toEqual({ status: 200, seqs: [8, 5], next: null })
    expect(await list("?newest=true")).toEqual({ status: 200, seqs: [8, 5, 3], next: null })
    expect((await list("?newest=false&limit=2")).seqs).toEqual([3, 5])
  })
})

describe("revocations.list: refuses", () => {
  it("refuses a page after the newest, and another word for the order", async ({ expect }) => {
    expect((await list("?newest=true&cursor=3")).status).toBe(400)
    expect((await list("?newest=yes")).status).toBe(400)
  })
})
