/**
 * The account and its holder, as wrangler and the dashboard's clients ask for them, and the account-level Worker paths that
 * `wrangler deploy --dispatch-namespace` also touches. There are no account-level Workers to change here: those paths find nothing but what the control plane looks at.
 */
import type { Operation } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok, paged } from "../envelope.ts"

const NAME = "Example account on this machine"
/** What the dispatcher tells the outbound Worker. */
const PARAMETERS = [{ name: "egress" }, { name: "requestId" }]
const EMAIL = "alice@example.com"

export const listAccounts: Operation = (call, deps) => paged([describeAccount(deps)], call.query)

export const readAccount: Operation = (_call, deps) => ok(describeAccount(deps))

export const listMemberships: Operation = (call, deps) =>
  paged(
    [{ id: deps.accountId, status: "accepted", account: describeAccount(deps), roles: ["Administrator"] }],
    call.query,
  )

export const readUser: Operation = (_call, deps) => ok({ id: deps.accountId, email: EMAIL })

export const verifyToken: Operation = (_call, deps) => ok({ id: deps.accountId, status: "active" })

export const scriptMissing: Operation = () => {
  throw fail("scriptMissing")
}

/** Of the dispatcher, which is the first of the platform's Workers: as much of its bindings as says how the namespace is run here. */
export const platformSettings: Operation = (call, deps) => {
  if (call.param("script") !== deps.platformWorkers[0]) throw fail("scriptMissing")
  const outbound =
    deps.platformOutbound === null
      ? {}
      : { outbound: { worker: { service: deps.platformOutbound, environment: "production" }, params: PARAMETERS } }
  return ok({
    bindings: [{ type: "dispatch_namespace", name: "DISPATCHER", namespace: "production", ...outbound }],
    compatibility_date: "2026-10-01",
    compatibility_flags: [],
    logpush: true,
    tags: [],
    tail_consumers: [],
    usage_model: "standard",
  })
}

/** Platform Workers exist, so that clients see a name as taken; they are not the API's to delete. */
export const service: Operation = (call, deps) => {
  const name = call.param("service")
  if (!deps.platformWorkers.includes(name)) throw fail("serviceMissing")
  if (call.request.method !== "GET")
    throw fail("authentication", { message: "Platform Workers are not changed through the local API" })
  return ok({ id: name, default_environment: { environment: "production", script: { id: name } }, environments: [] })
}

export const workflowMissing: Operation = () => {
  throw fail("workflowMissing")
}

function describeAccount({ accountId }: Dependencies): Record<string, unknown> {
  return { id: accountId, name: NAME, type: "standard", settings: { enforce_twofactor: false } }
}
