/** One upload, from a process of its own; what and where comes as JSON on the command line. Started by send.ts; the answer is one JSON line. */
import { request } from "node:http"
import { contentBlock, type Sending, type Sent } from "./protocol.ts"

const { origin, hostname, target, sizeBytes } = JSON.parse(process.argv[2] ?? "{}") as Sending
const block = Buffer.from(await contentBlock())
const { hostname: host, port } = new URL(origin)
const headers = { host: hostname, "content-length": String(sizeBytes) }

const startedAt = performance.now()
const tell = (told: Omit<Sent, "seconds">) =>
  process.stdout.write(JSON.stringify({ ...told, seconds: (performance.now() - startedAt) / 1000 } satisfies Sent))
const client = request({ host, port, method: "PUT", path: target, headers, setHost: false }, (response) => {
  let body = ""
  response.on("data", (chunk: Buffer) => {
    body += chunk.toString()
  })
  response.once("end", () => {
    tell({ status: response.statusCode ?? 0, etag: response.headers.etag ?? "", body })
    client.destroy()
  })
})
client.once("error", (error) => tell({ status: 0, etag: "", body: String(error) }))

let left = sizeBytes
function pump(): void {
  while (left > 0) {
    const piece = left < block.length ? block.subarray(0, left) : block
    left -= piece.length
    if (!client.write(piece)) return void client.once("drain", pump)
  }
  client.end()
}
pump()
