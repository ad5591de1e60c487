/**
 * How the example origins check a passport: by the verify kit for Node that backends copy (docs/verify/node), which imports nothing of the gateway; so they prove what any
 * backend can do. Here is only what a laptop needs: the key set is read from the local edge under the hostname that it is meant for.
 */
import http from "node:http"
import { type Verdict, passportVerifier as verifierOf } from "../../docs/verify/node/verify-passport.ts"

export type { Verdict } from "../../docs/verify/node/verify-passport.ts"

const HEADER = "x-passport"

export interface VerifierOptions {
  /** Expected `iss`. */
  readonly issuer: string
  /** Expected `aud`, such as `cell:us01`. */
  readonly audience: string
  /** Where the edge listens; its key set is at /.well-known/jwks.json on every hostname. */
  readonly edgeUrl: string
  /** A hostname of the edge, sent as Host. */
  readonly hostname: string
  readonly now?: () => number
}

/** A verifier with a key cache of its own. Its verdict's `reason` is for the cell's log and, as this is an example, for its answer. */
export function passportVerifier(options: VerifierOptions): (headers: http.IncomingHttpHeaders) => Promise<Verdict> {
  const { edgeUrl, hostname, ...rest } = options
  const keySetUrl = new URL("/.well-known/jwks.json", edgeUrl).href
  const verify = verifierOf({ ...rest, keySetUrl, readKeySet: () => getText(keySetUrl, hostname) })
  return (headers) => verify(headers[HEADER])
}

/** Node's `fetch` does not let one set Host, and the edge tells hostnames apart by it. */
async function getText(url: string, hostname: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { headers: { host: hostname }, timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"))
        else reject(new Error(`The key set answered ${response.statusCode}`))
      })
    })
    request.once("timeout", () => request.destroy(new Error("The key set did not answer")))
    request.once("error", reject)
  })
}
