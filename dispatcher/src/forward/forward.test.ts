import { describe, expect, it } from "vitest"
import { classifyFailure, DeadlineExceeded } from "./classify-failure.ts"
import { type ForwardOrder, forward } from "./forward.ts"

/** A dispatch namespace whose one Worker is `answer`; it remembers what it was asked. */
function namespaceOf(answer: (request: Request) => Response | Promise<Response>) {
  const asked: { name: string; options: unknown; request: Request }[] = []
  const get = (name: string, _args: unknown, options: unknown) => ({
    fetch: async (input: RequestInfo, init?: RequestInit) => {
      const request = new Request(input, init)
      asked.push({ name, options, request })
      return answer(request)
    },
  })
  return { asked, namespace: { get } as unknown as DispatchNamespace }
}

const SUBREQUESTS = "Too many subrequests by single Worker invocation. To configure this limit, refer to "
const HUNG =
  "The Workers runtime canceled this request because it detected that your Worker's code had hung and would never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/"

const egress = { team: "storage", script: "files", version: 3, allow: [], audiences: {} }
const options = { limits: { cpuMs: 10, subRequests: 1 }, outbound: { egress } }

function order(changes: Partial<ForwardOrder> = {}): ForwardOrder {
  return {
    request: new Request("https://api.example.com/files/1?q=1", {
      method: "POST",
      body: "data",
      headers: { "x-passport": "forged", "x-request-id": "forged", accept: "text/plain" },
    }),
    requestId: "r-1",
    headers: { "x-passport": "genuine", "content-type": "text/plain" },
    target: { placedName: "files--v3", dispatchOptions: options },
    timeoutMs: 1_000,
    ...changes,
  }
}

async function codeWhen(answer: (request: Request) => Response | Promise<Response>, timeoutMs = 1_000) {
  return forward(order({ timeoutMs }), namespaceOf(answer).namespace).then(
    () => "no refusal",
    (thrown) => thrown.code,
  )
}

describe("forward", () => {
  it("sends method, URL and body on with the headers it is given and no others, by the placed name, with limits, egress policy and the id for the outbound Worker", async () => {
    const { asked, namespace } = namespaceOf(() => new Response("ok"))
    await forward(order(), namespace)
    const [call] = asked
    expect(call?.name).toBe("files--v3")
    expect(call?.options).toEqual({ limits: options.limits, outbound: { egress, requestId: "r-1" } })
    expect(call?.request.url).toBe("https://api.example.com/files/1?q=1")
    expect(call?.request.method).toBe("POST")
    expect(Object.fromEntries(call?.request.headers ?? [])).toEqual({
      "x-passport": "genuine",
      "content-type": "text/plain",
    })
    expect(await call?.request.text()).toBe("data")
  })

  it("leaves redirects to the client, whatever the request says", async () => {
    const { asked, namespace } = namespaceOf(() => new Response("ok"))
    await forward(order({ request: new Request("https://api.example.com/", { redirect: "follow" }) }), namespace)
    expect(asked[0]?.request.redirect).toBe("manual")
  })

  it("gives 502 when the Worker throws, and keeps its text inside", async () => {
    const refusal = await forward(
      order(),
      namespaceOf(() => {
        throw new Error("secret")
      }).namespace,
    ).catch((thrown) => thrown)
    expect(refusal.code).toBe("dispatch.worker-failed")
    expect(JSON.stringify(refusal.options.detail ?? "")).not.toContain("secret")
  })

  it("gives 504 when the Worker does not answer in time", async () => {
    expect(await codeWhen(() => new Promise(() => undefined), 50)).toBe("dispatch.worker-timeout")
  })

  it("gives 502 for a response that cannot be sent", async () => {
    expect(await codeWhen(() => Response.error())).toBe("dispatch.response-invalid")
  })

  it.each([
    ["Worker not found.", "dispatch.script-missing"],
    ["Worker exceeded CPU time limit.", "dispatch.limit-exceeded"],
    ["Worker exceeded memory limit.", "dispatch.limit-exceeded"],
    ["Worker has exceeded memory limit.", "dispatch.limit-exceeded"],
    ["Too many subrequests.", "dispatch.limit-exceeded"],
    ["Too many subrequests by single Worker invocation.", "dispatch.limit-exceeded"],
    [
      `${SUBREQUESTS}https://developers.cloudflare.com/workers/wrangler/configuration/#limits`,
      "dispatch.limit-exceeded",
    ],
    [`${SUBREQUESTS}https://developers.cloudflare.com/workers/platform/limits/`, "dispatch.limit-exceeded"],
    [HUNG, "dispatch.worker-timeout"],
  ])("reads the platform's text %j as %s", (message, code) => {
    expect(classifyFailure(new Error(message), "files--v3").code).toBe(code)
  })

  it.each([
    "my Worker not found.",
    "Worker not found",
    "Worker not found. in our table",
    "Worker not found.\n",
    "worker not found.",
    "Worker exceeded CPU time limit. x",
    "job 7: Worker exceeded CPU time limit.",
    "the report exceeded memory limit",
    "Too many subrequests to the cell",
    "Too many subrequests.x",
    `${SUBREQUESTS}https://example.com/`,
    `${HUNG} x`,
    "it seems that your Worker's code had hung",
    "",
  ])("takes %j for the Worker's own: its text only holds what the platform writes, or is like it", (message) => {
    expect(classifyFailure(new Error(message), "files--v3").code).toBe("dispatch.worker-failed")
  })

  it.each([
    [new DeadlineExceeded("late"), "dispatch.worker-timeout"],
    ["a string", "dispatch.worker-failed"],
    [undefined, "dispatch.worker-failed"],
  ])("classifies %j", (thrown, code) => {
    expect(classifyFailure(thrown, "files--v3").code).toBe(code)
  })
})
