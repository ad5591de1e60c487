import { explainCreate, explanationShape } from "../../../contracts/api.ts"
import type { ExplainRequest, Explanation } from "../../../contracts/platform.ts"
import { refuse } from "../../../kit/problem.ts"
import { actsFor } from "../actor.ts"
import type { Dependencies } from "../dependencies.ts"
import { present } from "../present.ts"
import { defineOperation } from "./operation.ts"

export const explain = defineOperation({
  id: "explain.create",
  method: "POST",
  path: "/v1/explain",
  summary: "Ask the edge what it would do with a request, stage by stage; nothing is dispatched",
  access: { who: "any" },
  body: explainCreate,
  answers: {
    200: { description: "The stages and the outcome", shape: { name: "Explanation", shape: explanationShape } },
  },
  problems: ["api.not-found", "config.unavailable"],
  handle: async ({ actor, body, deps }) => {
    const url = new URL(body.url)
    if (url.protocol !== "https:" && url.protocol !== "http:")
      throw refuse("api.body-invalid", { errors: [{ pointer: "/url", detail: "must be http or https" }] })
    if (actor.role !== "ops") {
      // A team learns nothing of hostnames that it may not read.
      const hostname = await deps.store.inventory.hostname(url.hostname)
      if (hostname === null || !(hostname.open || actsFor(actor, hostname.team))) throw refuse("api.not-found")
    }
    const { method, headers, facts } = body
    const asked: ExplainRequest = {
      url: body.url,
      method,
      headers,
      ...(facts === undefined ? {} : { facts: present(facts) }),
    }
    return { status: 200, body: await ask(deps.edge, asked) }
  },
})

/** Across RPC a refusal arrives as an Error whose message is its code. The entrypoint has one: that there is no config yet. */
async function ask(edge: Dependencies["edge"], asked: ExplainRequest): Promise<Explanation> {
  try {
    return await edge.explain(asked)
  } catch (failure) {
    const isEmpty = failure instanceof Error && failure.message === "config.unavailable"
    throw isEmpty ? refuse("config.unavailable", { cause: failure }) : failure
  }
}
