/**
 * Faults on demand, so that the control plane can be tested against an API that misbehaves. Only exists locally.
 * A rule matches method and path; the first that matches is used and counts down. Rules live in memory and are gone after a restart.
 */

import { type ApiFailure, fail, failureResponse } from "./envelope.ts"
import { ERRORS } from "./error-codes.ts"

/** What a matching request gets instead of its answer. */
export type FaultAnswer =
  | {
      readonly kind: "error"
      readonly status: number
      readonly code: number
      readonly message: string
      readonly retryAfterS: number | null
    }
  /** HTML with this status, as a proxy before the API would send. */
  | { readonly kind: "html"; readonly status: number }
  /** 200 with broken JSON. */
  | { readonly kind: "malformed" }
  /** 200 whose body breaks off: the client sees a network error. */
  | { readonly kind: "cut" }

export interface FaultRule {
  /** Null matches every method. */
  readonly method: string | null
  /** A regular expression over the path, such as `/scripts/files--v2$`. */
  readonly path: string
  /** How many requests it still hits. */
  readonly times: number
  readonly delayMs: number
  /** True: the request takes effect and only its answer is lost. */
  readonly applied: boolean
  /** Null: the real answer, after the delay. */
  readonly answer: FaultAnswer | null
}

export class FaultList {
  #rules: FaultRule[] = []

  add(rule: FaultRule): void {
    this.#rules.push(rule)
  }

  clear(): void {
    this.#rules = []
  }

  list(): readonly FaultRule[] {
    return this.#rules
  }

  /** The rule for this request, counted down, or null. */
  take(method: string, path: string): FaultRule | null {
    const index = this.#rules.findIndex(
      (rule) => (rule.method === null || rule.method === method) && new RegExp(rule.path).test(path),
    )
    const rule = this.#rules[index]
    if (rule === undefined) return null
    if (rule.times <= 1) this.#rules.splice(index, 1)
    else this.#rules[index] = { ...rule, times: rule.times - 1 }
    return rule
  }
}

/** The response that a rule's answer stands for. */
export function faultResponse(answer: FaultAnswer): Response {
  switch (answer.kind) {
    case "error": {
      const headers = answer.retryAfterS === null ? {} : { "retry-after": String(answer.retryAfterS) }
      const body = {
        success: false,
        errors: [{ code: answer.code, message: answer.message }],
        messages: [],
        result: null,
      }
      return Response.json(body, { status: answer.status, headers })
    }
    case "html":
      return new Response("<html><body>example proxy error</body></html>", {
        status: answer.status,
        headers: { "content-type": "text/html" },
      })
    case "malformed":
      return new Response('{"success":true,"result":{"id":', { headers: { "content-type": "application/json" } })
    case "cut":
      return new Response(brokenBody(), { headers: { "content-type": "application/json" } })
  }
}

/** `GET|POST|DELETE /emulator/faults`: list, add, clear. */
export async function administerFaults(request: Request, faults: FaultList): Promise<Response> {
  if (request.method === "DELETE") faults.clear()
  else if (request.method === "POST") faults.add(parseRule(await request.json().catch(() => null)))
  else if (request.method !== "GET") return failureResponse(fail("noRoute"))
  return Response.json({ faults: faults.list() })
}

/** @throws ApiFailure malformed */
export function parseRule(input: unknown): FaultRule {
  if (input === null || typeof input !== "object") throw malformed("the rule must be an object")
  const {
    method = null,
    path,
    times = 1,
    delayMs = 0,
    applied = false,
    answer = null,
  } = input as Record<string, unknown>
  if (method !== null && typeof method !== "string") throw malformed("method must be a string")
  if (typeof path !== "string" || !isRegExp(path)) throw malformed("path must be a regular expression")
  if (!isCount(times) || times < 1) throw malformed("times must be a whole number above 0")
  if (!isCount(delayMs) || delayMs > 600_000) throw malformed("delayMs must be a whole number up to 600000")
  if (typeof applied !== "boolean") throw malformed("applied must be true or false")
  return {
    method: method === null ? null : method.toUpperCase(),
    path,
    times,
    delayMs,
    applied,
    answer: parseAnswer(answer),
  }
}

function parseAnswer(input: unknown): FaultAnswer | null {
  if (input === null) return null
  if (typeof input !== "object") throw malformed("answer must be an object")
  const {
    kind = "error",
    status = 500,
    code,
    message = "Injected fault",
    retryAfterS = null,
  } = input as Record<string, unknown>
  if (kind === "malformed" || kind === "cut") return { kind }
  if (!isCount(status) || status < 400 || status > 599) throw malformed("status must be 400 to 599")
  if (kind === "html") return { kind, status }
  if (kind !== "error") throw malformed("kind must be error, html, malformed or cut")
  const errorCode = code ?? (status === 429 ? ERRORS.rateLimited.code : ERRORS.unknown.code)
  if (!isCount(errorCode) || typeof message !== "string") throw malformed("code must be a number, message a string")
  if (retryAfterS !== null && !isCount(retryAfterS)) throw malformed("retryAfterS must be a whole number")
  return { kind, status, code: errorCode, message, retryAfterS }
}

function brokenBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"success":'))
    },
    pull(controller) {
      controller.error(new Error("Injected fault"))
    },
  })
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0
}

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}

function malformed(message: string): ApiFailure {
  return fail("malformed", { message })
}
