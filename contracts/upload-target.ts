/**
 * Where the bytes of one upload go: what a zone's file upload service answers to `GET …/url`, as the files Worker reads it. The service is a backend of another team,
 * so an answer that is not wholly as it must be is none.
 */
import { isRecord } from "./is-record.ts"

/** Bytes: a part is larger than the first, but for the last one, and at most as large as the second. */
const MIN_PART_BYTES = 5 * 1024 * 1024
const MAX_PART_BYTES = 100 * 1024 * 1024
const HEX = { sha256: /^[0-9a-f]{64}$/, md5: /^[0-9a-f]{32}$/ }

/** A presigned PUT into an object store, and what is to arrive there. */
export interface UploadTarget {
  readonly url: string
  /** For the store; some are signed. */
  readonly headers: Readonly<Record<string, string>>
  /** What the client was told to send. */
  readonly clientHeaders: Readonly<Record<string, string>>
  /** Bytes, at least 1. */
  readonly contentLength: number
  /** Lower-case hex, or null when none was announced. */
  readonly sha256: string | null
  readonly md5: string | null
}

/**
 * The target in `answer`, parsed JSON: `{ method: "PUT", url, headers, client_headers, content_length, sha256, md5, is_last }`. Null when anything is missing or of another shape, also for headers that
 * are none. Of a part, besides, when it has no SHA-256 or a size that no part may have.
 */
export function parseUploadTarget(answer: unknown, isPart: boolean): UploadTarget | null {
  if (!isRecord(answer) || answer.method !== "PUT") return null
  const { url, headers, client_headers: clientHeaders, content_length: contentLength, sha256, md5 } = answer
  if (typeof url !== "string" || !isHeaders(headers) || !isHeaders(clientHeaders)) return null
  if (!Number.isSafeInteger(contentLength) || Number(contentLength) < 1) return null
  if (!isDigest(sha256, HEX.sha256) || !isDigest(md5, HEX.md5)) return null
  const sizeBytes = Number(contentLength)
  const isPartSize = sizeBytes <= MAX_PART_BYTES && (answer.is_last === true || sizeBytes > MIN_PART_BYTES)
  if (isPart && (!isPartSize || sha256 === null)) return null
  return { url, headers, clientHeaders, contentLength: sizeBytes, sha256, md5 }
}

function isDigest(value: unknown, shape: RegExp): value is string | null {
  return value === null || (typeof value === "string" && shape.test(value))
}

function isHeaders(value: unknown): value is Record<string, string> {
  if (!isRecord(value) || !Object.values(value).every((each) => typeof each === "string")) return false
  try {
    new Headers(value as Record<string, string>)
    return true
  } catch {
    return false
  }
}
