/** `If-Match` on what changes the deployment in force: the entity tag is its id in quotes. */
import { refuse } from "../../../kit/problem.ts"
import type { DeploymentRow } from "../store/rows.ts"

/** Throws `api.precondition-failed`, with the id of the one in force as ETag, unless the header is absent or names `current`. */
export function checkCurrentDeployment(headers: Headers, current: DeploymentRow | null): void {
  const wanted = headers.get("if-match")
  if (wanted === null) return
  const etag = current === null ? null : `"${current.id}"`
  const matches = etag !== null && (wanted.trim() === "*" || wanted.split(",").some((each) => each.trim() === etag))
  if (!matches) throw refuse("api.precondition-failed", { headers: etag === null ? {} : { etag } })
}
