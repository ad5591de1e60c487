/**
 * A version may be used only while its team holds the grants of its bindings. Looked at whenever a deployment is carried out, because the version was
 * screened when it was uploaded, and grants are taken away.
 */
import { refuse } from "../../kit/problem.ts"
import type { Dependencies } from "./dependencies.ts"
import type { VersionRow } from "./store/rows.ts"

/** Throws `deployment.not-granted` naming each version and grant. */
export async function requireGranted(
  team: string,
  versions: readonly Pick<VersionRow, "number" | "needs">[],
  { store }: { readonly store: Pick<Dependencies["store"], "inventory"> },
): Promise<void> {
  if (versions.every(({ needs }) => needs.length === 0)) return
  const held: readonly string[] = (await store.inventory.team(team))?.grants ?? []
  const errors = versions.flatMap(({ number, needs }) =>
    needs
      .filter((grant) => !held.includes(grant))
      .map((grant) => ({
        pointer: `/versions/${number}`,
        detail: `the team ${team} does not hold the grant ${grant}`,
      })),
  )
  if (errors.length > 0) throw refuse("deployment.not-granted", { errors: errors.slice(0, 20) })
}
