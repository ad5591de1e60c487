/** Rows as `/v1` shows them. One function per noun, so that a thing looks the same wherever it is answered. */
import type { Deployment, Hostname, Route, Script, Team, Token, Version } from "../../../contracts/api.ts"
import { placedName } from "../../../contracts/script-name.ts"
import type { Registry } from "../store/registry.ts"
import type { RevisionRow } from "../store/revisions.ts"
import {
  type DeploymentRow,
  type HostnameRow,
  type RouteRow,
  type ScriptRow,
  specOf,
  type TeamRow,
  type TokenRow,
  type VersionRow,
} from "../store/rows.ts"
import type { ScriptView } from "../store/scripts.ts"
import type { VersionStore } from "../store/versions.ts"

export function showTeam({ name, grants, egress, kill, createdAt }: TeamRow): Team {
  return { name, grants, egress, kill, createdAt }
}

export function showToken(row: TokenRow): Token {
  return { ...row }
}

export function showScript(view: ScriptView): Script {
  const { name, team, settings, createdAt, latestVersion } = view
  const { stickyBy, limits, timeoutMs, deployOnUpload, keepAssetVersions, keepPlacedVersions, access, kill } = settings
  const releases = view.releases === null ? null : [...view.releases]
  const kept = { keepAssetVersions, keepPlacedVersions }
  const chosen = { stickyBy, limits, timeoutMs, deployOnUpload, ...kept, access, kill }
  return { name, team, ...chosen, releases, latestVersion, createdAt }
}

/** How a change shows the script `name`: with what is deployed of it in the registry that the change is made to. */
export async function showScriptIn(
  registry: Registry,
  name: string,
  versions: Pick<VersionStore, "latest">,
): Promise<(row: ScriptRow) => Script> {
  const releases = registry.current.get(name)?.releases ?? null
  const latestVersion = await versions.latest(name)
  return (row) => showScript({ ...row, releases, latestVersion })
}

export function showVersion(version: VersionRow): Version {
  // When it was used is no part of what it is: its ETag changes with nobody's traffic.
  const { number, needs: _, usedAtMs: __, heldUntilMs: ___, removedAtMs: ____, ...row } = version
  return { ...row, version: number, placedName: placedName(row.script, number) }
}

export function showDeployment({ seq: _, backTo: __, withdrawn: ___, ...row }: DeploymentRow): Deployment {
  return { ...row, releases: [...row.releases] }
}

export function showHostname(row: HostnameRow): Hostname {
  return { ...row }
}

export function showRoute(row: RouteRow): Route {
  return specOf(row)
}

export function showRevision(row: RevisionRow) {
  const { revision, digest, sizeBytes, publishedAt, publishedBy, reason } = row
  return { revision, digest, sizeBytes, publishedAt, publishedBy, reason }
}
