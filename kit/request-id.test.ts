import { describe, it } from "vitest"
import { refuse } from "./problem.ts"
import { type RequestIdVariables, requestId, requestIdOf } from "./request-id.ts"
import { worker } from "./worker.ts"

function app() {
  const made = worker<object, RequestIdVariables>()
  made.use(requestId(() => "made-here"))
  made.get("/id", (c) => c.text(`${c.var.requestId} ${c.req.raw.headers.get("x-request-id")}`))
  made.get("/refused", () => {
    throw refuse("company.required")
  })
  return made
}

const ask = (path: string, id?: string) =>
  app().fetch(
    new Request(`https://api.example.com${path}`, id === undefined ? {} : { headers: { "x-request-id": id } }),
  )

describe("requestId", () => {
  it("is the gateway's, which says it on the response itself", async ({ expect }) => {
    const response = await ask("/id", "11111111-2222-4333-8444-555555555555")
    expect(await response.text()).toBe("11111111-2222-4333-8444-555555555555 11111111-2222-4333-8444-555555555555")
    expect(response.headers.has("x-request-id")).toBe(false)
  })

  it("is made and said where no gateway stands in front", async ({ expect }) => {
    const response = await ask("/id")
    expect(await response.text()).toBe("made-here made-here")
    expect(response.headers.get("x-request-id")).toBe("made-here")
  })

  it("is one and the same in a problem", async ({ expect }) => {
    const response = await ask("/refused")
    expect(await response.json()).toMatchObject({ code: "company.required", requestId: "made-here" })
    expect(response.headers.get("x-request-id")).toBe("made-here")
  })

  it("keeps the body of a request that came without an id", async ({ expect }) => {
    const made = worker<object, RequestIdVariables>()
    made.use(requestId())
    made.post("/", async (c) => c.text(await c.req.text()))
    const response = await made.fetch(new Request("https://api.example.com/", { method: "POST", body: "kept" }))
    expect(await response.text()).toBe("kept")
  })

  it.for([
    ["128 characters", "a".repeat(128), true],
    ["129 characters", "a".repeat(129), false],
    ["two ids, joined", "a, b", false],
    ["a quote", 'a"b', false],
    ["nothing", "", false],
  ] as const)("takes what is fit for a log line and nothing else: %s", ([, id, isTaken], { expect }) => {
    expect(requestIdOf(new Headers({ "x-request-id": id }))).toBe(isTaken ? id : null)
  })
})
