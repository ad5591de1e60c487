/**
 * Every credential of the entrance that a server of this process was shown: the gateway's cookies, an access token, a service account's key, in a header or
 * the URL. Cells, services, fronts of stores and recording origins run in the tests' own process, where Node tells of each request that reaches one.
 */
import { subscribe } from "node:diagnostics_channel"
import { type IncomingMessage, Server } from "node:http"
import { LOGIN_COOKIE_PREFIX, SESSION_COOKIE } from "../../contracts/session.ts"

const SERVICE_KEY = /spsa_[a-z0-9-]+_[A-Za-z0-9_-]{10,}/
const JWS = /eyJ[A-Za-z0-9_-]+(?=\.[A-Za-z0-9_-]+\.)/g
/** RFC 9068 §2.1; a passport has a type of its own. */
const ACCESS_TOKEN = /"typ":"(?:application\/)?at\+jwt"/i

let shown: string[] = []

subscribe("http.server.request.start", (message) => {
  noteAllOf((message as { readonly request: IncomingMessage }).request)
})

/** Node tells that channel nothing of a request that changes the protocol: a server hands it on by this event alone. */
const emit = Server.prototype.emit as (event: string, ...given: unknown[]) => boolean
Server.prototype.emit = function (this: Server, event: string, ...given: unknown[]): boolean {
  if (event === "upgrade") noteAllOf(given[0] as IncomingMessage)
  return emit.call(this, event, ...given)
}

/** One sentence each, and forgets them. */
export function takeCredentialsShown(): string[] {
  const taken = shown
  shown = []
  return taken
}

function noteAllOf(request: IncomingMessage): void {
  const { rawHeaders, url = "" } = request
  note(request, "the URL", url)
  for (let index = 0; index < rawHeaders.length; index += 2)
    note(request, String(rawHeaders[index]), String(rawHeaders[index + 1]))
}

function note({ method, headers }: IncomingMessage, where: string, text: string): void {
  const what = credentialIn(text)
  if (what !== null) shown.push(`${what} in ${where} of a ${method} to ${headers.host}`)
}

function credentialIn(text: string): string | null {
  if (text.includes(SESSION_COOKIE) || text.includes(LOGIN_COOKIE_PREFIX)) return "a cookie of the gateway"
  if (SERVICE_KEY.test(text)) return "a service account's key"
  const tokens = text.match(JWS) ?? []
  return tokens.some((header) => ACCESS_TOKEN.test(Buffer.from(header, "base64url").toString()))
    ? "an access token"
    : null
}
