/** Google's published V4 signing vectors: the check that the example store relies on accepts each as signed, and none when anything is changed. */
import { createPublicKey } from "node:crypto"
import { readFileSync } from "node:fs"
import path from "node:path"
import { describe, expect, it } from "vitest"
import { faultOfGcsSignature, type SignedRequest } from "./gcs-signature.ts"

interface Vector {
  readonly description: string
  readonly method: string
  readonly timestamp: string
  /** Seconds. */
  readonly expiration: number
  readonly headers?: Readonly<Record<string, string>>
  readonly expectedUrl: string
}
const file = path.join(import.meta.dirname, "gcs-signature.vectors.json")
const { email, publicKey, vectors } = JSON.parse(readFileSync(file, "utf8")) as {
  readonly email: string
  readonly publicKey: string
  readonly vectors: readonly Vector[]
}
const key = createPublicKey(publicKey)
const publicKeyOf = (asked: string) => (asked === email ? key : null)

function requestOf({ method, headers = {}, expectedUrl }: Vector): SignedRequest {
  // Not by URL: it would already have normalised the path.
  const [, host = "", target = ""] = /^https?:\/\/([^/]+)(.*)$/.exec(expectedUrl) ?? []
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])
  return { method, target, headers: { ...Object.fromEntries(named), host } }
}

function faultOf(request: SignedRequest, now: number) {
  return faultOfGcsSignature(request, { publicKeyOf, now })
}

describe.each(vectors)("$description", (vector) => {
  const request = requestOf(vector)
  const signedAt = Date.parse(vector.timestamp)
  const lastMs = signedAt + vector.expiration * 1000 - 1

  it("is accepted from its date to the end of its time", () => {
    expect(faultOf(request, signedAt)).toBeNull()
    expect(faultOf(request, lastMs)).toBeNull()
  })

  it("is expired a millisecond later, and not yet good long before", () => {
    expect(faultOf(request, lastMs + 1)?.code).toBe("ExpiredToken")
    expect(faultOf(request, signedAt - 15 * 60_000 - 1)?.code).toBe("ExpiredToken")
  })

  it("is refused with any single bit of its signature changed", () => {
    const [before = "", signature = ""] = request.target.split(/(?<=x-goog-signature=)/i)
    const bytes = Buffer.from(signature, "hex")
    for (let bit = 0; bit < bytes.length * 8; bit += 61) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const target = before + changed.toString("hex")
      expect(faultOf({ ...request, target }, signedAt)?.code, `bit ${bit}`).toBe("SignatureDoesNotMatch")
    }
  })

  it("is refused for another method, host or path, and with a parameter more", () => {
    const others: SignedRequest[] = [
      { ...request, method: vector.method === "GET" ? "PUT" : "GET" },
      { ...request, headers: { ...request.headers, host: "storage.example" } },
      { ...request, target: request.target.replace("?", "x?") },
      { ...request, target: `${request.target}&generation=1` },
    ]
    for (const other of others) expect(faultOf(other, signedAt)?.code).toBe("SignatureDoesNotMatch")
  })

  it("is refused without one of its headers, with another value of one, and with a header more that GCS obeys", () => {
    for (const name of Object.keys(request.headers)) {
      const { [name]: value, ...rest } = request.headers
      expect(faultOf({ ...request, headers: rest }, signedAt)?.code, name).toBe("MalformedSecurityHeader")
      const headers = { ...rest, [name]: `${value}x` }
      expect(faultOf({ ...request, headers }, signedAt)?.code, name).toBe("SignatureDoesNotMatch")
    }
    const headers = { ...request.headers, "x-goog-acl": "public-read" }
    expect(faultOf({ ...request, headers }, signedAt)?.code).toBe("MalformedSecurityHeader")
    expect(faultOf({ ...request, headers: { ...request.headers, "x-other": "free" } }, signedAt)).toBeNull()
  })
})

describe("a request without a proper signature", () => {
  const [vector] = vectors
  if (vector === undefined) throw new Error("there are no vectors")
  const request = requestOf(vector)
  const now = Date.parse(vector.timestamp)
  const withQuery = (change: (query: string) => string): SignedRequest => {
    const [path, query = ""] = request.target.split("?")
    return { ...request, target: `${path}?${change(query)}` }
  }

  it.each([
    ["no query", () => "", "AuthenticationRequired"],
    ["no signature", (query: string) => query.replace(/&X-Goog-Signature=.*/, ""), "AuthenticationRequired"],
    ["two signatures", (query: string) => `${query}&x-goog-signature=00`, "AuthenticationRequired"],
    ["two dates", (query: string) => `${query}&X-Goog-Date=20190201T090000Z`, "InvalidArgument"],
    ["another algorithm", (query: string) => query.replace("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"), "InvalidArgument"],
    ["a date that is none", (query: string) => query.replace("T090000Z", "T990000Z"), "InvalidArgument"],
    ["a scope of another day", (query: string) => query.replace("%2F20190201%2F", "%2F20190202%2F"), "InvalidArgument"],
    ["a scope of another service", (query: string) => query.replace("storage%2F", "compute%2F"), "InvalidArgument"],
    ["no time at all", (query: string) => query.replace("Expires=10", "Expires=0"), "InvalidArgument"],
    ["more than seven days", (query: string) => query.replace("Expires=10", "Expires=604801"), "InvalidArgument"],
    ["a signature that is not hex", (query: string) => `${query}g`, "InvalidArgument"],
    ["a signature with half a byte more", (query: string) => `${query}0`, "InvalidArgument"],
    ["an encoding that is none", (query: string) => `a=%zz&${query}`, "InvalidArgument"],
    ["an account nobody knows", (query: string) => query.replace("test-iam", "else-iam"), "SignatureDoesNotMatch"],
    [
      "no signed host",
      (query: string) => query.replace("SignedHeaders=host", "SignedHeaders=range"),
      "MalformedSecurityHeader",
    ],
  ])("is refused: %s", (_what, change, code) => {
    expect(faultOf(withQuery(change), now)?.code).toBe(code)
  })
})
