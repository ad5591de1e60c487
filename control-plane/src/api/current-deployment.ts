/** The entity tag of a deployment, and `If-Match` on what changes the one in force. */
import { refuse } from "../../../kit/problem.ts"
import type { DeploymentRow } from "../store/rows.ts"

/** Its id in quotes, once it is in force or has failed: from then on nothing of it changes. Null before. */
export function tagOfDeployment({ id, phase }: Pick<DeploymentRow, "id" | "phase">): string | null {
  return phase === "recorded" ? null : `"${id}"`
}

/** Throws `api.precondition-failed`, with the tag of the one in force as ETag, unless the header is absent or names `current`. */
export function checkCurrentDeployment(headers: Headers, current: DeploymentRow | null): void {
  const wanted = headers.get("if-match")
  if (wanted === null) return
  const etag = current === null ? null : tagOfDeployment(current)
  const matches = etag !== null && (wanted.trim() === "*" || wanted.split(",").some((each) => each.trim() === etag))
  if (!matches) throw refuse("api.precondition-failed", { headers: etag === null ? {} : { etag } })
}
