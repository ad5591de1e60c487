/** Who acts: the holder of a token, or the control plane itself when it finishes what was begun. A leaf type. */
import type { Role } from "../../contracts/api.ts"

export interface Actor {
  readonly tokenId: string
  readonly role: Role
  /** Null for ops, who belong to no team and may act for all. */
  readonly team: string | null
  /** As written into the audit: `token:<id>`, or `system`. */
  readonly name: string
}

/** Acts when the schedule repairs or resumes; what it does was recorded by someone who might. */
export const SYSTEM: Actor = { tokenId: "system", role: "ops", team: null, name: "system" }

/** True when `actor` may act for `team`: its own, or any for ops. */
export function actsFor(actor: Actor, team: string | null): boolean {
  return actor.role === "ops" || (team !== null && actor.team === team)
}
