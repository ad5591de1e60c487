/**
 * Who may make a browser use its session. A cookie comes along whoever asks, so that what changes something, or opens a connection that the asking page can read, has to come from a page of
 * the same origin. Another host of the same site is as foreign as any: `SameSite=Lax` does not tell them apart.
 */
import { refuse } from "../../../kit/problem.ts"

/** RFC 9110 §9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

/**
 * Passes safe methods, and others when the browser says `same-origin`; where it says nothing, as at a WebSocket's opening, `Origin` has to be the own one.
 * What the user typed (`none`) changes nothing either. Refuses `auth.cross-site`.
 */
export function refuseCrossSite(inbound: {
  readonly method: string
  readonly upgrade: boolean
  readonly fetchSite: string | null
  readonly isOwnOrigin: boolean
}): void {
  if (SAFE_METHODS.has(inbound.method) && !inbound.upgrade) return
  const isOwn = inbound.fetchSite === null ? inbound.isOwnOrigin : inbound.fetchSite === "same-origin"
  if (!isOwn) throw refuse("auth.cross-site")
}
