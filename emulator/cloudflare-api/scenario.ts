/** What the tests of this folder share: the Worker under test as a client sees it, and uploads in wrangler's form. Only tests import it. */
import { env, exports } from "cloudflare:workers"

export const ACCOUNT = "/client/v4/accounts/0123456789abcdef0123456789abcdef"
export const NAMESPACES = `${ACCOUNT}/workers/dispatch/namespaces`

export interface Envelope {
  readonly success: boolean
  readonly errors: readonly { code: number; message: string }[]
  readonly result: unknown
  readonly result_info?: Record<string, unknown>
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Envelope
}

/** A call with the account's token. `body` is sent as JSON unless it is a form, text or bytes. */
export async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await send(method, path, body, headers)
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: (text === "" ? {} : JSON.parse(text)) as Envelope }
}

export async function send(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const raw = body instanceof FormData || typeof body === "string" || body instanceof Uint8Array
  const token = (env as unknown as { API_TOKEN: string }).API_TOKEN
  const request = new Request(`http://api.invalid${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
  })
  return await (exports as unknown as { default: Fetcher }).default.fetch(request)
}

/** The first error as `status/code message`, or the result. */
export function outcome({ status, body }: Reply): unknown {
  const [error] = body.errors
  return error === undefined ? body.result : `${status}/${error.code} ${error.message}`
}

export const HELLO = "export default { fetch() { return new Response('hello') } }"

/** An upload as wrangler sends it: metadata as a plain field, modules as files. */
export function uploadForm(
  metadata: Record<string, unknown> = {},
  modules: Record<string, string> = { "index.js": HELLO },
): FormData {
  const form = new FormData()
  const main = "index.js" in modules ? { main_module: "index.js" } : {}
  form.set("metadata", JSON.stringify({ ...main, compatibility_date: "2026-10-01", ...metadata }))
  for (const [name, source] of Object.entries(modules)) {
    const type = name.endsWith(".js") ? "application/javascript+module" : "text/plain"
    form.set(name, new File([source], name, { type }))
  }
  return form
}

/** A fresh namespace; its path. */
export async function newNamespace(name: string): Promise<string> {
  await call("POST", NAMESPACES, { name })
  return `${NAMESPACES}/${name}`
}
