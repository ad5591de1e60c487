/** Path and query parameters that several operations take, and whose the things they name are. */
import { z } from "zod"
import { listQuery, scriptNameShape, teamName } from "../../../contracts/api.ts"
import { serviceAccountName } from "../../../contracts/api-identity.ts"
import { hostname, route } from "../../../contracts/dispatch-config.ts"
import type { Actor } from "../actor.ts"
import type { Access } from "./operation.ts"

export const teamParams = z.object({ team: teamName })
export const scriptParams = z.object({ script: scriptNameShape })
export const hostnameParams = z.object({ hostname })
export const routeParams = z.object({ route: route.shape.id })
/** Decimal without leading zero; a number once parsed. */
const ordinal = z
  .string()
  .regex(/^[1-9][0-9]{0,8}$/)
  .transform(Number)
export const versionParams = scriptParams.extend({ version: ordinal })
export const revisionParams = z.object({ revision: ordinal })
const id = z.string().regex(/^[a-z]-[0-9a-z]{1,60}$/)
export const tokenParams = z.object({ token: id })
export const deploymentParams = scriptParams.extend({ deployment: id })
export const serviceAccountParams = z.object({ name: serviceAccountName })
/** Keys that ops wrote into the policy section have ids of their own choice. */
export const serviceAccountKeyParams = serviceAccountParams.extend({ key: serviceAccountName })

export const pageQuery = listQuery.pick({ cursor: true, limit: true })
const dryRun = z
  .enum(["true", "false"])
  .default("false")
  .describe("`true`: check the change and answer what would be, but change nothing")
/** Of a PUT whose message is in its body. */
export const dryRunQuery = z.object({ dry_run: dryRun })
/** Of changes whose body holds no message. */
export const changeQuery = dryRunQuery.extend({
  message: z.string().max(500).optional().describe("Why; kept in the audit"),
})

export const scriptOwner: Access<{ script: string }> = {
  who: "owner",
  of: ({ script }, deps) => deps.store.scripts.get(script),
}
export const teamOwner: Access<{ team: string }> = {
  who: "owner",
  of: async ({ team }, deps) => ((await deps.store.inventory.team(team)) === null ? null : { team }),
}

/** What a list is limited to: a team's own, or nothing for ops. */
export function scopeOf(actor: Actor): string | null {
  return actor.role === "ops" ? null : actor.team
}
