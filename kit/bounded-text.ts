/** A body as text, read no further than it may be long: a chunked body declares no length. */

/** Null when the body is longer than `maxBytes` or not UTF-8; whoever sends it is not listened to any longer. Throws what kept it from being read. */
export async function boundedText(message: Request | Response, maxBytes: number): Promise<string | null> {
  if (Number(message.headers.get("content-length") ?? 0) > maxBytes) {
    await message.body?.cancel()
    return null
  }
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false })
  let text = ""
  let sizeBytes = 0
  for await (const chunk of message.body ?? []) {
    sizeBytes += chunk.byteLength
    const piece = sizeBytes > maxBytes ? null : decoded(decoder, chunk)
    if (piece === null) return null
    text += piece
  }
  const end = decoded(decoder)
  return end === null ? null : text + end
}

/** The next characters that are whole; without a chunk the last ones. Null for what is no UTF-8. */
function decoded(decoder: TextDecoder, chunk?: Uint8Array): string | null {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
  } catch {
    return null
  }
}
