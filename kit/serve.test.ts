import { describe, it } from "vitest"
import { refuse } from "./problem.ts"
import { type FailureRecord, serve } from "./serve.ts"

const request = new Request("https://api.procore.com/a?token=t", { headers: { "x-request-id": "r-1" } })
const context = { waitUntil() {} } as unknown as ExecutionContext

describe("serve", () => {
  it("hands out the handler's response itself", async ({ expect }) => {
    const answer = new Response("hello")
    expect(await serve(() => answer).fetch(request, {}, context)).toBe(answer)
  })

  it("answers a refusal as a problem with the request's id", async ({ expect }) => {
    const worker = serve(() => Promise.reject(refuse("company.unknown")))
    const response = await worker.fetch(request, {}, context)
    expect(response.status).toBe(404)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await response.json()).toMatchObject({ code: "company.unknown", requestId: "r-1" })
  })

  it("answers anything else as internal, telling the log what the client does not learn", async ({ expect }) => {
    const records: FailureRecord[] = []
    const worker = serve(
      () => {
        throw new TypeError("secret detail")
      },
      { log: (record) => records.push(record) },
    )
    const response = await worker.fetch(request, {}, context)
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text).toContain('"internal"')
    expect(text).not.toContain("secret detail")
    expect(records).toEqual([
      { event: "worker-failed", requestId: "r-1", code: "internal", cause: "TypeError: secret detail" },
    ])
  })

  it("logs no refusal that is the client's", async ({ expect }) => {
    const records: FailureRecord[] = []
    const worker = serve(() => Promise.reject(refuse("company.required")), { log: (record) => records.push(record) })
    await worker.fetch(request, {}, context)
    expect(records).toEqual([])
  })

  it("makes a request id when none came", async ({ expect }) => {
    const worker = serve(() => Promise.reject(refuse("internal")))
    const response = await worker.fetch(new Request("https://api.procore.com/"), {}, context)
    expect(((await response.json()) as { requestId: string }).requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it("lets a Worker render refusals its own way", async ({ expect }) => {
    const worker = serve(() => Promise.reject(refuse("company.unknown")), {
      render: (refusal, requestId) => Response.json({ message: `${refusal.code} ${requestId}` }),
    })
    const response = await worker.fetch(request, {}, context)
    expect(await response.json()).toEqual({ message: "company.unknown r-1" })
  })
})
