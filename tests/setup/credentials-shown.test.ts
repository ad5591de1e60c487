/** That the watch over the servers of all tests sees what it is there for, and nothing else. */
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer, get } from "node:http"
import { afterAll, beforeAll, expect, it } from "vitest"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../contracts/session.ts"
import { type Issuer, startIssuer } from "../../emulator/cells/issuer.ts"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { makeTestPassports } from "../../kit/sign-test-passport.ts"
import { takeCredentialsShown } from "./credentials-shown.ts"

const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

let origin: RunningServer
let issuer: Issuer
beforeAll(async () => {
  const server = createServer((_request, response) => void response.end())
  server.on("upgrade", (_request, socket) => socket.end(SWITCHED))
  origin = await listen(server, 0)
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  issuer = await startIssuer({ privateJwk: { ...privateKey.export({ format: "jwk" }), kid: "k1" }, port: 0 })
})
afterAll(async () => {
  await origin.stop()
  await issuer.stop()
})

const token = () => issuer.issueToken({ subject: "alice" })
const secret = randomBytes(32).toString("base64url")

it.each<[string, () => { url?: string; headers?: Record<string, string> }]>([
  ["the session's cookie", () => ({ headers: { cookie: `theme=dark; ${SESSION_COOKIE}=x` } })],
  ["a cookie of a login", () => ({ headers: { cookie: `${LOGIN_COOKIE_PREFIX}-1=x` } })],
  ["an access token", () => ({ headers: { authorization: `Bearer ${token()}` } })],
  ["an access token under any name", () => ({ headers: { "x-forwarded-token": token() } })],
  ["an access token in the query", () => ({ url: `/?access_token=${token()}` })],
  ["a service account's key", () => ({ headers: { authorization: `Bearer spsa_ci-runner_${secret}` } })],
])("sees %s", async (_what, sent) => {
  const { url = "/", headers = {} } = sent()
  await fetch(new URL(url, origin.url), { headers })
  expect(takeCredentialsShown()).toHaveLength(1)
})

it("passes a passport, an application's own cookie and its own Authorization", async () => {
  const { sign } = await makeTestPassports()
  const headers = { "x-passport": await sign("web"), cookie: "sid=1; __Host-app=2", authorization: `Basic ${secret}` }
  await fetch(new URL("/spsa_/eyJ", origin.url), { headers })
  expect(takeCredentialsShown()).toEqual([])
})

async function openWebSocket(cookie: string) {
  const request = get(origin.url, { headers: { connection: "Upgrade", upgrade: "websocket", cookie } })
  const [, socket] = await once(request, "upgrade")
  socket.destroy()
}

it("sees the session's cookie where a WebSocket opens", async () => {
  await openWebSocket(`theme=dark; ${SESSION_COOKIE}=x`)
  expect(takeCredentialsShown()).toHaveLength(1)
})

it("passes an application's own cookie where a WebSocket opens", async () => {
  await openWebSocket("sid=1; __Host-app=2")
  expect(takeCredentialsShown()).toEqual([])
})
