/** The outbound Worker as it is deployed, between a team's Worker and origins on real sockets: what unit tests cannot show. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest"
import { listen, type RunningServer } from "../../emulator/listen.ts"

/** Makes the call that its own request describes and tells what it saw. */
const TEAM_WORKER = `export default { async fetch(request) {
  const { url, init } = JSON.parse(request.headers.get("x-call"))
  if (init.passOn) return fetch(new Request(url, request))
  if (init.body === "relay") init.body = request.body
  if (init.upgrade) {
    const response = await fetch(url, { headers: { Upgrade: "websocket" } })
    const socket = response.webSocket
    if (!socket) return response
    socket.accept()
    const heard = new Promise((resolve) => socket.addEventListener("message", (event) => resolve(event.data)))
    socket.send("ping")
    return new Response(await heard)
  }
  if (init.abortAfterFirstByte) {
    const abort = new AbortController()
    const response = await fetch(url, { signal: abort.signal })
    await response.body.getReader().read()
    abort.abort()
    return new Response("aborted")
  }
  return fetch(url, init)
} }`

const FAILING_WORKER = "export default { fetch() { throw new Error('down') } }"
const DIRECT = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] }

/** What follows the first line; hardly any client library sends these. */
const BODIES_OF_GET = {
  "Content-Length: 0": "Content-Length: 0\r\n\r\n",
  "a body": "Content-Length: 5\r\n\r\nhello",
  "a chunked body": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}

const heard: {
  origin: string
  method: string
  path: string
  headers: IncomingMessage["headers"]
  body: string
}[] = []
const servers: RunningServer[] = []
let listed: string
let cell: string
let otherCell: string
let refused: string
let unlisted: string
let miniflare: Miniflare
let folder: string
let streamClosed: Promise<void>

beforeAll(async () => {
  listed = await startOrigin("listed")
  cell = await startOrigin("cell")
  otherCell = await startOrigin("other cell")
  refused = await startOrigin("refused")
  unlisted = await startOrigin("unlisted")
  folder = mkdtempSync(join(tmpdir(), "outbound-"))
  execFileSync(
    process.execPath,
    [
      "node_modules/wrangler/bin/wrangler.js",
      "deploy",
      "--dry-run",
      "-c",
      "outbound/wrangler.toml",
      "--env=",
      "--outdir",
      folder,
    ],
    { env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" } },
  )
  const outbound = {
    modules: [
      {
        type: "ESModule" as const,
        path: "index.js",
        contents: readFileSync(join(folder, "index.js"), "utf8"),
      },
    ],
    compatibilityDate: "2026-10-01",
    compatibilityFlags: ["enable_request_signal", "global_fetch_strictly_public"],
  }
  const team = {
    modules: [{ type: "ESModule" as const, path: "team.js", contents: TEAM_WORKER }],
    compatibilityDate: "2026-10-01",
  }
  const egress = {
    team: "web",
    script: "team",
    version: 1,
    allow: [listed],
    audiences: { "cell:us01": [cell], "cell:uk01": [otherCell], refused: [refused] },
  }
  const exchange = {
    modules: [
      {
        type: "ESModule" as const,
        path: "exchange.mjs",
        contents: readFileSync("outbound/test/dispatcher-fixture.mjs", "utf8"),
      },
    ],
    compatibilityDate: "2026-10-01",
  }
  const serviceBindings = { EXCHANGE: { name: "exchange", entrypoint: "PassportExchange" } }
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [
        { name: "team", ...team, ...DIRECT, outboundService: "outbound" },
        { name: "team-without-policy", ...team, ...DIRECT, outboundService: "outbound-without-policy" },
        { name: "team-with-outbound-down", ...team, ...DIRECT, outboundService: "outbound-down" },
        { name: "team-without-exchange", ...team, ...DIRECT, outboundService: "outbound-without-exchange" },
        {
          name: "outbound-down",
          ...team,
          modules: [{ type: "ESModule", path: "down.js", contents: FAILING_WORKER }],
        },
        { name: "exchange", ...exchange },
        { name: "outbound", ...outbound, bindings: { egress }, serviceBindings },
        { name: "outbound-without-policy", ...outbound, serviceBindings },
        { name: "outbound-without-exchange", ...outbound, bindings: { egress } },
      ],
    }),
  )
  await miniflare.ready
})

afterAll(async () => {
  await miniflare.dispose()
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true })
})

beforeEach(() => {
  heard.length = 0
})

describe("outbound Worker: redirects", () => {
  it("judges every hop: a listed origin cannot send the call on to one that is not listed", async ({ expect }) => {
    const response = await teamFetch(`${listed}/redirect?to=${encodeURIComponent(`${unlisted}/secret`)}`)
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ code: "egress.destination-refused" })
    expect(heard.map((each) => each.origin)).toEqual(["listed"])
  })

  it("follows a redirect between listed origins, keeping method and body for 307", async ({ expect }) => {
    const response = await teamFetch(`${listed}/redirect?status=307&to=${encodeURIComponent(`${listed}/end`)}`, {
      method: "POST",
      body: "kept",
    })
    expect(response.status).toBe(200)
    expect(heard.map((each) => `${each.method} ${each.path} ${each.body}`)).toEqual([
      `POST /redirect kept`,
      `POST /end kept`,
    ])
  })

  it("puts a passport of its own on each hop, and none that was made for another", async ({ expect }) => {
    const own = passport("script:team")
    await teamFetch(`${cell}/redirect?to=${encodeURIComponent(`${otherCell}/end`)}`, { headers: { "x-passport": own } })
    expect(heard.map(({ origin, headers }) => [origin, headers["x-passport"]])).toEqual([
      ["cell", `cell:us01 for team, ${own.length}`],
      ["other cell", `cell:uk01 for team, ${own.length}`],
    ])
  })

  it("refuses the script's own passport where a redirect would carry it from a cell to a listed origin", async ({
    expect,
  }) => {
    const response = await teamFetch(`${cell}/redirect?to=${encodeURIComponent(`${listed}/end`)}`, {
      headers: { "x-passport": passport("script:team") },
    })
    expect(await response.json()).toMatchObject({ code: "egress.passport-misdirected" })
    expect(heard.map((each) => each.origin)).toEqual(["cell"])
  })

  it("hands a redirect to a Worker that wants to see it", async ({ expect }) => {
    const response = await teamFetch(`${listed}/redirect?to=${encodeURIComponent(unlisted)}`, {
      redirect: "manual",
    })
    expect(response.status).toBe(302)
    expect(heard).toHaveLength(1)
  })
})

describe("outbound Worker: what reaches the wire", () => {
  it("sends nothing anywhere when no policy came", async ({ expect }) => {
    const response = await teamFetch(`${listed}/`, {}, "team-without-policy")
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: "egress.policy-missing" })
    expect(heard).toHaveLength(0)
  })

  it("sends nothing anywhere when the outbound Worker is down", async ({ expect }) => {
    const response = await teamFetch(`${listed}/`, {}, "team-with-outbound-down")
    expect(response.status).toBe(500)
    expect(heard).toHaveLength(0)
  })

  it("sends nothing to a cell when no passport for it is to be had", async ({ expect }) => {
    const init = { headers: { "x-passport": passport("script:team") } }
    const without = await teamFetch(`${cell}/`, init, "team-without-exchange")
    expect(await without.json()).toMatchObject({ code: "egress.passport-exchange-failed" })
    const refusal = await teamFetch(`${refused}/`, init)
    expect(await refusal.json()).toMatchObject({ code: "zone.country-refused" })
    expect(heard).toEqual([])
  })

  it("names the judged origin in Host, whatever the Worker set", async ({ expect }) => {
    await teamFetch(`${listed}/`, { headers: { host: "evil.example", "x-mine": "1" } })
    expect(heard[0]?.headers).toMatchObject({ host: new URL(listed).host, "x-mine": "1" })
  })

  it("turns no userinfo into a credential: the runtime removes it before the outbound Worker could see it", async ({
    expect,
  }) => {
    await teamFetch(listed.replace("http://", "http://alice:secret@"))
    expect(heard[0]?.headers.authorization).toBeUndefined()
    expect(heard[0]?.headers.host).toBe(new URL(listed).host)
  })

  it("keeps the length of a streamed body", async ({ expect }) => {
    const response = await teamFetch(`${listed}/`, { method: "PUT", body: "relay" }, "team", "x".repeat(100_000))
    expect(response.status).toBe(200)
    expect(heard[0]?.headers["content-length"]).toBe("100000")
    expect(heard[0]?.body).toHaveLength(100_000)
  })

  for (const method of ["GET", "HEAD"])
    for (const [name, framing] of Object.entries(BODIES_OF_GET))
      it(`carries on a ${method} that came with ${name}, and no body`, async ({ expect }) => {
        const answer = await passOn(`${method} / HTTP/1.1\r\n${framing}`)
        expect(answer).toMatch(/^HTTP\/1\.1 200 /)
        expect(heard).toMatchObject([{ origin: "listed", method, body: "" }])
        expect(heard[0]?.headers).not.toHaveProperty("content-length")
        expect(heard[0]?.headers).not.toHaveProperty("transfer-encoding")
      })

  it("answers 502 when the origin is not up", async ({ expect }) => {
    const egressOnly = await teamFetch(`${cell}/hang-up`, {
      headers: { "x-passport": passport("script:team") },
    })
    expect(egressOnly.status).toBe(502)
    expect(await egressOnly.json()).toMatchObject({ code: "egress.destination-failed" })
  })
})

describe("outbound Worker: long-lived calls", () => {
  it("carries a WebSocket both ways", async ({ expect }) => {
    const response = await teamFetch(`${listed}/socket`, { upgrade: true })
    expect(await response.text()).toBe("ping")
  })

  it("lets the first byte of a response through before its end", async ({ expect }) => {
    const response = await teamFetch(`${listed}/stream`)
    const first = await response.body?.getReader().read()
    expect(new TextDecoder().decode(first?.value)).toBe("first")
  })

  it("ends the call to the origin when the Worker aborts", async ({ expect }) => {
    const response = await teamFetch(`${listed}/stream`, { abortAfterFirstByte: true })
    expect(await response.text()).toBe("aborted")
    await streamClosed
  })
})

/** Sends these bytes to the team's Worker, which passes the request on to `listed` whole; all bytes of the answer. */
async function passOn(text: string): Promise<string> {
  const { hostname, port } = await miniflare.unsafeGetDirectURL("team")
  const call = `x-call: ${JSON.stringify({ url: `${listed}/`, init: { passOn: true } })}`
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(text.replace("\r\n", `\r\nHost: team.example\r\nConnection: close\r\n${call}\r\n`))
  let answer = ""
  for await (const chunk of socket) answer += String(chunk)
  return answer
}

async function teamFetch(
  url: string,
  init: Record<string, unknown> = {},
  worker = "team",
  body?: string,
): Promise<Response> {
  return fetch(await miniflare.unsafeGetDirectURL(worker), {
    redirect: "manual",
    headers: { "x-call": JSON.stringify({ url, init }) },
    ...(body === undefined ? {} : { method: "PUT", body }),
  })
}

async function startOrigin(name: string): Promise<string> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://origin.example")
    let body = ""
    for await (const chunk of request) body += String(chunk)
    heard.push({
      origin: name,
      method: request.method ?? "",
      path: url.pathname,
      headers: request.headers,
      body,
    })
    answer(url, response)
  })
  server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.once("data", (frame: Buffer) => socket.write(echoFrame(frame)))
  })
  const running = await listen(server, 0)
  servers.push(running)
  return running.url
}

function answer(url: URL, response: ServerResponse): void {
  switch (url.pathname) {
    case "/redirect":
      response.writeHead(Number(url.searchParams.get("status") ?? 302), {
        location: url.searchParams.get("to") ?? "/",
      })
      response.end()
      return
    case "/stream":
      streamClosed = new Promise((resolve) => response.once("close", resolve))
      response.write("first")
      return
    case "/hang-up":
      response.destroy()
      return
    default:
      response.end("ok")
  }
}

/** Answers a short masked text frame (RFC 6455 §5.2) with the same text, unmasked. */
function echoFrame(frame: Buffer): Buffer {
  const length = (frame[1] ?? 0) & 0x7f
  const mask = frame.subarray(2, 6)
  const text = frame.subarray(6, 6 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x81, length]), text])
}

function passport(aud: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  return `${part({ alg: "ES256", typ: "passport+jwt", kid: "k1" })}.${part({ aud, exp: 1e10 })}.AAAA`
}
