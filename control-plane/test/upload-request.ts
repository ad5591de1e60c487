/** Uploads as wrangler sends them: metadata as a plain field, modules as files. */

export interface UploadParts {
  /** Over a Worker without bindings. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Text of `index.js`. */
  readonly code?: string
  /** Null sends no module at all. */
  readonly modules?: Readonly<Record<string, { readonly type: string; readonly text: string }>> | null
  /** Parts in reverse, for what must not depend on their order. */
  readonly reversed?: boolean
}

export function uploadBody(parts: UploadParts = {}): FormData {
  const metadata = {
    main_module: "index.js",
    bindings: [],
    compatibility_date: "2026-10-01",
    compatibility_flags: [],
    code_update_strategy: { mode: "deferred", max_delay: 300 },
    keep_bindings: ["secret_text", "secret_key"],
    ...parts.metadata,
  }
  const code = parts.code ?? 'export default { fetch: () => new Response("hello") }'
  const main = { "index.js": { type: "application/javascript+module", text: code } }
  const files = Object.entries(parts.modules === null ? {} : { ...main, ...parts.modules }).map(
    ([name, { type, text }]): [string, File] => [name, new File([text], name, { type })],
  )
  const fields: [string, string | File][] = [["metadata", JSON.stringify(metadata)], ...files]
  const form = new FormData()
  for (const [name, value] of parts.reversed === true ? fields.reverse() : fields) {
    if (typeof value === "string") form.append(name, value)
    else form.append(name, value)
  }
  return form
}

const BASE = "/client/v4/accounts/0123456789abcdef0123456789abcdef/workers/dispatch/namespaces/production"

/** Path of a script behind wrangler's door. */
export function scriptPath(script: string): string {
  return `${BASE}/scripts/${script}`
}

export function putRequest(script: string, token: string, parts: UploadParts = {}): Request {
  return new Request(`https://control-plane.example${scriptPath(script)}?excludeScript=true&bindings_inherit=strict`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}` },
    body: uploadBody(parts),
  })
}

/** An answer of wrangler's door. */
export interface Enveloped {
  readonly success: boolean
  readonly errors: readonly { readonly code: number; readonly message: string; readonly documentation_url?: string }[]
  readonly messages: readonly { readonly message: string }[]
  readonly result: Readonly<Record<string, unknown>>
}
