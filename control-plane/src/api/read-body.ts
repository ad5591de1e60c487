/** Request bodies, read in one way only: declared as JSON, bounded, UTF-8, no key twice, of the operation's schema. */
import type { z } from "zod"
import { toFaults } from "../../../contracts/to-faults.ts"
import { refuse } from "../../../kit/problem.ts"
import { findJsonKeyFault } from "../json-key-fault.ts"

/** `application/json`, alone or with `charset=utf-8`; any other parameter or spelling is refused. */
const JSON_TYPE = /^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i

/** Throws `api.media-type`, `api.too-large`, `api.body-invalid` with pointers. */
export async function readBody<T extends z.ZodType>(
  request: Request,
  shape: T,
  maxBytes: number,
): Promise<z.output<T>> {
  if (!JSON_TYPE.test(request.headers.get("content-type")?.trim() ?? ""))
    throw refuse("api.media-type", { headers: { accept: "application/json" } })
  if (request.headers.has("content-encoding"))
    throw refuse("api.media-type", { detail: "Send the body without Content-Encoding." })
  const text = await readText(request, maxBytes)
  const parsed = shape.safeParse(parseJson(text))
  if (!parsed.success) throw refuse("api.body-invalid", { errors: toFaults(parsed.error) })
  return parsed.data
}

/** Counts while it reads: a chunked body declares no length. */
async function readText(request: Request, maxBytes: number): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw refuse("api.too-large")
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let text = ""
  let sizeBytes = 0
  try {
    for await (const chunk of request.body ?? []) {
      sizeBytes += chunk.byteLength
      if (sizeBytes > maxBytes) throw refuse("api.too-large")
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (failure) {
    if (failure instanceof TypeError) throw refuse("api.body-invalid", { detail: "The body is not UTF-8." })
    throw failure
  }
}

function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse("api.body-invalid", { detail: "The body is not JSON." })
  }
  const fault = findJsonKeyFault(text)
  if (fault !== null) throw refuse("api.body-invalid", { errors: [fault] })
  return value
}
