/** Reading and replacing the sections of policy. One pair of operations per section of the contract, so that a new section has them at once. */
import { type DispatchConfig, type PolicySection, policySections } from "../../../contracts/dispatch-config.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { canonicalJson } from "../canonical-json.ts"
import { change } from "../config/change.ts"
import { DEFAULT_POLICY } from "../config/default-policy.ts"
import { type Edit, isPolicySection, type Registry } from "../store/registry.ts"
import { checkConditions } from "./conditions.ts"
import { type AnyOperation, answerChange, answerThing, defineOperation } from "./operation.ts"
import { changeQuery } from "./parameters.ts"

/** Sections that teams need for their routes and Workers; the rest says whom the edge refuses and where customers live. */
const READABLE_BY_TEAMS: ReadonlySet<PolicySection> = new Set(["issuers", "audiences", "flags"])
/** A directory of 50 000 companies fits. */
const MAX_BYTES = 10 * 1024 * 1024

export const policyOperations: readonly AnyOperation[] = Object.keys(policySections)
  .filter(isPolicySection)
  .flatMap((section) => [policyGet(section), policyPut(section)])

function policyGet(section: PolicySection): AnyOperation {
  return defineOperation({
    id: `policy.get-${section}`,
    method: "GET",
    path: `/v1/policy/${section}`,
    summary: `Read the policy section ${section}`,
    access: READABLE_BY_TEAMS.has(section) ? { who: "any" } : { who: "ops" },
    answers: { 200: { description: "The section in force", shape: namedSection(section) } },
    handle: async ({ deps }) => answerThing((await deps.store.inventory.policy(section)) ?? DEFAULT_POLICY[section]),
  })
}

function policyPut(section: PolicySection): AnyOperation {
  return defineOperation({
    id: `policy.put-${section}`,
    method: "PUT",
    path: `/v1/policy/${section}`,
    summary: `Replace the policy section ${section}`,
    access: { who: "ops" },
    query: changeQuery,
    body: policySections[section],
    bodyBytes: MAX_BYTES,
    answers: { 200: { description: "Replaced", shape: namedSection(section) } },
    problems: ["api.precondition-failed", "config.invalid", "config.not-published", "api.busy"],
    handle: async ({ actor, query, body, request, deps }) => {
      const changed = await change(
        deps,
        actor,
        async ({ policy, issuerKeys }) => {
          await checkConditions(request.headers, policy.get(section)?.document ?? DEFAULT_POLICY[section])
          const digest = await sha256Hex(canonicalJson(body))
          return {
            edits: [
              { table: "policy", put: { section, document: body } },
              ...(section === "issuers" ? forgotten(issuerKeys, body as DispatchConfig["issuers"]) : []),
            ],
            bodyAt: () => `/${section}`,
            audit: { action: "policy.put", target: `policy/${section}`, detail: { digest, message: query.message } },
            result: { body, created: false },
          }
        },
        { dryRun: query.dry_run === "true" },
      )
      return answerChange(changed)
    },
  })
}

/** What was found at a place that is no longer named. Kept, it would be believed again as soon as somebody names the place again, whatever was taken back there since. */
function forgotten(found: Registry["issuerKeys"], issuers: DispatchConfig["issuers"]): Edit[] {
  return [...found.values()]
    .filter(({ issuer, jwksUri }) => !Object.hasOwn(issuers, issuer) || issuers[issuer]?.jwksUri !== jwksUri)
    .map(({ issuer }) => ({ table: "issuerKeys", remove: issuer }))
}

function namedSection(section: PolicySection) {
  return { name: `Policy${section[0]?.toUpperCase()}${section.slice(1)}`, shape: policySections[section] }
}
