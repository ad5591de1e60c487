/** The example company's mail: takes mails as JSON by POST, as a mail service's API would, keeps the newest in memory, and shows them to whoever looks. */
import { createServer, type IncomingMessage } from "node:http"
import { listen, type RunningServer } from "../listen.ts"
import { escapeHtml } from "./escape-html.ts"

const KEPT = 100
const MAX_CHARS = 20_000

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly at: Date
}

export interface Mailbox extends RunningServer {
  /** Newest first. */
  readonly mails: readonly Mail[]
  close(): Promise<void>
}

/** `POST /mails` with `{ to, subject, text }`; `GET /` is for people. `port` 0 takes any free one. */
export async function startMailbox({ port }: { readonly port: number }): Promise<Mailbox> {
  const mails: Mail[] = []
  const server = createServer(async (request, response) => {
    if (request.method === "GET" && request.url === "/") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" })
      return response.end(pageOf(mails))
    }
    if (request.method !== "POST" || request.url !== "/mails") return response.writeHead(404).end()
    const mail = await mailIn(request)
    if (mail === null) return response.writeHead(400).end()
    mails.unshift(mail)
    mails.length = Math.min(mails.length, KEPT)
    return response.writeHead(202).end()
  })
  const running = await listen(server, port)
  return { ...running, mails, close: running.stop }
}

async function mailIn(request: IncomingMessage): Promise<Mail | null> {
  let body = ""
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > MAX_CHARS) return null
  }
  try {
    const { to, subject, text } = JSON.parse(body) as Readonly<Record<string, unknown>>
    if (typeof to !== "string" || typeof subject !== "string" || typeof text !== "string") return null
    return { to, subject, text, at: new Date() }
  } catch {
    return null
  }
}

function pageOf(mails: readonly Mail[]): string {
  const items = mails.map(
    ({ to, subject, text, at }) =>
      `<article><h2>${escapeHtml(subject)}</h2><p>to ${escapeHtml(to)}, ${at.toISOString().slice(11, 19)} UTC</p><p>${escapeHtml(text)}</p></article>`,
  )
  const none = "<p>None yet. Load this page again after asking for a PIN.</p>"
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mailbox</title><style>
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:40rem;margin:2rem auto;padding:0 1rem}h2{font-size:1.1rem;margin-bottom:0}
</style></head><body><h1>Mailbox</h1>${items.length === 0 ? none : items.join("")}</body></html>`
}
