/** One matched request, as operations get it. */
import type { Dependencies } from "./dependencies.ts"
import { fail } from "./envelope.ts"

export interface Call {
  readonly request: Request
  readonly url: URL
  readonly query: URLSearchParams
  /** A path parameter, decoded. Throws a plain Error when the route has no such parameter: that is a bug. */
  readonly param: (name: string) => string
}

export type Operation = (call: Call, deps: Dependencies) => Response | Promise<Response>

/** The request body as a JSON object. @throws ApiFailure malformed */
export async function jsonBody(call: Call): Promise<Record<string, unknown>> {
  const value: unknown = await call.request.json().catch(() => null)
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>
  throw fail("malformed", { message: "the body must be a JSON object" })
}

/** A non-empty string member. @throws ApiFailure malformed */
export function stringMember(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name]
  if (typeof value === "string" && value !== "") return value
  throw fail("malformed", { message: `${name} must be a non-empty string`, pointer: `/${name}` })
}
