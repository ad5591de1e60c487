/**
 * multipart/form-data as bytes, with each part's own headers. The runtime's `formData()` is not used because it turns parts without
 * a filename into text and forgets their Content-Type, and both decide here what a part is.
 * @see RFC 7578, RFC 2046 §5.1.1
 */
import { fail } from "../envelope.ts"

export interface FormPart {
  readonly name: string
  /** Null when the part has none, which is not the same as an empty one. */
  readonly filename: string | null
  /** The part's Content-Type without parameters, lower case; null when absent. */
  readonly type: string | null
  readonly body: Uint8Array
}

/** @throws ApiFailure validation when the form is not whole: no boundary, a part without a name, no end. */
export function parseMultipart(body: Uint8Array, contentType: string): FormPart[] {
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const token = boundary?.[1] ?? boundary?.[2]
  if (token === undefined) throw broken("no multipart boundary param in Content-Type")
  const delimiter = ascii(`--${token}`)
  const parts: FormPart[] = []
  let position = indexOf(body, delimiter, 0)
  if (position < 0) throw broken("the multipart body does not begin with its boundary")
  position += delimiter.length
  while (!startsWith(body, ascii("--"), position)) {
    const end = indexOf(body, ascii(`\r\n--${token}`), position)
    if (end < 0) throw broken("the multipart body ends before its last boundary")
    parts.push(parsePart(body.subarray(position, end)))
    position = end + 2 + delimiter.length
  }
  return parts
}

function parsePart(raw: Uint8Array): FormPart {
  const headerEnd = indexOf(raw, ascii("\r\n\r\n"), 0)
  if (headerEnd < 0) throw broken("a part has no headers")
  const headers = new TextDecoder().decode(raw.subarray(0, headerEnd)).split("\r\n")
  const disposition = headerValue(headers, "content-disposition") ?? ""
  const name = parameter(disposition, "name")
  if (name === null) throw broken("a part has no name")
  const type = headerValue(headers, "content-type")
  return {
    name,
    filename: parameter(disposition, "filename"),
    type: type === null ? null : (type.split(";")[0] ?? "").trim().toLowerCase(),
    body: raw.subarray(headerEnd + 4),
  }
}

function headerValue(headers: readonly string[], name: string): string | null {
  const line = headers.find((header) => header.toLowerCase().startsWith(`${name}:`))
  return line === undefined ? null : line.slice(name.length + 1).trim()
}

/** Browsers and undici escape `"`, CR and LF as %22, %0D and %0A, and nothing else; curl escapes with a backslash. */
function parameter(disposition: string, name: string): string | null {
  const match = new RegExp(`(?:^|[;\\s])${name}=(?:"((?:\\\\.|[^"\\\\])*)"|([^;\\s]+))`, "i").exec(disposition)
  const value = match?.[1] ?? match?.[2]
  if (value === undefined) return null
  return value.replace(/\\(["\\])/g, "$1").replace(/%(22|0D|0A)/gi, (escaped) => decodeURIComponent(escaped))
}

function indexOf(haystack: Uint8Array, needle: Uint8Array, from: number): number {
  const first = needle[0] ?? 0
  for (let at = haystack.indexOf(first, from); at >= 0; at = haystack.indexOf(first, at + 1))
    if (startsWith(haystack, needle, at)) return at
  return -1
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array, at: number): boolean {
  if (at + prefix.length > bytes.length) return false
  return prefix.every((byte, index) => bytes[at + index] === byte)
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function broken(message: string) {
  return fail("validation", { message })
}
