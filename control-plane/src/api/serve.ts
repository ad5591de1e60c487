/**
 * The straight line of one `/v1` request: authenticate → parameters → admit → query → body → handle → answer.
 * Every operation passes through here, so none can forget a check. Problems are rendered by the wrap in index.ts.
 */
import type { z } from "zod"
import { CONFIG_HEADER } from "../../../contracts/reserved-headers.ts"
import { toFaults } from "../../../contracts/to-faults.ts"
import { refuse } from "../../../kit/problem.ts"
import { type Actor, actsFor } from "../actor.ts"
import { authenticateToken } from "../authenticate.ts"
import type { Dependencies } from "../dependencies.ts"
import { etagOf, isNotModified } from "./conditions.ts"
import { onceByKey } from "./once-by-key.ts"
import { type Answer, type AnyOperation, nameProblemOf } from "./operation.ts"
import { readBody } from "./read-body.ts"

/** Bytes of a JSON body unless the operation says otherwise. */
const DEFAULT_BODY_BYTES = 1024 * 1024

export async function serve(
  operation: AnyOperation,
  request: Request,
  pathParameters: Readonly<Record<string, string>>,
  deps: Dependencies,
): Promise<Response> {
  const actor = await authenticateToken(request, deps)
  const params = readParams(operation, pathParameters)
  await admit(operation, actor, params, deps)
  const query = readQuery(operation, new URL(request.url))
  const { body: shape, bodyBytes = DEFAULT_BODY_BYTES } = operation
  const body = shape === undefined ? undefined : await readBody(request, shape, bodyBytes)
  const answer = async (deploymentId: string | null) =>
    render(await operation.handle({ actor, params, query, body, request, deploymentId, deps }), request)
  return operation.idempotencyKey === true ? onceByKey(request, { actor, body }, deps, answer) : answer(null)
}

/** A name that cannot exist is answered like one that does not, except to who would make such a thing. */
function readParams(operation: AnyOperation, given: Readonly<Record<string, string>>): Record<string, unknown> {
  if (operation.params === undefined) return {}
  const parsed = operation.params.safeParse(given)
  if (parsed.success) return parsed.data
  const code = nameProblemOf(operation)
  throw code === null ? refuse("api.not-found") : refuse(code, { errors: toFaults(parsed.error) })
}

/** Throws `api.forbidden` or, where the thing is another team's, `api.not-found`. */
async function admit(
  { access }: AnyOperation,
  actor: Actor,
  params: Record<string, unknown>,
  deps: Dependencies,
): Promise<void> {
  if (access.who === "any") return
  if (access.who === "ops") {
    if (actor.role !== "ops") throw refuse("api.forbidden")
    return
  }
  const thing = await access.of(params, deps)
  if (thing === null || !actsFor(actor, thing.team)) throw refuse("api.not-found")
}

/** A parameter that is unknown or given twice is a mistake worth telling, not worth guessing about. */
function readQuery(operation: AnyOperation, url: URL): Record<string, unknown> {
  const given: Record<string, string> = {}
  const known: z.ZodRawShape = operation.query?.shape ?? {}
  const errors: { pointer: string; detail: string }[] = []
  for (const [name, value] of url.searchParams) {
    const pointer = `/${name.slice(0, 50)}`
    if (!Object.hasOwn(known, name)) errors.push({ pointer, detail: "is not a parameter of this operation" })
    else if (Object.hasOwn(given, name)) errors.push({ pointer, detail: "is given twice" })
    else given[name] = value
  }
  if (errors.length > 0) throw refuse("api.query-invalid", { errors: errors.slice(0, 20) })
  const parsed = operation.query?.safeParse(given)
  if (parsed?.success === false) throw refuse("api.query-invalid", { errors: toFaults(parsed.error) })
  return parsed?.data ?? {}
}

async function render(answer: Answer | Response, request: Request): Promise<Response> {
  if (answer instanceof Response) return answer
  const headers = new Headers({ "cache-control": "no-store" })
  if (answer.configRevision != null) headers.set(CONFIG_HEADER, String(answer.configRevision))
  const etag = answer.tagged === true ? await etagOf(answer.body) : (answer.etag ?? null)
  if (etag !== null) {
    headers.set("etag", etag)
    if (request.method === "GET" && isNotModified(request.headers, etag))
      return new Response(null, { status: 304, headers })
  }
  if (answer.body === undefined) return new Response(null, { status: answer.status, headers })
  return Response.json(answer.body, { status: answer.status, headers })
}
