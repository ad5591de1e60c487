/** Sizes: URL, headers, and the body's declared length. A chunked body declares none; the platform bounds it. */
import type { ScreenConfig } from "../../../contracts/dispatch-config.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

type SizeRules = ScreenConfig["size"]

export function checkUrlSize(urlBytes: number, rules: SizeRules): Refusal | null {
  return urlBytes > rules.urlBytes ? refuse("edge.url-too-long", { log: { urlBytes } }) : null
}

export function checkHeaderSize(headerBytes: number, rules: SizeRules): Refusal | null {
  return headerBytes > rules.headerBytes ? refuse("edge.headers-too-large", { log: { headerBytes } }) : null
}

/** `contentLength` is null when the client did not declare one. */
export function checkBodySize(contentLength: number | null, rules: SizeRules): Refusal | null {
  if (contentLength === null || contentLength <= rules.bodyBytes) return null
  return refuse("edge.body-too-large", { log: { contentLength } })
}
