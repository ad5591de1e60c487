/**
 * What an operation of `/v1` is: one value that says its path, who may call it, what it takes and answers, and does it.
 * serve.ts runs it, openapi.ts describes it, and the access table of the tests is made from it. Leaf types, and the few ways to answer.
 */
import type { z } from "zod"
import type { ProblemCode } from "../../../contracts/problem-codes.ts"
import type { Actor } from "../actor.ts"
import type { Dependencies } from "../dependencies.ts"
import type { Page } from "../store/page.ts"

/**
 * Who may call. `ops`: others get `api.forbidden`. `owner`: the team that `of` names, or ops; others get the same `api.not-found` as if the thing were absent.
 * `any`: every valid token; the operation itself shows each only its own, or decides inside the change (as where a name is claimed).
 */
export type Access<Params> =
  | { readonly who: "any" }
  | { readonly who: "ops" }
  | {
      readonly who: "owner"
      /** Whose the thing is (`team: null`: ops' own); null when there is no such thing. */
      readonly of: (params: Params, deps: Dependencies) => Promise<{ readonly team: string | null } | null>
    }

export interface Call<Params, Query, Body> {
  readonly actor: Actor
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** For conditions and uploads; the body of a JSON operation has been read. */
  readonly request: Request
  /** Under which to record the deployment that is asked for: one of that id is there already when the request is a repeat. Null without an Idempotency-Key. */
  readonly deploymentId: string | null
  readonly deps: Dependencies
}

export interface Answer {
  readonly status: 200 | 201 | 204
  readonly body?: unknown
  /** A single thing gets an ETag, the digest of what is answered; a list does not. */
  readonly tagged?: boolean
  /** The ETag of what has one by itself, in quotes; null where it has none yet. */
  readonly etag?: string | null
  /** The config revision in force after a change. */
  readonly configRevision?: number | null
}

type Shape = z.ZodType
type Fields = z.ZodObject
type OutputOf<T> = T extends z.ZodType ? z.output<T> : undefined

export interface Operation<
  P extends Fields = Fields,
  Q extends Fields = Fields,
  B extends Shape | undefined = undefined,
> {
  /** `noun.verb`, also the OpenAPI operationId. */
  readonly id: string
  readonly method: "GET" | "PUT" | "POST" | "DELETE"
  /** Path with `{parameters}`. */
  readonly path: `/v1/${string}`
  readonly summary: string
  readonly access: Access<z.output<P>>
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** A body that could be sent, for the description. */
  readonly example?: B extends Shape ? z.input<B> : never
  /** Upper bound of the body, bytes; 1 MiB unless it says otherwise. */
  readonly bodyBytes?: number
  /** The operation reads a multipart body itself, with bounds of its own. */
  readonly multipart?: boolean
  /** An `Idempotency-Key` is honoured. */
  readonly idempotencyKey?: boolean
  readonly answers: Readonly<
    Partial<Record<200 | 201 | 204, { readonly description: string; readonly shape?: NamedShape }>>
  >
  /** Codes beyond those that every operation may answer. */
  readonly problems?: readonly ProblemCode[]
  readonly handle: (call: Call<z.output<P>, z.output<Q>, OutputOf<B>>) => Promise<Answer | Response>
}

/** What a PUT answers to a name outside the grammar, with what the grammar is; null where it is answered as absent. */
export function nameProblemOf({ method, params }: Pick<AnyOperation, "method" | "params">): ProblemCode | null {
  if (method !== "PUT" || params === undefined) return null
  return "script" in params.shape ? "script.name-invalid" : "api.name-invalid"
}

/** A shape that the description lists under a name. */
export interface NamedShape {
  readonly name: string
  readonly shape: Shape
}

/** An operation whatever it takes: what the registry holds. */
export interface AnyOperation extends Omit<Operation, "access" | "params" | "query" | "body" | "example" | "handle"> {
  readonly access: Access<Record<string, unknown>>
  readonly params?: Fields
  readonly query?: Fields
  readonly body?: Shape
  readonly example?: unknown
  readonly handle: (call: Call<Record<string, unknown>, Record<string, unknown>, unknown>) => Promise<Answer | Response>
}

/**
 * Checks an operation against its own schemas, then forgets them: serve.ts parses params, query and body by exactly these schemas before it calls.
 */
export function defineOperation<
  P extends Fields = z.ZodObject<Record<never, never>>,
  Q extends Fields = z.ZodObject<Record<never, never>>,
  B extends Shape | undefined = undefined,
>(operation: Operation<P, Q, B>): AnyOperation {
  return operation as unknown as AnyOperation
}

export function answerThing(body: unknown, status: 200 | 201 = 200): Answer {
  return { status, body, tagged: true }
}

export function answerPage<T>(page: Page<T>, toShape: (item: T) => unknown): Answer {
  return { status: 200, body: { items: page.items.map(toShape), nextCursor: page.nextCursor } }
}

/** After a change: the thing as it is now (or, in a dry run, as it would be) and the revision in force. */
export function answerChange(changed: {
  readonly result: { readonly body: unknown; readonly created: boolean }
  readonly revision: number | null
}): Answer {
  const { body, created } = changed.result
  return { status: created ? 201 : 200, body, tagged: true, configRevision: changed.revision }
}
