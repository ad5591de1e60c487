/** Uploads one module through the control plane's Cloudflare-shaped door, with the form that `wrangler deploy --dispatch-namespace` sends. */
import type { Platform } from "./platform.ts"
import { NAMESPACE } from "./workers.ts"

const COMPATIBILITY_DATE = "2026-10-01"

export class UploadRefused extends Error {
  override readonly name = "UploadRefused"
  readonly status: number
  /** Cloudflare's error code, as in the envelope. */
  readonly code: number | null

  constructor(status: number, code: number | null, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** `metadata` adds to, or replaces, what wrangler would send for a Worker without bindings. Throws {@link UploadRefused}. */
export async function uploadSource(
  platform: Pick<Platform, "controlPlaneUrl" | "accountId">,
  token: string,
  script: string,
  source: string,
  metadata: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const form = new FormData()
  const sent = {
    main_module: "index.js",
    compatibility_date: COMPATIBILITY_DATE,
    compatibility_flags: [],
    bindings: [],
    keep_bindings: ["secret_text", "secret_key"],
    ...metadata,
  }
  form.set("metadata", JSON.stringify(sent))
  form.set("index.js", new File([source], "index.js", { type: "application/javascript+module" }))
  const scripts = `/client/v4/accounts/${platform.accountId}/workers/dispatch/namespaces/${NAMESPACE}/scripts`
  const url = `${platform.controlPlaneUrl}${scripts}/${script}?excludeScript=true&bindings_inherit=strict`
  const response = await fetch(url, { method: "PUT", headers: { authorization: `Bearer ${token}` }, body: form })
  const text = await response.text()
  if (response.ok) return
  const [error] = errorsOf(text)
  throw new UploadRefused(response.status, error?.code ?? null, error?.message ?? text.slice(0, 500))
}

function errorsOf(text: string): readonly { readonly code: number; readonly message: string }[] {
  try {
    return (JSON.parse(text) as { errors?: { code: number; message: string }[] }).errors ?? []
  } catch {
    return []
  }
}
