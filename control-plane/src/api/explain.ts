import { z } from "zod"
import { explainCreate, explanationShape } from "../../../contracts/api.ts"
import type { ExplainRequest, Explanation } from "../../../contracts/platform.ts"
import { escapePointer } from "../../../contracts/to-faults.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
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
    requireSendable(body.url, method, headers)
    const asked: ExplainRequest = {
      url: body.url,
      method,
      headers,
      ...(facts === undefined ? {} : { facts: present(facts) }),
    }
    return { status: 200, body: shownTo(actor, await ask(deps.edge, asked)) }
  },
})

/** The edge can only be asked about what can be sent; which that is says the runtime that both run on. */
function requireSendable(url: string, method: string, headers: Readonly<Record<string, string>>): void {
  const errors = Object.entries(headers)
    .filter(([name, value]) => name === "" || !canMake(() => new Headers([[name, value]])))
    .map(([name]) => ({
      pointer: `/headers/${escapePointer(name.slice(0, 100))}`,
      detail: "is not a header that can be sent",
    }))
  // A tunnel has no path and never reaches a Worker.
  if (method === "CONNECT" || !canMake(() => new Request(url, { method })))
    errors.push({ pointer: "/method", detail: "is not a method that can be sent" })
  if (errors.length > 0) throw refuse("api.body-invalid", { errors: errors.slice(0, 20) })
}

function canMake(make: () => unknown): boolean {
  try {
    make()
    return true
  } catch {
    return false
  }
}

const routeFacts = z.object({ considered: z.array(z.looseObject({ team: z.string() })) })

/** A team sees its own routes alone: where another's gets the request, that is all it learns. Ops see everything. */
function shownTo(actor: Actor, explanation: Explanation): Explanation {
  const at = explanation.steps.findIndex(({ stage }) => stage === "route")
  const step = explanation.steps[at]
  if (actor.role === "ops" || step === undefined) return explanation
  const parsed = routeFacts.safeParse(step.facts)
  const considered = parsed.data?.considered ?? []
  const isTheirs = parsed.success && considered.every(({ team }, index) => index > 0 || team === actor.team)
  if (!isTheirs) {
    const what = "A route of another team gets this request; ask that team or ops."
    const withheld = { stage: "route", says: what, facts: {} } as const
    return {
      configRevision: explanation.configRevision,
      steps: [...explanation.steps.slice(0, at), withheld],
      outcome: { kind: "withheld", what },
    }
  }
  const facts = { ...step.facts, considered: considered.filter(({ team }) => team === actor.team) }
  return { ...explanation, steps: explanation.steps.with(at, { ...step, facts }) }
}

/** Across RPC a refusal arrives as an Error whose message is its code. The entrypoint has one: that there is no config yet. */
async function ask(edge: Dependencies["edge"], asked: ExplainRequest): Promise<Explanation> {
  try {
    return await edge.explain(asked)
  } catch (failure) {
    const isEmpty = failure instanceof Error && failure.message === "config.unavailable"
    throw isEmpty ? refuse("config.unavailable", { cause: failure }) : failure
  }
}
