/**
 * `Idempotency-Key`: a request repeated with the same key, after a lost answer for example, is answered as the first time and not done again;
 * one that failed after its deployment was recorded goes on with that deployment.
 */
import { CONFIG_HEADER } from "../../../contracts/reserved-headers.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { IdempotencyStore } from "../store/idempotency.ts"

/** What of the first answer's headers a repeat needs to go on from: to wait for the revision, and to name the thing in If-Match. */
const KEPT_HEADERS = ["etag", CONFIG_HEADER]
const KEY = /^[\x21-\x7e]{1,200}$/

/**
 * Runs `answer`, with the id under which to record its deployment, unless this actor's key has been answered within a day. Keys are per actor. Throws `api.conflict` while another request with it runs or when the key came with another request before.
 * For answers that hold no secret: they are stored.
 */
export async function onceByKey(
  request: Request,
  asked: { readonly actor: Actor; readonly body: unknown },
  deps: { readonly store: { readonly idempotency: IdempotencyStore } },
  answer: (deployment: string | null) => Promise<Response>,
): Promise<Response> {
  const key = request.headers.get("idempotency-key")
  if (key === null) return answer(null)
  if (!KEY.test(key))
    throw refuse("api.body-invalid", { detail: "Idempotency-Key must be 1–200 printable ASCII characters." })
  const { idempotency } = deps.store
  const actor = asked.actor.name
  const { pathname, search } = new URL(request.url)
  const fingerprint = await sha256Hex(canonicalJson([request.method, pathname, search, asked.body ?? null]))
  const begun = await idempotency.begin(actor, key, fingerprint)
  if (begun.kind === "mismatch")
    throw refuse("api.conflict", { detail: "This Idempotency-Key was used for another request." })
  if (begun.kind === "running")
    throw refuse("api.conflict", {
      detail: "Another request with this Idempotency-Key is still running.",
      headers: { "retry-after": "2" },
    })
  if (begun.kind === "replay")
    return new Response(begun.body, {
      status: begun.status,
      headers: {
        ...begun.headers,
        "content-type": "application/json",
        "cache-control": "no-store",
        "idempotency-replayed": "true",
      },
    })
  try {
    const response = await answer(begun.deployment)
    const { status, headers } = response
    await idempotency.finish(actor, key, { status, body: await response.clone().text(), headers: keptOf(headers) })
    return response
  } catch (failure) {
    await idempotency.release(actor, key)
    throw failure
  }
}

function keptOf(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => (headers.has(name) ? [[name, headers.get(name) ?? ""]] : [])),
  )
}
