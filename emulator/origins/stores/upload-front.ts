/**
 * Stands before a store that runs in a process of its own and counts the uploads under way there, which no such store tells. It passes on every byte as
 * it came, `Host` too, because signatures cover it; a client that goes away is gone for the store as well.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import { pipeline } from "node:stream"
import { IDLE_MS, listen } from "../../listen.ts"

export interface UploadFront {
  /** `http://127.0.0.1:port`. */
  readonly origin: string
  /** PUT requests that are neither answered nor broken off. */
  openUploads(): number
  close(): Promise<void>
}

/** `target`: origin of the store. `port` 0 takes any free one. Rejects when it is taken. */
export async function startUploadFront(target: string, port: number): Promise<UploadFront> {
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS })
  const uploads = new Set<ServerResponse>()
  const server = createServer((incoming, outgoing) => {
    if (incoming.method === "PUT") {
      uploads.add(outgoing)
      outgoing.once("close", () => uploads.delete(outgoing))
    }
    passOn(target, agent, incoming, outgoing)
  })
  const { url, stop } = await listen(server, port)
  return {
    origin: url,
    openUploads: () => uploads.size,
    close: () => {
      agent.destroy()
      return stop()
    },
  }
}

function passOn(target: string, agent: Agent, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { hostname, port } = new URL(target)
  const { method, url, rawHeaders } = incoming
  const onward = request({ hostname, port, agent, method, path: url, headers: rawHeaders, setHost: false })
  onward.once("response", (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    pipeline(answer, outgoing, () => {})
  })
  // A store that refuses early answers and then breaks off what it did not read.
  onward.on("error", () => {
    if (!outgoing.headersSent) outgoing.destroy()
  })
  outgoing.once("close", () => onward.destroy())
  incoming.pipe(onward)
}
