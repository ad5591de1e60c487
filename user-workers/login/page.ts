/** Pages for people: small, without a script, under a policy that allows none, and stored nowhere. All text that is put in is escaped here and nowhere else. */
import { cspHash } from "../../kit/csp.ts"
import { problemResponse, type Refusal } from "../../kit/problem.ts"
import { sendsPins } from "./settings.ts"

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:26rem;margin:12vh auto;padding:0 1.25rem}
h1{font-size:1.4rem;line-height:1.25;margin:0 0 1rem}form{display:grid;gap:.75rem;margin:1.25rem 0}label{display:grid;gap:.25rem}
input,button{font:inherit;padding:.6rem .75rem;border-radius:.4rem;border:1px solid #8888}button{background:#1f4fd8;color:#fff;border:0;cursor:pointer}
small,.facts{color:#777;font-size:.85rem}a{color:inherit}`

/** Safe as text and as a quoted attribute. */
class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Escapes what is put in, but for {@link Html} itself. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Html | readonly Html[])[]): Html {
  const put = (value: string | Html | readonly Html[] = "") => {
    if (value instanceof Html) return value.text
    if (typeof value !== "string") return value.map(({ text }) => text).join("")
    return value.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
  }
  return new Html(parts.map((part, index) => part + (index < values.length ? put(values[index]) : "")).join(""))
}

interface PageOptions {
  readonly status?: number
  readonly headers?: Headers
  /** Origins beside the own to which a form's answer may lead. */
  readonly formsTo?: readonly string[]
}

export async function page(
  title: string,
  body: Html,
  { status = 200, headers, formsTo = [] }: PageOptions = {},
): Promise<Response> {
  const document = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${new Html(STYLE)}</style></head>
<body><main><h1>${title}</h1>${body}</main></body></html>
`
  const all = new Headers(headers)
  const policy = [
    "default-src 'none'",
    `style-src '${await cspHash(STYLE)}'`,
    `form-action ${["'self'", ...formsTo].join(" ")}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ]
  all.set("content-type", "text/html; charset=utf-8")
  all.set("cache-control", "no-store")
  all.set("content-security-policy", policy.join("; "))
  all.set("referrer-policy", "no-referrer")
  all.set("x-content-type-options", "nosniff")
  return new Response(document.text, { status, headers: all })
}

/** A browser that shows the answer to a person, not a script's `fetch`. */
export function isForPeople(request: Request): boolean {
  const { headers } = request
  const mode = headers.get("sec-fetch-mode")
  return (mode === null || mode === "navigate") && (headers.get("accept") ?? "").includes("text/html")
}

/** The problem as `problemResponse` makes it, or as a page with `more` in it and the same status, headers, code and request id. */
export async function answerProblem(
  refusal: Refusal,
  requestId: string,
  request: Request,
  more: Html = html``,
): Promise<Response> {
  const problem = problemResponse(refusal, { requestId })
  if (!isForPeople(request)) return problem
  const { title, detail } = (await problem.json()) as { title: string; detail: string }
  const again = request.url.includes("/login/pin") ? "/login/pin" : "/login/start"
  const body = html`<p>${detail}</p>${more}<p><a href="${again}">Log in again</a>${sendsPins() ? html` · <a href="/login/pin">Use a PIN by e-mail</a>` : ""}</p>
<p class="facts">${refusal.code}<br>Request ${requestId}</p>`
  return page(title, body, { status: problem.status, headers: problem.headers })
}
