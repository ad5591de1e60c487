import type { z } from "zod"
import { revocationsCreate as body, revocationsCreated } from "../../../contracts/api-identity.ts"
import { DEFAULT_IDENTITY, type IdentityConfig } from "../../../contracts/dispatch-config.ts"
import { PROBLEMS, type ProblemCode } from "../../../contracts/problem-codes.ts"
import { AHEAD_MOST_MS, type Revocation } from "../../../contracts/revocation.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { within } from "../../../kit/within.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { Dependencies } from "../dependencies.ts"
import { commit } from "../store/ledger.ts"
import { defineOperation } from "./operation.ts"
import { changeQuery } from "./parameters.ts"

/** Milliseconds until the log must have answered. */
const APPEND_LIMIT_MS = 10_000
/** Beyond these the audit holds a digest: the log itself has them all, with who asked and why. */
const LISTED_IN_AUDIT = 50

export const revocationsCreate = defineOperation({
  id: "revocations.create",
  method: "POST",
  path: "/v1/revocations",
  summary:
    "Revoke sessions, subjects, companies, keys or everything, for ever; recorded in the audit before it takes effect, and durable when it is answered",
  access: { who: "ops" },
  query: changeQuery,
  body,
  bodyBytes: 4 * 1024 * 1024,
  example: [
    { target: { kind: "subject", idp: "corp", subject: "alice" }, reason: "laptop lost, incident 42" },
    { target: { kind: "company", company: "100" }, beforeMs: 1_795_000_000_000, reason: "token leaked" },
  ],
  idempotencyKey: true,
  answers: {
    200: { description: "A dry run", shape: { name: "RevocationsCreated", shape: revocationsCreated } },
    201: { description: "Revoked", shape: { name: "RevocationsCreated", shape: revocationsCreated } },
  },
  problems: ["revocation.invalid", "revocation.log-full", "revocation.not-recorded", "api.conflict", "api.busy"],
  handle: async ({ actor, body: asked, query, deps }) => {
    const nowMs = deps.clock.now()
    const revocations = asked.map((each) => timed(each, nowMs))
    const errors = revocations.flatMap((each, index) => faultsOf(each, index, nowMs))
    if (errors.length > 0) throw refuse("api.body-invalid", { errors: errors.slice(0, 20) })
    const boundMs = await boundOf(deps)
    const answer = { count: revocations.length, boundMs }
    if (query.dry_run === "true") return { status: 200, body: { ...answer, seq: null } }
    const listed = revocations.length <= LISTED_IN_AUDIT ? { revocations } : {}
    const digest = await sha256Hex(canonicalJson(revocations))
    const detail = { count: revocations.length, digest, ...listed, message: query.message }
    const audit = [{ action: "revocation.create", target: "revocations", detail }]
    // Before the effect: one that is recorded and fails is repeated, one that takes effect unrecorded can never be explained.
    await commit(deps, actor, async () => ({ statements: [], audit, result: null }))
    const { seq } = await append(revocations, actor.name, deps)
    return { status: 201, body: { ...answer, seq } satisfies z.output<typeof revocationsCreated> }
  },
})

/** What is revoked until a time ends with this call, unless it says which time; said here, so that a repeat means the same. */
function timed(revocation: Revocation, nowMs: number): Revocation {
  return isOutright(revocation) ? revocation : { ...revocation, beforeMs: revocation.beforeMs ?? nowMs }
}

function isOutright({ target }: Revocation): boolean {
  return target.kind === "session" || target.kind === "key"
}

function faultsOf(revocation: Revocation, index: number, nowMs: number): { pointer: string; detail: string }[] {
  const pointer = `/${index}/beforeMs`
  if (isOutright(revocation) && revocation.beforeMs !== undefined)
    return [{ pointer, detail: "a session and a key are revoked whenever they were made" }]
  return (revocation.beforeMs ?? 0) > nowMs + AHEAD_MOST_MS
    ? [{ pointer, detail: "must not be in the future: credentials still to be made cannot be told from good ones" }]
    : []
}

/** What the policy promises. */
async function boundOf({ store }: Dependencies): Promise<number> {
  const identity = (await store.inventory.policy("identity")) as IdentityConfig | null
  return (identity ?? DEFAULT_IDENTITY).feedMaxAgeMs
}

/** Across RPC a refusal arrives as an Error whose message is its code; anything else may have been recorded or not, and a repeat does no harm. */
async function append(
  revocations: readonly Revocation[],
  actor: string,
  deps: Dependencies,
): Promise<{ readonly seq: number }> {
  try {
    const { seq } = await within(APPEND_LIMIT_MS, deps.revocations.append(revocations, actor))
    return { seq }
  } catch (cause) {
    const code = cause instanceof Error ? cause.message : ""
    throw isProblemCode(code)
      ? refuse(code, { cause })
      : refuse("revocation.not-recorded", { cause, headers: { "retry-after": "2" } })
  }
}

function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text)
}
