/**
 * User Workers that try to harm: each says what its caller must get, and none may get {@link SECRET} out or touch another script.
 * Data only, so that the namespace's own tests and those of the whole platform can run the same ones.
 */

/** In what they throw; must appear in no response. */
export const SECRET = "s3cr3t-of-the-tenant"

export interface HostileWorker {
  readonly name: string
  readonly code: string
  readonly expected: {
    readonly status: number
    /** Problem code, or null for a response of the Worker's own. */
    readonly problem: string | null
    /** The Worker's own text. */
    readonly body?: string
  }
}

const failed = { status: 502, problem: "dispatch.worker-failed" }
const fetching = (body: string) => `export default { async fetch(request, env, ctx) { ${body} } }`
const harmless = (name: string, code: string, body: string): HostileWorker => ({
  name,
  code,
  expected: { status: 200, problem: null, body },
})

export const HOSTILE_WORKERS: readonly HostileWorker[] = [
  { name: "throws-secret", code: fetching(`throw new Error("${SECRET}")`), expected: failed },
  { name: "throws-text", code: fetching(`throw "${SECRET}"`), expected: failed },
  { name: "throws-object", code: fetching(`throw { message: "${SECRET}", stack: "${SECRET}" }`), expected: failed },
  { name: "throws-null", code: fetching("throw null"), expected: failed },
  {
    name: "throws-getter",
    code: fetching(
      `throw Object.defineProperty(new Error("x"), "message", { get() { throw new Error("${SECRET}") } })`,
    ),
    expected: failed,
  },
  { name: "returns-42", code: fetching("return 42"), expected: failed },
  { name: "returns-nothing", code: fetching(""), expected: failed },
  { name: "returns-error", code: fetching("return Response.error()"), expected: failed },
  { name: "returns-600", code: fetching(`return new Response("${SECRET}", { status: 600 })`), expected: failed },
  { name: "returns-101", code: fetching("return new Response(null, { status: 101 })"), expected: failed },
  {
    name: "returns-lookalike",
    code: fetching(`return { status: 200, body: "${SECRET}", headers: {} }`),
    expected: failed,
  },
  {
    name: "claims-to-be-missing",
    code: fetching(`throw new Error("Worker not found. ${SECRET}")`),
    expected: failed,
  },
  {
    name: "hangs",
    code: fetching("await new Promise((resolve) => setTimeout(resolve, 600_000)); return new Response()"),
    expected: { status: 504, problem: "dispatch.worker-timeout" },
  },
  {
    name: "never-resolves",
    code: fetching("await new Promise(() => {})"),
    expected: { status: 504, problem: "dispatch.worker-timeout" },
  },
  harmless(
    "rejects-afterwards",
    fetching(`Promise.reject(new Error("${SECRET}")); return new Response("fine")`),
    "fine",
  ),
  harmless("waits-forever", fetching(`ctx.waitUntil(new Promise(() => {})); return new Response("fine")`), "fine"),
  harmless(
    "spoils-its-globals",
    fetching(`globalThis.leak = "x"; Object.prototype.leak = "y"; Headers.prototype.get = () => "spoilt"
      globalThis.fetch = Response.json = () => { throw new Error("${SECRET}") }; return new Response("fine")`),
    "fine",
  ),
  harmless(
    "looks-for-doors",
    `import { env as scope } from "cloudflare:workers"
     ${fetching(`return new Response(JSON.stringify([Reflect.ownKeys(scope), Reflect.ownKeys(env), Object.keys(ctx.props ?? {})]))`)}`,
    // The control plane gives every script its platform binding, and nothing else is there.
    `[["PLATFORM"],["PLATFORM"],[]]`,
  ),
]
