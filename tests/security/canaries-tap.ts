/** A look at the wire: passes bytes on between whoever connects and an origin, and keeps all of them, both ways. */

import type { AddressInfo } from "node:net"
import { connect, createServer } from "node:net"

export interface Tap {
  /** `http://127.0.0.1:<port>`, in place of the origin's. */
  readonly url: string
  /** Everything that passed so far, by connection. */
  text(): string
  close(): Promise<void>
}

/** Starts it before `origin`, an `http://` URL of this machine. */
export async function tapBefore(origin: string): Promise<Tap> {
  const { hostname, port } = new URL(origin)
  const connections: Buffer[][] = []
  const server = createServer((client) => {
    const kept: [Buffer[], Buffer[]] = [[], []]
    connections.push(...kept)
    const upstream = connect({ host: hostname, port: Number(port) })
    client.on("data", (chunk: Buffer) => kept[0].push(chunk))
    upstream.on("data", (chunk: Buffer) => kept[1].push(chunk))
    client.pipe(upstream).pipe(client)
    client.on("error", () => upstream.destroy())
    upstream.on("error", () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    text: () => connections.map((chunks) => Buffer.concat(chunks).toString("latin1")).join("\n"),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
