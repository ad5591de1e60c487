/**
 * Cloudflare's own description of its API (OpenAPI 3.0) as validators of answers. The file is one of the corpora.
 */
import { Ajv, type ValidateFunction } from "ajv"
import addFormats from "ajv-formats"
import { readCorpus } from "../security/corpora.ts"

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

export interface Operation {
  readonly method: string
  /** As in the description: `/accounts/{account_id}/…`. */
  readonly path: string
  /** By status or class (`200`, `4XX`); absent: that answer is not JSON. */
  readonly responses: Readonly<Record<string, ValidateFunction | undefined>>
}

export interface Specification {
  readonly operations: readonly Operation[]
  /** The operation that a request is, by the most literal template that fits; null when it is none of them. */
  find(method: string, path: string): Operation | null
  /** Names of the properties that a component describes. */
  propertiesOf(component: string): readonly string[]
}

/** Null, and said so, when it is not here. */
export function readSpecification(): Specification | null {
  const text = readCorpus("cloudflare-openapi-dispatch.json")
  if (text === null) return null
  const document = toJsonSchema(JSON.parse(text) as JsonObject) as JsonObject
  const components = at(document, "components")
  const ajv = new Ajv({ strict: false, allErrors: true, schemas: [{ $id: "spec", components }] })
  addFormats.default(ajv)
  const operations = Object.entries(at(document, "paths")).flatMap(([template, methods]) =>
    Object.entries(methods as JsonObject)
      .filter(([method]) => ["get", "put", "post", "patch", "delete"].includes(method))
      .map(([method, operation]) => ({
        method: method.toUpperCase(),
        path: template,
        responses: validators(ajv, components, at(operation as JsonObject, "responses")),
      })),
  )
  return {
    operations,
    find: (method, requestPath) =>
      operations
        .filter((operation) => operation.method === method && fits(operation.path, requestPath))
        .sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0] ?? null,
    propertiesOf: (component) => Object.keys(at(at(at(components, "schemas"), component), "properties")),
  }
}

/** The validator for a status: its own, or that of its class. Undefined when the description has no JSON schema for it. */
export function validatorFor(operation: Operation, status: number): ValidateFunction | undefined {
  return operation.responses[String(status)] ?? operation.responses[`${Math.floor(status / 100)}XX`]
}

function validators(ajv: Ajv, components: JsonObject, responses: JsonObject): Operation["responses"] {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const schema = jsonSchemaOf(resolve(components, response as JsonObject))
      return [status, schema === undefined ? undefined : ajv.compile(schema)]
    }),
  )
}

function jsonSchemaOf(response: JsonObject): JsonObject | undefined {
  const content = (response.content ?? {}) as JsonObject
  const json = content["application/json"] as JsonObject | undefined
  return json === undefined ? undefined : at(json, "schema")
}

function resolve(components: JsonObject, value: JsonObject): JsonObject {
  const match = /^spec#\/components\/(\w+)\/(.+)$/.exec(String(value.$ref ?? ""))
  return match?.[1] === undefined || match[2] === undefined ? value : at(at(components, match[1]), match[2])
}

/** OpenAPI 3.0 differs from JSON Schema in three things that matter here: nullable, writeOnly, and where references point. */
function toJsonSchema(value: Json): Json {
  if (Array.isArray(value)) return value.map(toJsonSchema)
  if (value === null || typeof value !== "object") return value
  if (value["x-stainless-any"] === true) return {}
  const { nullable, $ref, ...rest } = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, toJsonSchema(inner)]),
  )
  const schema: JsonObject = { ...rest, ...(typeof $ref === "string" ? { $ref: `spec${$ref}` } : {}) }
  if (schema.required !== undefined) schema.required = requiredInAnswers(value)
  if (nullable !== true) return schema
  const { enum: values, ...open } = schema
  return {
    anyOf: [
      { type: "null" },
      Array.isArray(values) && values.every((each) => each === null)
        ? { type: "null" }
        : { ...open, ...(values === undefined ? {} : { enum: values }) },
    ],
  }
}

/** A write-only property is required of requests alone. */
function requiredInAnswers(schema: JsonObject): Json {
  const required = schema.required
  if (!Array.isArray(required)) return required ?? []
  const properties = (schema.properties ?? {}) as JsonObject
  return required.filter((name) => (properties[String(name)] as JsonObject | undefined)?.writeOnly !== true)
}

function fits(template: string, requestPath: string): boolean {
  const parts = template.split("/")
  const segments = requestPath.split("/")
  return (
    parts.length === segments.length && parts.every((part, index) => part.startsWith("{") || part === segments[index])
  )
}

function at(value: JsonObject, key: string): JsonObject {
  const inner = value[key]
  if (inner === null || typeof inner !== "object" || Array.isArray(inner))
    throw new Error(`The description has no object at ${key}`)
  return inner
}
