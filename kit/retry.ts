/**
 * Whether a request that got no answer may be sent again. It may have been acted on: from outside, a connection that was refused and one that broke after the request look alike.
 * @see RFC 9110 §9.2.2
 */

/** TRACE is idempotent as well, but no gateway passes it on. */
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])

/** True when doing it twice is as doing it once, and there is no body, which a first try may have used up. `method` in upper case. */
export function mayBeRepeated(method: string, body: unknown): boolean {
  return IDEMPOTENT_METHODS.has(method) && body === null
}
