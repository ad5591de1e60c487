/** The description of `/v1` (OpenAPI 3.1), made from the operations themselves: what is not described cannot be called. */
import { OpenAPIHono } from "@hono/zod-openapi"
import { z } from "zod"
import { problemShape } from "../../../contracts/api.ts"
import { PROBLEMS, type ProblemCode } from "../../../contracts/problem-codes.ts"
import { type AnyOperation, type NamedShape, nameProblemOf } from "./operation.ts"

/** What any operation may answer besides its own. */
const COMMON: readonly ProblemCode[] = ["api.unauthenticated", "api.query-invalid", "internal"]
const WITH_BODY: readonly ProblemCode[] = ["api.body-invalid", "api.media-type", "api.too-large"]

type Document = ReturnType<OpenAPIHono["getOpenAPI31Document"]>

export function describe(operations: readonly AnyOperation[]): Document {
  const { openAPIRegistry: registry, ...app } = withDocument()
  const named = new Set<string>()
  const reference = ({ name, shape }: NamedShape) => {
    if (!named.has(name)) {
      named.add(name)
      registry.registerComponent("schemas", name, jsonSchema(shape))
    }
    return { $ref: `#/components/schemas/${name}` }
  }
  registry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer", bearerFormat: "spt_…" })
  const problem = { "application/problem+json": { schema: reference({ name: "Problem", shape: problemShape }) } }
  for (const operation of operations) {
    const { id, method, path, summary, params, query, body, example } = operation
    registry.registerPath({
      operationId: id,
      method: lowerCase(method),
      path,
      summary,
      description: describeAccess(operation),
      tags: [id.slice(0, id.indexOf("."))],
      security: [{ token: [] }],
      request: {
        ...(params === undefined ? {} : { params }),
        ...(query === undefined ? {} : { query }),
        ...(body === undefined
          ? {}
          : {
              body: {
                required: true,
                content: { "application/json": { schema: body, ...(example == null ? {} : { example }) } },
              },
            }),
        ...(operation.multipart === true
          ? { body: { required: true, content: { "multipart/form-data": { schema: { type: "object" as const } } } } }
          : {}),
      },
      responses: { ...answersOf(operation, reference), ...problemsOf(operation, problem) },
    })
  }
  return app.document()
}

function withDocument() {
  const app = new OpenAPIHono()
  return {
    openAPIRegistry: app.openAPIRegistry,
    document: () =>
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: "Sallyport control plane",
          version: "1",
          description:
            "Single things carry an `ETag`; `If-Match` and `If-None-Match` hold a change to what was read. Lists are pages: `{ items, nextCursor }`. " +
            "`?dry_run=true` checks a change and makes none. Errors are `application/problem+json` (RFC 9457) with a stable `code`.",
        },
        servers: [{ url: "/" }],
      }),
  }
}

function answersOf(operation: AnyOperation, reference: (shape: NamedShape) => { $ref: string }) {
  return Object.fromEntries(
    Object.entries(operation.answers).map(([status, answer]) => [
      status,
      {
        description: answer.description,
        ...(answer.shape === undefined ? {} : { content: { "application/json": { schema: reference(answer.shape) } } }),
      },
    ]),
  )
}

/** One response per status, naming the codes it may carry. */
function problemsOf(operation: AnyOperation, content: Record<string, { schema: { $ref: string } }>) {
  const codes = new Set<ProblemCode>([...COMMON, ...(operation.problems ?? [])])
  if (operation.access.who === "ops") codes.add("api.forbidden")
  const nameProblem = nameProblemOf(operation)
  if (nameProblem !== null) codes.add(nameProblem)
  else if (operation.access.who === "owner" || operation.params !== undefined) codes.add("api.not-found")
  if (operation.body !== undefined || operation.multipart === true) for (const code of WITH_BODY) codes.add(code)
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of codes) byStatus.set(PROBLEMS[code].status, [...(byStatus.get(PROBLEMS[code].status) ?? []), code])
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      { description: list.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join("; "), content },
    ]),
  )
}

function describeAccess({ access, idempotencyKey }: AnyOperation): string {
  const who = { any: "Any token.", ops: "Ops only.", owner: "The owning team, or ops." }[access.who]
  return idempotencyKey === true ? `${who} Takes an \`Idempotency-Key\`.` : who
}

function jsonSchema(shape: z.ZodType) {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io: "output", unrepresentable: "any" })
  return schema as Parameters<OpenAPIHono["openAPIRegistry"]["registerComponent"]>[2]
}

function lowerCase(method: AnyOperation["method"]): "get" | "put" | "post" | "delete" {
  return ({ GET: "get", PUT: "put", POST: "post", DELETE: "delete" } as const)[method]
}
