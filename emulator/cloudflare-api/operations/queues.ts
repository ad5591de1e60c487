/** Queues, by REST: create, list, send, pull, acknowledge. @see https://developers.cloudflare.com/queues/configuration/pull-consumers/ */
import { type Call, jsonBody, type Operation, stringMember } from "../call.ts"
import type { Dependencies } from "../dependencies.ts"
import { fail, ok, paged } from "../envelope.ts"
import { acknowledge, backlog, enqueue, type PulledMessage, pull, retry } from "../store/queue-messages.ts"
import { deleteResource, findResource, listResources, type ResourceRow, saveResource } from "../store/resources.ts"

const MAX_BATCH = 100
const DEFAULT_BATCH = 5
const DEFAULT_VISIBILITY_MS = 30_000

export const listAll: Operation = (call, deps) => {
  const name = call.query.get("name")
  const rows = listResources(deps.sql, "queue").filter((row) => name === null || row.name === name)
  return paged(rows.map(describeQueue), call.query)
}

export const create: Operation = async (call, deps) => {
  const name = stringMember(await jsonBody(call), "queue_name")
  if (findResource(deps.sql, "queue", "name", name) !== null) throw fail("queueExists")
  const row = { id: deps.ids.hex32(), name, createdOn: new Date(deps.clock.now()).toISOString() }
  saveResource(deps.sql, "queue", row)
  return ok(describeQueue(row))
}

export const read: Operation = (call, deps) => ok(describeQueue(requireQueue(call, deps)))

export const remove: Operation = (call, deps) => {
  deleteResource(deps.sql, "queue", requireQueue(call, deps).id)
  return ok(null)
}

export const sendMessage: Operation = async (call, deps) => {
  const { id } = requireQueue(call, deps)
  const { body, content_type = "json", delay_seconds } = await jsonBody(call)
  const contentType = content_type === "text" ? "text" : "json"
  const delay = typeof delay_seconds === "number" ? { delaySeconds: delay_seconds } : {}
  const text = contentType === "text" ? String(body) : JSON.stringify(body)
  enqueue(deps.sql, id, [{ id: deps.ids.hex32(), body: text, contentType, ...delay }], deps.clock.now())
  return ok(null)
}

export const pullMessages: Operation = async (call, deps) => {
  const { id } = requireQueue(call, deps)
  const { batch_size = DEFAULT_BATCH, visibility_timeout_ms = DEFAULT_VISIBILITY_MS } = await jsonBody(call)
  const batchSize = Math.min(MAX_BATCH, Math.max(1, Number(batch_size) || DEFAULT_BATCH))
  const visibilityMs = Math.max(0, Number(visibility_timeout_ms) || 0)
  const options = { batchSize, visibilityMs, nowMs: deps.clock.now(), newId: deps.ids.hex32 }
  const messages = deps.transaction(() => pull(deps.sql, id, options))
  return ok({ message_backlog_count: backlog(deps.sql, id), messages: messages.map(describeMessage) })
}

export const acknowledgeMessages: Operation = async (call, deps) => {
  const { id } = requireQueue(call, deps)
  const { acks = [], retries = [] } = (await jsonBody(call)) as { acks?: Lease[]; retries?: Lease[] }
  const nowMs = deps.clock.now()
  return ok({
    ackCount: acks.filter(({ lease_id }) => acknowledge(deps.sql, id, lease_id)).length,
    retryCount: retries.filter(({ lease_id, delay_seconds = 0 }) =>
      retry(deps.sql, id, lease_id, nowMs + delay_seconds * 1000),
    ).length,
    warnings: {},
  })
}

interface Lease {
  readonly lease_id: string
  readonly delay_seconds?: number
}

function describeMessage(message: PulledMessage): Record<string, unknown> {
  return {
    id: message.id,
    body: message.body,
    timestamp_ms: message.sentAtMs,
    attempts: message.attempts,
    lease_id: message.leaseId,
    metadata: { "CF-Content-Type": message.contentType },
  }
}

function requireQueue(call: Call, deps: Dependencies): ResourceRow {
  const row = findResource(deps.sql, "queue", "id", call.param("queue"))
  if (row === null) throw fail("queueMissing")
  return row
}

function describeQueue({ id, name, createdOn }: ResourceRow): Record<string, unknown> {
  return {
    queue_id: id,
    queue_name: name,
    created_on: createdOn,
    modified_on: createdOn,
    producers: [],
    producers_total_count: 0,
    consumers: [],
    consumers_total_count: 0,
    settings: { delivery_delay: 0, message_retention_period: 345_600 },
  }
}
