/** A request's body as text, read no further than it may be long: a chunked body declares no length. */

/** Null when the body is longer than `maxBytes` or not UTF-8. */
export async function boundedText(request: Request, maxBytes: number): Promise<string | null> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) return null
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let text = ""
  let sizeBytes = 0
  try {
    for await (const chunk of request.body ?? []) {
      sizeBytes += chunk.byteLength
      if (sizeBytes > maxBytes) return null
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (failure) {
    if (failure instanceof TypeError) return null
    throw failure
  }
}
