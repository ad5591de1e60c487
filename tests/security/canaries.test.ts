/**
 * Credentials with recognisable texts, shown to every example Worker in every way; then all that lies behind the entrance is searched for them. What a team's Worker sees,
 * what reaches the cells, the services and the stores, spans, logs, trips, records of calls, answers and error pages, the control plane, and every file of the platform's state.
 * A control, which is meant to get there, is found in each of those places: so that nothing is missed for not having been looked at.
 */
import { createHash, randomBytes } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { connect } from "node:net"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../contracts/session.ts"
import { EXAMPLE_ISSUER_ID } from "../../emulator/cells/issuer.ts"
import { LOGIN_IDP } from "../../emulator/example-layout.ts"
import { type ExampleOrigins, type StartedOrigins, startExampleOrigins } from "../../emulator/example-origins.ts"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { type FileUploadService, startFileUploadService } from "../../emulator/origins/file-upload-service.ts"
import type { ObjectStore } from "../../emulator/origins/stores/object-store.ts"
import { type Platform, ZONES } from "../../emulator/platform.ts"
import { loadSecrets } from "../../emulator/secrets.ts"
import { seedPolicy, seedRoutes } from "../../emulator/seed.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { uploadExamples } from "../../emulator/upload.ts"
import { sealSession } from "../../kit/session-cookie.ts"
import { anyPorts, eventually } from "../harness.ts"
import { logInAs } from "./canaries-login.ts"
import { type Tap, tapBefore } from "./canaries-tap.ts"

const TEAM = "canary"
const SUFFIX = randomBytes(6).toString("hex")
/** What is meant to arrive. */
const CONTROL = `CONTROL${SUFFIX}`
/** Companies by the hostname of their zone; us01's is that of all others. */
const COMPANIES: Readonly<Record<string, string>> = { "us02.procore.com": "200", "app.uk01.procore.com": "300" }

/** Says all that it was given, in its answer, to a sibling that does the same, to an origin, and in its log; but for its passport in the log, which is looked for there. */
const ECHO = `export default { async fetch(request, env) {
  const body = await request.clone().text()
  const seen = { url: request.url, headers: [...request.headers], body, env: Object.keys(env) }
  console.log(JSON.stringify({ ...seen, headers: seen.headers.filter(([name]) => name !== "x-passport") }))
  if (new URL(request.url).pathname.startsWith("/throw")) throw new Error(JSON.stringify(seen.headers.filter(([name]) => name !== "x-passport")))
  // Its team may call nobody: there is a record of the attempt, with the id that it makes up.
  await fetch("http://127.0.0.1:1/", { headers: { ...Object.fromEntries(request.headers), "x-request-id": request.headers.get("x-control") } })
  if (!request.headers.has("x-went-on") && request.method !== "HEAD") {
    const headers = new Headers(request.headers)
    headers.set("x-went-on", "1")
    const sibling = await env.PLATFORM.dispatch("echo-sibling", new Request(request, { headers }))
    return Response.json({ seen, sibling: await sibling.text() })
  }
  return Response.json({ seen })
} }`

const servers: RunningServer[] = []
const taps = new Map<string, Tap>()
const answers: string[] = []
const trips: string[] = []
const calls: string[] = []
let platform: TestPlatform
let started: StartedOrigins
let uploads: FileUploadService
let storeOrigin: string
const stored: string[] = []
/** Texts by what they belong to; none may be found anywhere. */
const canaries = new Map<string, string>()
/** What the dispatcher took whom for, by credential: before anything else, since a session that the store does not know is soon none. */
const kinds: Record<string, string | null> = {}
/** Headers of a request, by the credential that they carry. */
const credentials = new Map<string, Readonly<Record<string, string>>>()

beforeAll(async () => {
  const ports = await anyPorts()
  started = await startExampleOrigins(ports)
  platform = await startTestPlatform({ vars: { dispatcher: { OTLP_ENDPOINT: started.traces.url } } })
  const secrets = await loadSecrets(platform.stateDir)
  const origins = await started.join(platform, secrets)
  const seen = await throughTaps(origins, secrets.uploadKeys)
  const seeded = await seedPolicy(seen.platform, seen.origins)
  await uploadExamples(seen.platform, seeded, seen.origins, () => undefined)
  await seedRoutes(platform)

  await platform.putTeam(TEAM, { grants: ["dispatch:echo-sibling"] })
  await platform.uploadWorker({ source: ECHO, script: "echo-sibling", team: TEAM })
  await platform.uploadWorker({ source: ECHO, script: "echo", team: TEAM, route: "https://echo.example.com/*" })
  const open = { hostname: "open.example.com", path: "/*", auth: "none" } as const
  await platform.uploadWorker({ source: ECHO, script: "echo-open", team: TEAM, route: open })
  await makeCredentials(secrets.sessionKeys)
  const accept = ["bearer", "session", "service-key"]
  const auth = { mode: "optional", issuers: [EXAMPLE_ISSUER_ID, LOGIN_IDP], accept }
  const route = { hostname: "echo.example.com", path: "/*", script: "echo", team: TEAM, auth, message: CONTROL }
  await platform.api.put("/v1/routes/echo", route)
  await platform.waitForConfig()
  await shadowDocuments()
  for (const credential of ["session", "session of a login", "bearer", "service key", "nothing"]) {
    const headers = headersFor(credential, "echo.example.com")
    const response = await platform.fetch("https://echo.example.com/kind", { headers })
    kinds[credential] = (await platform.tripOf(response)).subjectKind
  }
  await sendEverything()
}, 240_000)

afterAll(async () => {
  await platform?.dispose()
  await uploads?.close()
  await started?.stop()
  for (const tap of taps.values()) await tap.close()
  for (const server of servers) await server.stop()
})

describe("credentials with recognisable texts", () => {
  it("were good where they should be, so that their absence means something", () => {
    expect(kinds).toEqual({
      session: "user",
      "session of a login": "user",
      bearer: "user",
      "service key": "service",
      nothing: "anonymous",
    })
  })

  it("are in nothing that lies behind the entrance, where the control is found everywhere that it can be", async () => {
    const sinks = await everythingCaptured()
    const found = [...sinks].flatMap(([sink, text]) =>
      [...canaries].flatMap(([what, canary]) =>
        spellingsOf(canary).some((each) => text.includes(each)) ? [`${what} in ${sink}`] : [],
      ),
    )
    expect(found).toEqual([])
    const withoutControl = [...sinks.keys()].filter((sink) => !sinks.get(sink)?.includes(CONTROL))
    expect(withoutControl).toEqual([])
    expect([...sinks.keys()].length).toBeGreaterThanOrEqual(13)
    expect(answers.length).toBeGreaterThan(1_000)
    expect(answers.filter((answer) => answer.startsWith("HTTP/1.1 101 ")).length).toBeGreaterThan(0)
  })

  it("are found by this search where one is let through", () => {
    const [canary = ""] = canaries.values()
    for (const text of [canary, Buffer.from(`x ${canary}`).toString("base64"), encodeURIComponent(` ${canary}`)])
      expect(spellingsOf(canary).some((each) => `before ${text} after`.includes(each))).toBe(true)
    expect(spellingsOf(canary).some((each) => canary.slice(1).includes(each))).toBe(false)
  })
})

describe("passports", () => {
  it("are seen by whom they were made for, and are in no log, trip, record, span, answer of the platform's own or file of its state", async () => {
    const sinks = await everythingCaptured()
    const own = passportsIn(sinks.get("answers of Workers") ?? "")
    const destinations = [...sinks.keys()].filter((sink) => taps.has(sink))
    const theirs = passportsIn(destinations.map((sink) => sinks.get(sink)).join("\n"))
    expect(own.length).toBeGreaterThanOrEqual(8)
    expect(theirs.length).toBeGreaterThanOrEqual(8)
    const found = [...sinks].flatMap(([sink, text]) => [
      // A script's own never leaves; what it was exchanged for never comes back.
      ...own
        .filter((token) => sink !== "answers of Workers" && text.includes(token))
        .map(() => `a script's in ${sink}`),
      ...theirs.filter((token) => !taps.has(sink) && text.includes(token)).map(() => `a destination's in ${sink}`),
    ])
    expect(found).toEqual([])
  })
})

/** Their signatures. */
function passportsIn(text: string): string[] {
  const tokens = text.matchAll(/eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,}\.([A-Za-z0-9_-]{86})/g)
  return [...new Set([...tokens].map(([, signature = ""]) => signature))]
}

/** The example's platform and origins as its Workers shall see them: each behind a tap. */
async function throughTaps(origins: ExampleOrigins, uploadKeys: { put: string; get: string }) {
  const tapped = async (name: string, origin: string) => {
    const tap = await tapBefore(origin)
    taps.set(name, tap)
    return tap.url
  }
  const cells = { ...platform.cells }
  for (const zone of ZONES) cells[zone] = await tapped(`cell ${zone}`, platform.cells[zone])
  storeOrigin = await recordingStore()
  uploads = await startFileUploadService({
    port: 0,
    storageUrl: "https://storage.procore.com",
    putKeys: [uploadKeys.put],
    getKeys: [uploadKeys.get],
    storeOf: () => STORE,
  })
  return {
    platform: { ...platform, cells } as Platform,
    origins: {
      ...origins,
      fileUpload: await tapped("file upload service", uploads.url),
      stores: { s3: storeOrigin, azure: storeOrigin, gcs: storeOrigin },
      legacyService: await tapped("legacy service", origins.legacyService),
      newService: await tapped("new service", origins.newService),
      mailbox: await tapped("mailbox", origins.mailbox),
    },
  }
}

/** Both document services get what is asked of one. */
async function shadowDocuments(): Promise<void> {
  const rules = "https://app.procore.com/documents/.strangler/rules"
  const operator = { subject: "bob", scope: "ecrion:write ecrion:read" }
  const etag = (await platform.fetch(rules, {}, operator)).headers.get("etag") ?? ""
  const headers = { "content-type": "application/json", "if-match": etag }
  const rule = { path: "/documents/*", mode: "shadow" }
  const answer = await platform.fetch(
    rules,
    { method: "PUT", headers, body: JSON.stringify({ rules: [rule] }) },
    operator,
  )
  expect([answer.status, await answer.text()]).toEqual([204, ""])
}

/** Takes everything and keeps what came. */
async function recordingStore(): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    stored.push(
      `${request.method} ${request.url}\n${request.rawHeaders.join("\n")}\n${Buffer.concat(chunks).toString("latin1")}`,
    )
    response.setHeader("etag", '"1"').end()
  })
  const running = await listen(server, 0)
  servers.push(running)
  return running.url
}

const STORE: ObjectStore = {
  kind: "gcs",
  get origin() {
    return storeOrigin
  },
  presignPut: async (key, { contentType }) => ({
    url: `${storeOrigin}/${key}`,
    method: "PUT",
    headers: { "content-type": contentType },
  }),
  read: async () => null,
  keys: async () => [],
  openUploads: () => 0,
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
}

/** Genuine ones and made-up ones. */
async function makeCredentials(sessionKeys: string): Promise<void> {
  const say = (what: string, texts: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>) => {
    for (const [part, text] of Object.entries(texts)) canaries.set(`${what}: ${part}`, text)
    credentials.set(what, headers)
  }
  const now = Date.now()
  const seal = { idp: LOGIN_IDP, subject: "carol", scopes: [], company: null, level: 1, idleS: 3600 }
  const times = { authenticatedAtMs: now, createdAtMs: now, expiresAtMs: now + 3_600_000 }
  const id = recognisable("session", 43)
  const { cookieValue } = await sealSession({ ...seal, ...times }, sessionKeys, (bytes) =>
    bytes.set(Buffer.from(id, "base64url")),
  )
  const [, payload = "", mac = ""] = cookieValue.split(".")
  say("session", { id, payload, mac }, { cookie: `theme=${CONTROL}; ${SESSION_COOKIE}=${cookieValue}` })

  const login = await logInAs("alice", platform)
  say("session of a login", login.secrets, { cookie: `${SESSION_COOKIE}=${login.session}; theme=${CONTROL}` })

  const madeUp = recognisable("madeup", 43)
  say("made-up session", { id: madeUp }, { cookie: `${SESSION_COOKIE}=${madeUp}.e30.${madeUp}; theme=${CONTROL}` })
  const twice = recognisable("twice", 43)
  const pair = `${SESSION_COOKIE}=${twice}.e30.${twice}`
  say("session sent twice", { id: twice }, { cookie: `${pair}; theme=${CONTROL}; ${pair}` })
  const alike = recognisable("alike", 43)
  say("look-alike session", { id: alike }, { cookie: `__HOST-Sallyport-Session=${alike}; theme=${CONTROL}` })
  const underWay = recognisable("login", 43)
  say(
    "login cookie",
    { value: underWay },
    { cookie: `__Host-sallyport-login=${underWay}; __Host-sallyport-login-a=${underWay}; theme=${CONTROL}` },
  )

  const token = platform.issueToken({ subject: "alice", scope: "a" })
  const [, claims = "", signature = ""] = token.split(".")
  say("bearer", { claims, signature }, { authorization: `Bearer ${token}` })
  const forged = recognisable("forged", 60)
  say("forged bearer", { signature: forged }, { authorization: `Bearer ${token.slice(0, -signature.length)}${forged}` })
  const opaque = recognisable("opaque", 40)
  say("opaque bearer", { token: opaque }, { authorization: `Bearer ${opaque}` })
  const basic = Buffer.from(`alice:${recognisable("basic", 40)}`).toString("base64")
  say("basic", { pair: basic }, { authorization: `Basic ${basic}` })

  const key = `spsa_canary_${recognisable("key", 43)}`
  const hash = createHash("sha256").update(key).digest("hex")
  const accounts = { canary: { scopes: [], keys: [{ id: "first", hash, createdAt: new Date().toISOString() }] } }
  await platform.api.put("/v1/policy/serviceAccounts", accounts)
  say("service key", { secret: key.slice("spsa_canary_".length) }, { authorization: `Bearer ${key}` })
  const wrong = recognisable("wrongkey", 43)
  say("wrong service key", { secret: wrong }, { authorization: `Bearer spsa_canary_${wrong}` })
  credentials.set("nothing", { cookie: `theme=${CONTROL}` })
}

/** Canonical base64url of this length, which says what it is. */
function recognisable(what: string, length: number): string {
  return `CANARY${what}${SUFFIX}`.padEnd(length - 1, "Z").concat("A")
}

function headersFor(credential: string, hostname: string): Readonly<Record<string, string>> {
  const company = COMPANIES[hostname] ?? "100"
  return { "x-control": CONTROL, "procore-company-id": company, ...credentials.get(credential) }
}

const TARGETS = [
  `https://echo.example.com/${CONTROL}?a=1`,
  `https://echo.example.com/throw/${CONTROL}`,
  `https://open.example.com/${CONTROL}`,
  `https://open.example.com/throw`,
  `https://api.procore.com/rest/v1.0/${CONTROL}`,
  "https://api.procore.com/rest/v1.0/company_base_url",
  "https://api.procore.com/.sallyport/session",
  "https://api.procore.com/.sallyport/health/ready",
  `https://app.procore.com/${CONTROL}`,
  `https://app.procore.com/companies/300/${CONTROL}`,
  `https://us02.procore.com/${CONTROL}`,
  `https://app.uk01.procore.com/${CONTROL}`,
  "https://app.procore.com/webclients/request.json",
  "https://app.procore.com/webclients/nothing.js",
  "https://app.procore.com/documents/1",
  `https://app.procore.com/documents/${CONTROL}`,
  "https://app.procore.com/documents/scoreboard",
  "https://app.procore.com/login/start?return_to=/home",
  "https://app.procore.com/login/callback?code=a&state=b",
  "https://app.procore.com/login/pin",
  "https://app.procore.com/login/logged-out",
  "https://app.procore.com/login/nothing",
  "https://app.procore.com/sessions",
  "https://app.procore.com/sessions/nothing",
  "https://app.procore.com/a%2fb",
  "https://storage.procore.com/rest/v2.1/companies/100/uploads/1",
  "https://nowhere.example.com/",
]

async function sendEverything(): Promise<void> {
  for (const credential of credentials.keys()) {
    for (const url of TARGETS)
      for (const method of ["GET", "POST", "HEAD"]) {
        const sameOrigin = { "sec-fetch-site": "same-origin", "content-type": "text/plain" }
        const body = method === "POST" ? { body: `body of ${CONTROL}` } : {}
        const headers = { ...headersFor(credential, new URL(url).hostname), ...sameOrigin }
        keep(url, await platform.fetch(url, { method, headers, ...body }))
      }
    await uploadWith(credential)
    answers.push(await upgradeWith(credential))
    await Promise.all(kept)
    // The platform keeps the last thousand.
    trips.push(JSON.stringify(await platform.trips({ limit: 1000 })))
    calls.push(JSON.stringify(await platform.egress({ limit: 1000 })))
  }
}

const kept: Promise<unknown>[] = []
function keep(url: string, response: Response): void {
  const headers = [...response.headers].filter(([name, value]) => !isLoginsOwn(url, name, value))
  kept.push(response.text().then((text) => answers.push(`${url}\n${response.status}\n${headers.join("\n")}\n${text}`)))
}

/** The login Worker prolongs the cookie of a login under way, for the browser that showed it. */
function isLoginsOwn(url: string, name: string, value: string): boolean {
  const isLogin = url.startsWith("https://app.procore.com/login/")
  return isLogin && name === "set-cookie" && value.startsWith(`${LOGIN_COOKIE_PREFIX}=`)
}

/** The first bytes of the answer to a WebSocket's handshake, which goes on to the cell where the credential is good. */
function upgradeWith(credential: string): Promise<string> {
  const { hostname, port } = new URL(platform.edgeUrl)
  const asked = { host: "app.procore.com", connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" }
  const headers = {
    ...asked,
    "sec-websocket-key": randomBytes(16).toString("base64"),
    ...headersFor(credential, asked.host),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(`GET /cable/${CONTROL} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    socket.once("error", reject)
    socket.once("data", (bytes) => {
      socket.destroy()
      resolve(String(bytes))
    })
  })
}

/** One that is taken, where the credential does not forbid it; its content is the control. */
async function uploadWith(credential: string): Promise<void> {
  const content = Buffer.from(CONTROL)
  // Its name is the control for the upload service, to which the Worker hands on nothing of a request.
  const announced = { file_name: CONTROL, file_size: content.length }
  const made = await fetch(`${taps.get("file upload service")?.url}/rest/v2.1/companies/100/uploads`, {
    method: "POST",
    body: JSON.stringify(announced),
  })
  const { data } = (await made.json()) as { data: { segments: { url: string; headers: Record<string, string> }[] } }
  const [segment] = data.segments
  if (segment === undefined) throw new Error("There is nothing to upload")
  const headers = { ...segment.headers, ...headersFor(credential, "storage.procore.com") }
  const response = await platform.fetch(segment.url, { method: "PUT", headers, body: content })
  expect([credential, response.status]).toEqual([credential, uploadStatusFor(credential)])
  keep(segment.url, response)
}

/** A session's cookie is as none there. Of what comes in `Authorization` the entrance refuses what is wrong, and the Worker a good one, which nobody needs for a signed URL. */
function uploadStatusFor(credential: string): number {
  if (credentials.get(credential)?.authorization === undefined) return 200
  return credential === "bearer" ? 400 : 401
}

/** Everything that lies behind the entrance, by where. */
async function everythingCaptured(): Promise<ReadonlyMap<string, string>> {
  // Spans go out behind the answers; the last request's is a trip's.
  await eventually(10_000, async () =>
    started.traces.spans().some(({ name }) => name.includes("/rest")) ? true : null,
  )
  const sinks = new Map<string, string>()
  for (const [name, tap] of taps) if (name !== "mailbox") sinks.set(name, tap.text())
  sinks.set("answers of Workers", answers.join("\n\n"))
  sinks.set("store", stored.join("\n\n"))
  sinks.set(
    "spans",
    started.traces
      .payloads()
      .map((payload) => payload.toString("latin1"))
      .join("\n"),
  )
  sinks.set("trips", trips.join("\n"))
  sinks.set("records of calls", calls.join("\n"))
  sinks.set("log", await readFile(platform.logFile, "utf8"))
  sinks.set("control plane", await controlPlaneAnswers())
  sinks.set("state", await filesOf(platform.stateDir))
  return sinks
}

/** What it answers to ops about all this, the explanation of requests with credentials included. */
async function controlPlaneAnswers(): Promise<string> {
  const texts: string[] = []
  for (const at of [
    "/v1/audit?limit=100",
    "/v1/config",
    "/v1/teams",
    "/v1/scripts",
    "/v1/policy/serviceAccounts",
    "/v1/routes/echo",
  ])
    texts.push(JSON.stringify(await platform.api.get(at)))
  for (const credential of credentials.keys()) {
    const url = `https://echo.example.com/${CONTROL}`
    texts.push(JSON.stringify(await platform.api.post("/v1/explain", { url, headers: credentials.get(credential) })))
  }
  return texts.join("\n")
}

async function filesOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
  const texts = await Promise.all(files.map((file) => readFile(file, "latin1").catch(() => "")))
  return texts.join("\n")
}

/** As it is, and in base64 at every alignment; it holds nothing that a URL or JSON would escape. */
function spellingsOf(text: string): string[] {
  const inBase64 = [0, 1, 2].map((shift) => {
    const bits = (shift + text.length) * 8
    return btoa(" ".repeat(shift) + text).slice(shift === 0 ? 0 : shift + 1, Math.floor(bits / 6))
  })
  return [text, ...inBase64]
}
