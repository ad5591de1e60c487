/**
 * Cloudflare's API as far as the script host speaks it, for tests: real envelopes, codes and forms as Cloudflare's OpenAPI description and wrangler have them, handed to the SDK as its `fetch`.
 * It refuses what production refuses, and fails on demand in the ways that production fails.
 */
import { sha256Hex } from "../../kit/sha256.ts"
import type { CallStore } from "../src/store/cloudflare-calls.ts"

export interface FixtureScript {
  readonly metadata: Readonly<Record<string, unknown>>
  /** By filename. */
  readonly modules: Readonly<Record<string, { readonly type: string; readonly text: string }>>
  readonly etag: string
  /** How often it was written. */
  puts: number
}

/** What the next matching call meets instead of a plain answer. */
export type Fault =
  | {
      readonly kind: "status"
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly error?: { code: number; message: string }
    }
  /** No answer at all, and nothing done. */
  | { readonly kind: "lost-request" }
  /** Done, but the answer never arrives. */
  | { readonly kind: "lost-answer" }
  /** Done, but what arrives is no JSON. */
  | { readonly kind: "garbled-answer" }
  /** Nothing is done, and this is the result: what a reading that lags behind says. */
  | { readonly kind: "result"; readonly result: unknown }

export interface CloudflareFixture {
  readonly fetch: typeof fetch
  /** By name in the namespace. */
  readonly scripts: Map<string, FixtureScript>
  /** By hash: the bytes and the type to serve. */
  readonly assets: Map<string, { readonly bytes: Uint8Array; readonly type: string }>
  /** `METHOD /path?query`, behind the account. */
  readonly calls: string[]
  /** The asset paths that the script was placed with, and the hash of each; none without assets. */
  assetsOf(name: string): Readonly<Record<string, string>>
  /** Queued: the next call of that method meets it. */
  failNext(method: string, ...faults: readonly Fault[]): void
  /** What a test may change past the control plane, as somebody with the dashboard could. */
  readonly account: {
    trustedWorkers: boolean
    /** As the settings of the dispatcher show them; null: there is no such Worker. */
    dispatcherBindings: readonly Readonly<Record<string, unknown>>[] | null
  }
  /** Forgets the faults that nobody met. */
  recover(): void
}

/** As the control plane's wrangler.toml and the harness have them. */
export const FIXTURE_SETTINGS = {
  baseUrl: "https://api.cloudflare.com/client/v4",
  accountId: "0123456789abcdef0123456789abcdef",
  apiToken: "not used",
  namespace: "production",
  dispatcherService: "sallyport-dispatcher",
  outboundService: "sallyport-outbound",
  callLimit: 1200,
} as const
/** A count that has room for everything. */
export const UNCOUNTED: CallStore = {
  reserve: async () => true,
  giveBack: async () => {},
  noteRefusal: async () => {},
  usage: async () => ({ spent: [], refusedUntilMs: null }),
}
const PREFIX = `${FIXTURE_SETTINGS.baseUrl}/accounts/${FIXTURE_SETTINGS.accountId}`

export function cloudflareFixture(): CloudflareFixture {
  const scripts = new Map<string, FixtureScript>()
  const assets: CloudflareFixture["assets"] = new Map()
  const calls: string[] = []
  const faults = new Map<string, Fault[]>()
  const sessions = new Map<string, string[]>()
  const account: CloudflareFixture["account"] = {
    trustedWorkers: false,
    dispatcherBindings: [{ type: "kv_namespace", name: "CONFIG", namespace_id: "1" }, dispatchBinding()],
  }
  /** By session: hash by path. */
  const manifests = new Map<string, Record<string, string>>()

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url)
    const path = url.href.slice(PREFIX.length)
    calls.push(`${request.method} ${path}`)
    const fault = faults.get(request.method)?.shift()
    if (fault?.kind === "status")
      return fail(fault.status, fault.error?.code ?? 10013, fault.error?.message ?? "internal words", fault.headers)
    if (fault?.kind === "result") return ok(fault.result)
    if (fault?.kind === "lost-request") throw new TypeError("Network connection lost.")
    const response = await route(request, url, path)
    if (fault?.kind === "lost-answer") throw new TypeError("Network connection lost.")
    return fault?.kind === "garbled-answer" ? new Response('{"success":tr', response) : response
  }

  const route = async (request: Request, url: URL, path: string): Promise<Response> => {
    if (!url.href.startsWith(PREFIX)) return fail(404, 7003, "Could not route to this path")
    if (path.startsWith("/workers/assets/upload")) return upload(request)
    if (request.headers.get("authorization") !== `Bearer ${FIXTURE_SETTINGS.apiToken}`)
      return fail(403, 10000, "Authentication error")
    const namespace = "/workers/dispatch/namespaces/production"
    if (path === namespace)
      return ok({ namespace_name: "production", trusted_workers: account.trustedWorkers, script_count: scripts.size })
    if (path === "/workers/scripts/sallyport-dispatcher/settings" && account.dispatcherBindings !== null)
      return ok({ bindings: account.dispatcherBindings, compatibility_date: "2026-10-01" })
    if (path.startsWith("/workers/scripts/")) return fail(404, 10007, "This Worker does not exist on your account.")
    const match = /^\/workers\/dispatch\/namespaces\/([^/]+)\/scripts\/([^/?]+)(\/[^?]*)?/.exec(path)
    if (match?.[2] === undefined) return fail(404, 7003, "Could not route to this path")
    if (match[1] !== FIXTURE_SETTINGS.namespace)
      return fail(404, 100119, "The specified dispatch namespace does not exist on this account.")
    return await script(request, match[2], match[3] ?? "")
  }

  const script = async (request: Request, name: string, rest: string): Promise<Response> => {
    if (request.method === "POST" && rest === "/assets-upload-session") return await session(request)
    if (request.method === "PUT" && rest === "") return await put(request, name)
    const found = scripts.get(name)
    if (found === undefined) return fail(404, 10092, "This Worker does not exist in the dispatch namespace.")
    if (request.method === "DELETE") {
      scripts.delete(name)
      return ok(null)
    }
    if (rest === "/bindings") return ok(found.metadata.bindings ?? [])
    return ok({ script: { id: name, etag: found.etag, tags: found.metadata.tags ?? [] } })
  }

  const put = async (request: Request, name: string): Promise<Response> => {
    const type = request.headers.get("content-type") ?? ""
    if (!type.startsWith("multipart/form-data")) return fail(400, 10021, "Uncaught SyntaxError at worker.js:1:4")
    const form = await request.formData()
    const part = form.get("metadata")
    if (part === null) return fail(400, 10021, "could not read content for part metadata")
    const metadata = JSON.parse(typeof part === "string" ? part : await part.text())
    const modules: Record<string, { type: string; text: string }> = {}
    for (const [key, value] of form)
      if (key !== "metadata" && typeof value !== "string")
        modules[value.name] = { type: value.type, text: await value.text() }
    const main = metadata.main_module
    if (main !== undefined && !(main in modules)) return fail(400, 10021, `No such module: ${main}`)
    if (modules[main]?.text.includes("SYNTAX ERROR"))
      return fail(400, 10021, "Uncaught SyntaxError: Unexpected identifier\n  at index.js:1:8")
    const etag = await sha256Hex(JSON.stringify([metadata, modules]))
    scripts.set(name, { metadata, modules, etag, puts: (scripts.get(name)?.puts ?? 0) + 1 })
    return ok({ id: name, etag, startup_time_ms: 4, deployment_id: etag.slice(0, 32) })
  }

  const session = async (request: Request): Promise<Response> => {
    const { manifest } = await request.json<{ manifest: Record<string, { hash: string }> }>()
    const missing = [...new Set(Object.values(manifest).map((each) => each.hash))].filter((hash) => !assets.has(hash))
    const jwt = `session-${sessions.size}`
    sessions.set(jwt, missing)
    const hashes = Object.entries(manifest).map(([path, { hash }]) => [path, hash] as const)
    for (const each of [jwt, `completion-of-${jwt}`]) manifests.set(each, Object.fromEntries(hashes))
    return ok({ jwt, buckets: missing.length === 0 ? [] : [missing] })
  }

  const upload = async (request: Request): Promise<Response> => {
    const jwt = request.headers.get("authorization")?.replace("Bearer ", "") ?? ""
    const missing = sessions.get(jwt)
    if (missing === undefined) return fail(403, 10000, "Authentication error")
    for (const [hash, file] of await request.formData()) {
      if (typeof file === "string" || file.name !== hash || !missing.includes(hash)) return fail(400, 10021, "bad part")
      assets.set(hash, {
        bytes: Uint8Array.from(atob(await file.text()), (char) => char.charCodeAt(0)),
        type: file.type,
      })
    }
    const isComplete = missing.every((hash) => assets.has(hash))
    return isComplete ? ok({ jwt: `completion-of-${jwt}` }, 201) : ok({}, 202)
  }

  return {
    fetch: (input, init) => answer(new Request(input, init)),
    scripts,
    assets,
    calls,
    assetsOf: (name) => {
      const placed = scripts.get(name)?.metadata.assets as { jwt?: string } | undefined
      return manifests.get(placed?.jwt ?? "") ?? {}
    },
    account,
    recover: () => faults.clear(),
    failNext: (method, ...more) => faults.set(method, [...(faults.get(method) ?? []), ...more]),
  }
}

/** The dispatcher's binding to the namespace, as Cloudflare describes it. */
export function dispatchBinding(outbound: unknown = { worker: { service: "sallyport-outbound" } }) {
  return { type: "dispatch_namespace", name: "DISPATCHER", namespace: "production", outbound }
}

function ok(result: unknown, status = 200): Response {
  return Response.json({ success: true, errors: [], messages: [], result }, { status })
}

function fail(status: number, code: number, message: string, headers: Readonly<Record<string, string>> = {}): Response {
  const body = { success: false, errors: [{ code, message }], messages: [], result: null }
  return Response.json(body, { status, headers })
}
