import { describe, it } from "vitest"
import { refuse } from "./problem.ts"
import { type FailureRecord, type WorkerOptions, worker } from "./worker.ts"

const request = new Request("https://api.procore.com/a?token=t", { headers: { "x-request-id": "r-1" } })

/** A Worker whose one handler throws `thrown`. */
function throwing(thrown: unknown, options: WorkerOptions = {}) {
  const app = worker(options)
  app.get("/a", () => Promise.reject(thrown))
  return app
}

describe("worker", () => {
  it("hands out the handler's response itself", async ({ expect }) => {
    const answer = new Response("hello")
    const app = worker()
    app.get("/a", () => answer)
    expect(await app.fetch(request)).toBe(answer)
  })

  it("answers a refusal as a problem with the request's id", async ({ expect }) => {
    const response = await throwing(refuse("company.unknown")).fetch(request)
    expect(response.status).toBe(404)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await response.json()).toMatchObject({ code: "company.unknown", requestId: "r-1" })
  })

  it("answers anything else as internal, telling the log what the client does not learn", async ({ expect }) => {
    const records: FailureRecord[] = []
    const app = throwing(new TypeError("secret detail"), { log: (record) => records.push(record) })
    const response = await app.fetch(request)
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text).toContain('"internal"')
    expect(text).not.toContain("secret detail")
    expect(records).toEqual([
      { event: "worker-failed", requestId: "r-1", code: "internal", cause: "TypeError: secret detail" },
    ])
  })

  it("answers a path that nobody takes as a problem", async ({ expect }) => {
    const response = await worker().fetch(request)
    expect(await response.json()).toMatchObject({ status: 404, code: "route.not-found", requestId: "r-1" })
  })

  it("logs no refusal that is the client's", async ({ expect }) => {
    const records: FailureRecord[] = []
    await throwing(refuse("company.required"), { log: (record) => records.push(record) }).fetch(request)
    expect(records).toEqual([])
  })

  it("makes a request id when none came", async ({ expect }) => {
    const response = await throwing(refuse("internal")).fetch(new Request("https://api.procore.com/a"))
    expect(((await response.json()) as { requestId: string }).requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it("lets a Worker render refusals its own way", async ({ expect }) => {
    const app = throwing(refuse("company.unknown"), {
      render: (refusal, requestId) => Response.json({ message: `${refusal.code} ${requestId}` }),
    })
    expect(await (await app.fetch(request)).json()).toEqual({ message: "company.unknown r-1" })
  })
})
