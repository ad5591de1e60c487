/**
 * The one door to Cloudflare's API: the SDK's transport without its resources (they would add 2.3 MB to the bundle, and its script upload is broken,
 * see cloudflare-typescript#2799), without its repetitions, with paths made in one place and every answer's shape checked.
 */
import type { BaseCloudflare } from "cloudflare/client"
import { APIError } from "cloudflare/error"
import { createClient } from "cloudflare/tree-shakable"
import { z } from "zod"
import type { Dependencies } from "../dependencies.ts"
import type { CallBudget } from "./call-budget.ts"
import { MultipartForm } from "./multipart-form.ts"
import { type RetryDependencies, retryAfterMs, withRetry } from "./retry.ts"

/** Milliseconds for one call; an upload of 10 MB with a slow start is well within. */
const TIMEOUT_MS = 30_000

export type CloudflareDependencies = Pick<Dependencies, "clock" | "wait" | "fetch"> & {
  readonly settings: Pick<Dependencies["settings"], "cloudflare">
  /** 0 ≤ x < 1; Math.random when absent. Spreads repetitions, decides nothing. */
  readonly random?: () => number
}

export interface CallOptions {
  /** A form, or a value to send as JSON. */
  readonly body?: unknown
  /** In place of the API token: the token of an assets upload session. */
  readonly bearer?: string
}

export interface CloudflareClient {
  /**
   * `result` of one call, which must be idempotent: it is repeated as retry.ts says. `path` begins behind the account's id.
   * `wasApplied` is asked before a repetition; what it gives, unless null, is the result of the call whose answer was lost.
   * Every attempt is one of `budget`. Throws `cloudflare.refused`, `cloudflare.unavailable`, `cloudflare.budget-spent`.
   */
  call<T>(
    method: "get" | "put" | "post" | "delete",
    path: string,
    result: z.ZodType<T>,
    options?: CallOptions,
    wasApplied?: () => Promise<T | null>,
  ): Promise<T>
  /** Path of a script in the namespace. */
  scriptPath(name: string): string
}

const envelope = z.looseObject({ success: z.literal(true), result: z.unknown() })

export function cloudflareClient(deps: CloudflareDependencies, budget: CallBudget): CloudflareClient {
  const { baseUrl, accountId, apiToken, namespace } = deps.settings.cloudflare
  // Without resources the inferred type is `never`.
  const client: BaseCloudflare = createClient({
    apiToken,
    // The SDK reads these from the environment unless told not to.
    apiKey: null,
    apiEmail: null,
    userServiceKey: null,
    baseURL: baseUrl,
    maxRetries: 0,
    timeout: TIMEOUT_MS,
    logLevel: "off",
    fetch: deps.fetch,
    resources: [],
  })
  const retry: RetryDependencies = { clock: deps.clock, wait: deps.wait, random: deps.random ?? Math.random }
  return {
    call(method, path, result, options = {}, wasApplied) {
      const { body, bearer } = options
      const headers = {
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body instanceof MultipartForm ? { "content-type": body.contentType } : {}),
      }
      const url = `/accounts/${accountId}${path}`
      return withRetry(retry, async (attempt) => {
        const applied = attempt === 1 ? null : await wasApplied?.()
        if (applied != null) return applied
        await budget.spend()
        const content = body instanceof MultipartForm ? body.open() : body
        const sent = client.request<unknown>({ method, path: url, body: content, headers })
        const answer = await sent.catch((failure: unknown) => noteRefusal(failure))
        return readResult(answer, result)
      })
    },
    scriptPath: (name) => `/workers/dispatch/namespaces/${namespace}/scripts/${name}`,
  }

  /** Others must not each find out for themselves that Cloudflare takes no calls. */
  async function noteRefusal(failure: unknown): Promise<never> {
    if (failure instanceof APIError && failure.status === 429)
      await budget.noteRefusal(retryAfterMs(failure, deps.clock.now()))
    throw failure
  }
}

/** An answer of another shape is as good as none: a SyntaxError, like JSON that cannot be read. */
function readResult<T>(answer: unknown, result: z.ZodType<T>): T {
  const parsed = envelope.safeParse(answer)
  const value = parsed.success ? result.safeParse(parsed.data.result) : parsed
  if (!value.success) throw new SyntaxError("Cloudflare's answer has another shape", { cause: value.error })
  return value.data as T
}
