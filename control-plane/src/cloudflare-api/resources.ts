/**
 * What wrangler looks up before an upload, and would create when it finds nothing. Nothing is created through this door and nothing is listed:
 * a team is told of exactly the resources that its grants name, and what it must do otherwise.
 */
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { type Answer, CLOUDFLARE_CODE, refuseAs } from "./envelope.ts"
import { useNamespace } from "./namespaces.ts"
import type { Call } from "./operation.ts"

/** GET /queues?name= */
export async function findQueue(call: Call): Promise<Answer> {
  const name = call.url.searchParams.get("name") ?? ""
  await needGrant(call, "queue", name)
  return { result: [{ queue_name: name, queue_id: (await sha256Hex(name)).slice(0, 32) }] }
}

/** GET /r2/buckets/{bucket} */
export async function findBucket(call: Call): Promise<Answer> {
  const name = call.param("bucket")
  await needGrant(call, "r2_bucket", name)
  return { result: { name, location: "", storage_class: "Standard" } }
}

/** GET /d1/database/{database} */
export async function findDatabase(call: Call): Promise<Answer> {
  const id = call.param("database")
  await needGrant(call, "d1", id)
  return { result: { uuid: id, name: id } }
}

/** Listing and creating of KV namespaces and databases: wrangler does both for a binding without an id. */
export function refuseLookup({ url }: Call): never {
  const [binding, field] = url.pathname.includes("/d1/") ? ["D1", "database_id"] : ["KV", "id"]
  throw refuse("api.forbidden", {
    detail: `Resources are neither listed nor created through this door. Give the ${binding} binding its ${field}, for which the team holds a grant.`,
  })
}

/** GET /workflows/{workflow}: no team has one. What an upload that declares one hears is the screen's affair. */
export function refuseWorkflow(): never {
  throw refuseAs(CLOUDFLARE_CODE.noSuchWorkflow, "api.not-found", { detail: "There are no Workflows here." })
}

/** Everything else of the account. */
export function refuseOther({ deps }: Call): never {
  throw refuse("api.forbidden", {
    detail: `Only uploads to the dispatch namespace are taken here. ${useNamespace(deps)}`,
  })
}

async function needGrant({ actor, deps }: Call, type: string, id: string): Promise<void> {
  const team = actor.team === null ? null : await deps.store.inventory.team(actor.team)
  const grant = `resource:${type}:${id}`
  if (actor.role !== "ops" && !team?.grants.includes(grant))
    throw refuse("api.forbidden", {
      detail: `The team does not hold the grant ${grant.slice(0, 200)}; ops can give it. Nothing was created.`,
    })
}
