/**
 * Ends a response whose origin has stopped sending, so that no client waits on a body that will never end. The runtime tells nobody how a body gets on,
 * so its bytes pass through here, 64 KiB at a time: about two thirds of the native speed. One that the client is slow to take is not idle.
 */

const CHUNK_BYTES = 65_536

/**
 * The same response, broken off when `idleMs` pass without a byte from the origin; `abort` then ends the call to it. 0 leaves it as it is, and so do an encoded body,
 * which reading would decode, and a WebSocket.
 */
export function endWhenIdle(response: Response, idleMs: number, abort: () => void): Response {
  const { body, headers } = response
  if (idleMs === 0 || body === null || response.webSocket !== null || headers.has("content-encoding")) return response
  const length = headers.get("content-length")
  const through = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length))
  void pump(body, through.writable, idleMs, abort)
  return new Response(through.readable, response)
}

/** Never rejects: what goes wrong on one side is the other side's to see. */
async function pump(from: ReadableStream, to: WritableStream, idleMs: number, abort: () => void): Promise<void> {
  const reader = from.getReader({ mode: "byob" })
  const writer = to.getWriter()
  const watch = watchIdle(idleMs, abort)
  try {
    let buffer = new Uint8Array(CHUNK_BYTES)
    for (;;) {
      watch.begin()
      const { done, value } = await reader.read(buffer)
      watch.end()
      if (done) break
      await writer.write(value)
      buffer = new Uint8Array(value.buffer)
    }
    await writer.close()
  } catch (cause) {
    await Promise.allSettled([writer.abort(cause), reader.cancel(cause)])
  } finally {
    watch.stop()
  }
}

/** One timer for the whole body, set again only when it goes off. */
function watchIdle(idleMs: number, onIdle: () => void) {
  let since: number | null = null
  let timer = setTimeout(look, idleMs)
  function look() {
    const waitedMs = since === null ? 0 : Date.now() - since
    if (waitedMs >= idleMs) return onIdle()
    timer = setTimeout(look, idleMs - waitedMs)
  }
  return {
    begin() {
      since = Date.now()
    },
    end() {
      since = null
    },
    stop: () => clearTimeout(timer),
  }
}
