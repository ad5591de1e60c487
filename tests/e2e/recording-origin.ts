/** An origin behind the gateway that remembers what arrived and does what a test tells it: on a real socket, so that connections can be refused, cut and held. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { listen } from "../../emulator/listen.ts"

export interface Arrival {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
  /** Milliseconds, `performance.now()`. */
  readonly atMs: number
}

export type Act = (request: IncomingMessage, response: ServerResponse) => void

export interface RecordingOrigin {
  readonly url: string
  /** In order of arrival; everything whose headers came, answered or not. */
  readonly arrivals: readonly Arrival[]
  /** From here on, instead of `200` and the origin's name. */
  act(act: Act): void
  /** Closes the port and cuts every connection, as a machine does that dies. */
  stop(): Promise<void>
}

export async function startRecordingOrigin(name: string): Promise<RecordingOrigin> {
  const arrivals: Arrival[] = []
  let current: Act = (_request, response) => response.end(name)
  const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
    const { method = "", url = "", headers } = request
    arrivals.push({ method, url, headers, atMs: performance.now() })
    response.setHeader("x-origin", name)
    current(request, response)
  })
  const running = await listen(server, 0)
  return {
    url: running.url,
    arrivals,
    act: (act) => {
      current = act
    },
    stop: running.stop,
  }
}
