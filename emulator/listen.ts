/** Puts a Node server on a loopback port and takes it down again without leaving a connection open. */
import type { Server } from "node:http"
import type { AddressInfo, Socket } from "node:net"

/** Longer than any caller here keeps a connection that it does not use. */
const KEEP_ALIVE_MS = 120_000
/** How long callers here keep one to workerd, which ends an idle connection after five seconds. */
export const IDLE_MS = 2_000

export interface RunningServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  stop(): Promise<void>
}

/** Rejects when the port is taken. `port` 0 takes any free one. */
export async function listen(server: Server, port: number): Promise<RunningServer> {
  // Node ends an idle connection after five seconds, and whoever sends on it in that moment gets a reset instead of an answer.
  server.keepAliveTimeout = KEEP_ALIVE_MS
  // Upgraded sockets leave the server's own list, so they are counted here.
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject)
      resolve()
    })
  })
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${bound}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
