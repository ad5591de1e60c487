/**
 * The door for unmodified wrangler, mounted at `/client/v4`: the subset of Cloudflare's API that `wrangler deploy --dispatch-namespace` and `whoami` use.
 * One line for every call: token → account → namespace → operation; every error leaves through errorEnvelope.
 */
import { type Context, Hono } from "hono"
import { asRefusal } from "../../../kit/problem.ts"
import { authenticateToken } from "../authenticate.ts"
import type { Dependencies } from "../dependencies.ts"
import type { Env } from "../env.ts"
import { listAccounts, listMemberships, showUser, verifyToken } from "./account.ts"
import { openSession, receiveFile, receiveForm } from "./assets.ts"
import { type Answer, CLOUDFLARE_CODE, envelope, errorEnvelope, refuseAs } from "./envelope.ts"
import { listNamespaces, refuseNamespace, refuseNamespaceChange, showNamespace } from "./namespaces.ts"
import type { Handler } from "./operation.ts"
import { putScript } from "./put-script.ts"
import { findBucket, findDatabase, findQueue, refuseLookup, refuseOther, refuseWorkflow } from "./resources.ts"
import {
  accountScript,
  listScripts,
  listSecrets,
  listTags,
  refuseChange,
  refuseDelete,
  showBindings,
  showContent,
  showScript,
  showSettings,
} from "./scripts.ts"

const NAMESPACES = "/accounts/:account/workers/dispatch/namespaces"
const VERIFY = "/user/tokens/verify"
const SCRIPT = `${NAMESPACES}/:namespace/scripts/:script`

/** First match wins. */
const OPERATIONS: readonly (readonly [method: string, path: string, handler: Handler])[] = [
  ["GET", "/accounts", listAccounts],
  ["GET", "/memberships", listMemberships],
  ["GET", "/user", showUser],
  ["GET", VERIFY, verifyToken],

  ["PUT", SCRIPT, putScript],
  ["GET", SCRIPT, showScript],
  ["DELETE", SCRIPT, refuseDelete],
  ["POST", `${SCRIPT}/assets-upload-session`, openSession],
  ["GET", `${SCRIPT}/settings`, showSettings],
  ["GET", `${SCRIPT}/bindings`, showBindings],
  ["GET", `${SCRIPT}/secrets`, listSecrets],
  ["GET", `${SCRIPT}/tags`, listTags],
  ["GET", `${SCRIPT}/content`, showContent],
  ["*", `${SCRIPT}/*`, refuseChange],
  ["GET", `${NAMESPACES}/:namespace/scripts`, listScripts],
  ["GET", `${NAMESPACES}/:namespace`, showNamespace],
  ["GET", NAMESPACES, listNamespaces],
  ["*", `${NAMESPACES}/*`, refuseNamespaceChange],

  ["*", "/accounts/:account/workers/scripts/:script", accountScript],
  ["*", "/accounts/:account/workers/scripts/:script/*", accountScript],
  ["DELETE", "/accounts/:account/workers/services/:script", refuseDelete],
  ["*", "/accounts/:account/workers/services/*", accountScript],
  ["GET", "/accounts/:account/queues", findQueue],
  ["GET", "/accounts/:account/r2/buckets/:bucket", findBucket],
  ["GET", "/accounts/:account/d1/database/:database", findDatabase],
  ["GET", "/accounts/:account/workflows/:workflow", refuseWorkflow],
  ["*", "/accounts/:account/d1/*", refuseLookup],
  ["*", "/accounts/:account/storage/kv/*", refuseLookup],
  ["*", "/accounts/:account/*", refuseOther],
]

interface DoorEnv {
  Bindings: Env
  /** Set by whoever mounts the door. */
  Variables: { requestId?: string }
}

/** Bytes of a refused upload that are still read: more than the largest that is accepted. */
const READ_AWAY_MOST = 40 * 1024 * 1024

/**
 * Reads what a refused client is still sending and keeps nothing: an answer that comes before the body was taken closes the connection under the
 * client's writing, and it then reports a broken pipe instead of the reason.
 */
async function readAway(request: Request): Promise<void> {
  if (request.body === null || request.bodyUsed) return
  let left = READ_AWAY_MOST
  try {
    for await (const chunk of request.body) {
      left -= chunk.byteLength
      if (left < 0) return
    }
  } catch {
    // The client is gone, or the body was being read when it was refused: there is nothing more to wait for.
  }
}

/** `depsOf` gives the dependencies of a request's environment. */
export function cloudflareApiWith(depsOf: (env: Env) => Dependencies): Hono<DoorEnv> {
  const app = new Hono<DoorEnv>()
  app.onError(async (failure, c) => {
    await readAway(c.req.raw)
    const requestId = c.get("requestId") ?? null
    const response = errorEnvelope(failure, c.req.url, requestId)
    if (response.status >= 500)
      depsOf(c.env).log({ event: "door.failed", path: c.req.path, requestId, error: describe(failure) })
    return response
  })

  const uploads = "/accounts/:account/workers/assets/upload"
  app.post(`${uploads}/:hash`, async (c) => render(await receiveFile(callOf(c, depsOf))))
  app.post(uploads, async (c) => render(await receiveForm(callOf(c, depsOf))))

  for (const [method, path, handler] of OPERATIONS)
    app.on(method === "*" ? ALL_METHODS : [method], [path], async (c) => {
      const call = callOf(c, depsOf)
      const actor = await authenticateToken(call.request, call.deps).catch((failure: unknown) => {
        throw path === VERIFY ? asInvalidToken(failure) : failure
      })
      checkAccount(call.param("account"), call.deps)
      checkNamespace(call.param("namespace"), call.deps)
      return render(await handler({ ...call, actor }))
    })
  app.all("*", async (c) => {
    await authenticateToken(c.req.raw, depsOf(c.env))
    throw refuseAs(CLOUDFLARE_CODE.noSuchPath, "api.not-found", { detail: `No route for ${c.req.method} here.` })
  })
  return app
}

/** The one question about the token itself has an answer of its own. */
function asInvalidToken(failure: unknown): unknown {
  const { code, options } = asRefusal(failure)
  return code === "api.unauthenticated" ? refuseAs(CLOUDFLARE_CODE.invalidToken, code, options) : failure
}

const ALL_METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]

function callOf(c: Context<DoorEnv>, depsOf: (env: Env) => Dependencies) {
  return {
    request: c.req.raw,
    url: new URL(c.req.url),
    deps: depsOf(c.env),
    param: (name: string) => c.req.param(name) ?? "",
  }
}

function checkAccount(account: string, { settings }: Dependencies): void {
  if (account !== "" && account !== settings.cloudflare.accountId)
    throw refuseAs(CLOUDFLARE_CODE.authentication, "api.forbidden", {
      detail: `Set CLOUDFLARE_ACCOUNT_ID=${settings.cloudflare.accountId}.`,
    })
}

function checkNamespace(namespace: string, deps: Dependencies): void {
  if (namespace !== "" && namespace !== deps.settings.cloudflare.namespace) throw refuseNamespace(deps)
}

function render(answer: Answer | Response): Response {
  return answer instanceof Response ? answer : envelope(answer)
}

function describe(failure: unknown): string {
  return failure instanceof Error
    ? `${failure.stack ?? failure.message} ${String(failure.cause ?? "")}`
    : String(failure)
}
