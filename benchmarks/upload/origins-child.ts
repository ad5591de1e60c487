/**
 * What lies behind the edge in the benchmark `upload`, in a process of its own so that it shares no event loop with what sends: a store that only counts,
 * or hashes when the object's name says so, and the least of an upload service. Neither checks a signature: the stores of emulator/origins do.
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { OriginsReady } from "./protocol.ts"

/** What the store does, whether the upload service announces the digest, and the size; in the name of upload and object. */
const UPLOAD_ID = /^(?:hash|count)-(plain|sha256)-([0-9]+)-/
/** Of the content of all uploads, hex. */
const sha256 = process.argv[2] ?? ""

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://origin.invalid")
  if (pathname.startsWith("/store/")) return void store(request, response, pathname.slice("/store/".length))
  if (pathname.startsWith("/rest/")) return announce(request, response, pathname)
  response.writeHead(404).end()
})
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo
  process.send?.({ origin: `http://127.0.0.1:${port}` } satisfies OriginsReady)
})
process.once("disconnect", () => process.exit())

/** The ETag says what arrived: its length, and its SHA-256 when asked for. */
async function store(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
  const digest = name.startsWith("hash-") ? createHash("sha256") : null
  let sizeBytes = 0
  request.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.length
    digest?.update(chunk)
  })
  request.once("end", () => {
    response.writeHead(200, { etag: `"${sizeBytes}-${digest?.digest("hex") ?? ""}"`, "content-length": "0" }).end()
  })
  request.once("error", () => response.destroy())
}

function announce(request: IncomingMessage, response: ServerResponse, pathname: string): void {
  if (request.method !== "GET") return void response.writeHead(204).end()
  const id = pathname.split("/").at(-2) ?? ""
  const [, digest, sizeBytes] = UPLOAD_ID.exec(id) ?? []
  const announced = {
    url: `http://${request.headers.host}/store/${id}`,
    method: "PUT",
    headers: {},
    client_headers: {},
    content_length: Number(sizeBytes),
    sha256: digest === "plain" ? null : sha256,
    md5: null,
  }
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(announced))
}
