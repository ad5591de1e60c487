/**
 * TLS before the local edge, as Cloudflare has it in production. Browsers take the Reporting API's headers from https alone, so that what they do with them
 * can be seen only behind this. The certificate is made for the run and known to one browser by its key's hash.
 */
import { createHash, createPublicKey } from "node:crypto"
import http from "node:http"
import https from "node:https"
import { generate } from "selfsigned"
import { listen } from "../../emulator/listen.ts"

export interface TlsFront {
  readonly port: number
  /** What Chromium's `--ignore-certificate-errors-spki-list` wants. */
  readonly keyHash: string
  close(): Promise<void>
}

/** Passes every request on to `origin` (http) with its Host as it came. */
export async function startTlsFront(origin: string): Promise<TlsFront> {
  const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], { keyType: "ec" })
  const server = https.createServer({ cert, key }, (request, response) => {
    const { method, headers } = request
    const onward = http.request(new URL(request.url ?? "/", origin), { method, headers })
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(response)
    })
    onward.on("error", () => response.destroy())
    request.pipe(onward)
  })
  const { url, stop } = await listen(server, 0)
  const publicKey = createPublicKey(cert).export({ type: "spki", format: "der" })
  return {
    port: Number(new URL(url).port),
    keyHash: createHash("sha256").update(publicKey).digest("base64"),
    close: stop,
  }
}
