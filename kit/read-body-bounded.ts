/** A body as text when it is small: whoever sends more is refused before it is all here, whatever length was declared. */

/** Throws RangeError past `maxBytes`. */
export async function readBodyBounded(message: Request | Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let size = 0
  let text = ""
  for await (const chunk of message.body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new RangeError(`The body has more than ${maxBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
