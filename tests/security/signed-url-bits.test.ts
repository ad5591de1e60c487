/**
 * Every single-bit change of every signed part of an upload URL (method, host, path, query, and the signature itself), as bytes on the wire. What reaches the files Worker is refused
 * there with 403; what the edge refuses before is listed here, class by class, and there are no others.
 */
import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import path from "node:path"
import { afterAll, expect, it } from "vitest"
import { RELEASE_HEADER } from "../../contracts/reserved-headers.ts"
import { policyFor } from "../../emulator/example-layout.ts"
import { type FileUploadService, startFileUploadService } from "../../emulator/origins/file-upload-service.ts"
import { hmacUrl } from "../../kit/hmac-url.ts"
import { ROOT, usePlatform } from "../harness.ts"

const HOST = "storage.procore.com"
const KEY = randomBytes(32).toString("base64url")
const LANES = 16
const BODY = "content"

let service: FileUploadService
const platform = usePlatform({}, async (running) => {
  service = await startFileUploadService({
    port: 0,
    storageUrl: `https://${HOST}`,
    putKeys: [KEY],
    getKeys: [KEY],
    storeOf: () => null,
  })
  const { audiences } = policyFor(running) as { audiences: Record<string, unknown> }
  await running.api.put("/v1/policy/audiences", { ...audiences, "fus:us01": { origins: [service.url] } })
  await running.putTeam("files", { grants: ["zones:read", "audience:fus:us01"], egress: [service.url] })
  await running.uploadWorker({
    directory: path.join(ROOT, "user-workers/files"),
    team: "files",
    vars: { STORE_ORIGINS: service.url },
    secrets: { URI_INTEGRITY_V2_1_PUT_DECRYPT: KEY, URI_INTEGRITY_V2_1_GET_ENCRYPT: KEY },
    route: { hostname: HOST, path: "/rest/v2.1/*", auth: "optional" },
  })
})
afterAll(() => service?.close())

interface Sent {
  readonly method: string
  readonly host: string
  readonly target: string
}
type Part = keyof Sent

/** Genuine, of an upload that the service does not know: so `upload.unknown` says that the signature was taken for good. */
async function genuine(): Promise<Sent> {
  const links = hmacUrl({ keys: KEY, parameters: ["expires_at", "user_id"] })
  const at = `https://${HOST}/rest/v2.1/companies/100/projects/562949953421312000/uploads/01JEXAMPLE/parts/1`
  const parameters = { expires_at: String(Math.floor(Date.now() / 1000) + 600), user_id: "1234" }
  const url = await links.sign("PUT", at, parameters)
  return { method: "PUT", host: HOST, target: url.slice(`https://${HOST}`.length) }
}

/** `status code`, and whether a Worker gave it; `closed` when there was no answer. */
function answerTo({ method, host, target }: Sent): Promise<string> {
  const { hostname, port } = new URL(platform().edgeUrl)
  // With one, GET is no request to the edge.
  const body = method === "GET" ? "" : BODY
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  return new Promise((resolve) => {
    let answer = ""
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(head + body, "latin1")))
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    // What was read counts, however the connection ends.
    socket.on("error", () => undefined)
    socket.on("close", () => resolve(read(answer)))
  })
}

function read(answer: string): string {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]
  if (status === undefined) return "closed"
  const code = /"code":"([a-z.-]+)"/.exec(answer)?.[1] ?? "-"
  return `${status} ${code}${answer.toLowerCase().includes(`\r\n${RELEASE_HEADER}:`) ? " from the Worker" : ""}`
}

/** Whether it is a request at all: RFC 9110 §5.6.2 (token), RFC 3986 §3.2.2, §3.3 and §3.4 by way of RFC 9112 §3.2.1. */
function isRequest({ method, host, target }: Sent): boolean {
  return (
    /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(method) &&
    /^(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::[0-9]*)?$/.test(host) &&
    /^(?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$/.test(
      target,
    )
  )
}

function* oneBitChanged(sent: Sent, part: Part): Generator<Sent> {
  const text = sent[part]
  for (let at = 0; at < text.length; at++)
    for (let bit = 0; bit < 8; bit++)
      yield {
        ...sent,
        [part]: text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1),
      }
}

/** How many of the changed requests got which answer. */
async function answersTo(changed: readonly Sent[]): Promise<ReadonlyMap<string, Sent[]>> {
  const answers = new Map<string, Sent[]>()
  let next = 0
  const lane = async () => {
    for (let each = changed[next++]; each !== undefined; each = changed[next++]) {
      const answer = await answerTo(each)
      answers.set(answer, [...(answers.get(answer) ?? []), each])
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return answers
}

const FORGED = "403 upload.signature-invalid from the Worker"
const TAKEN = "404 upload.unknown from the Worker"

/** The changed requests that are requests, by their answer, and those that are none. */
async function changedBy(part: Part) {
  const sent = await genuine()
  expect(await answerTo(sent)).toBe(TAKEN)
  const all = [...oneBitChanged(sent, part)]
  const valid = await answersTo(all.filter(isRequest))
  const invalid = await answersTo(all.filter((each) => !isRequest(each)))
  return { sent, valid, invalid, count: all.filter(isRequest).length }
}

it("refuses every changed path, query and signature: with 403 wherever it reaches the Worker", async () => {
  const { sent, valid, invalid, count } = await changedBy("target")
  expect([...valid.keys()].sort()).toEqual(["400 edge.path-ambiguous", FORGED, "404 route.not-found"])
  // All but a few: those of the query and the signature to the last one.
  const forged = valid.get(FORGED) ?? []
  expect(forged.length).toBeGreaterThan(0.9 * count)
  const end = sent.target.indexOf("?") + 1
  const [before, after] = [sent.target.slice(0, end), sent.target.slice(end)]
  for (const [answer, those] of valid)
    if (answer !== FORGED)
      expect(those.filter(({ target }) => target.endsWith(after)).length, answer).toBe(those.length)
  // The path leads elsewhere before anybody looks at a signature.
  for (const { target } of valid.get("404 route.not-found") ?? []) expect(target).not.toMatch(/^\/rest\/v2\.1\//)
  // Parameters of a path segment are read in two ways.
  for (const { target } of valid.get("400 edge.path-ambiguous") ?? [])
    expect(target.slice(0, before.length)).toContain(";")
  expect([...invalid.keys()].filter((answer) => !/^40\d /.test(answer) || answer === TAKEN)).toEqual([])
})

it("refuses every changed host before the Worker, but for capitals, which name the same host", async () => {
  const { valid, invalid } = await changedBy("host")
  expect([...valid.keys()].sort()).toEqual(["400 edge.hostname-invalid", "404 route.hostname-unknown", TAKEN])
  expect(new Set(valid.get(TAKEN)?.map(({ host }) => host.toLowerCase()))).toEqual(new Set([HOST]))
  const elsewhere = valid.get("404 route.hostname-unknown") ?? []
  expect(elsewhere.filter(({ host }) => host.toLowerCase() === HOST)).toEqual([])
  expect([...invalid.keys()].filter((answer) => !/^40\d /.test(answer) || answer === TAKEN)).toEqual([])
})

it("refuses the other methods that HTTP knows with 403, though no bit makes one of them of PUT", async () => {
  const sent = await genuine()
  const methods = ["GET", "POST", "DELETE", "PATCH", "OPTIONS"]
  const answers = await answersTo(methods.map((method) => ({ ...sent, method })))
  expect([...answers.keys()]).toEqual([FORGED])
})

it("refuses every changed method before the Worker: none of them is one that HTTP knows", async () => {
  const { valid, invalid } = await changedBy("method")
  expect([...valid.keys()]).toEqual(["501 -"])
  expect([...invalid.keys()].filter((answer) => !/^40\d /.test(answer))).toEqual([])
})
