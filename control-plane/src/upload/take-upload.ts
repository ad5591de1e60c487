/**
 * An upload from the wire to a value that the deployment line takes: who, what, allowed, complete. Shared by both doors.
 * Nothing is written here; whatever is wrong is refused before anything is.
 */
import { type Refusal, refuse } from "../../../kit/problem.ts"
import type { Actor } from "../actor.ts"
import type { Dependencies } from "../dependencies.ts"
import type { ScriptRow, VersionRow } from "../store/rows.ts"
import { find, mayClaim } from "../store/scripts.ts"
import { artifactStore } from "./artifact-store.ts"
import { type AssetSessions, assetSessions } from "./asset-session.ts"
import { buildManifest, type Upload } from "./build-manifest.ts"
import { asksToKeep } from "./keep-bindings.ts"
import { findKept } from "./newest-version.ts"
import { readUpload } from "./read-upload.ts"
import { screenMetadata } from "./screen-metadata.ts"
import { secretSeal } from "./seal-secret.ts"

export type TakeUploadDependencies = Pick<Dependencies, "db" | "store" | "artifacts" | "clock" | "settings">

/** An upload, and on what it was decided what it keeps. */
export interface TakenUpload extends Upload {
  /** The last upload when it was looked up what this one keeps of it (`store.versions.lastUpload`); null where it keeps nothing. */
  readonly keptAt: number | null
}

/** Throws `script.*` and `api.forbidden` before the body is read, then `api.media-type`, `upload.*`; `api.busy` while a version is stored of which it would keep something. */
export async function takeUpload(
  script: string,
  request: Request,
  actor: Actor,
  deps: TakeUploadDependencies,
): Promise<TakenUpload> {
  const { team, found } = await ownerOf(script, actor, deps)
  const { metadata, modules } = await readUpload(request)
  const grants = (await deps.store.inventory.team(team))?.grants ?? []
  const today = new Date(deps.clock.now()).toISOString().slice(0, 10)
  const asks = asksToKeep(metadata)
  // Read first: whatever is recorded from here on may not be among what is looked through.
  const last = asks ? await deps.store.versions.lastUpload(script) : null
  const kept = found !== null && asks ? await findKept(found, deps) : null
  const earlier = kept?.from?.manifest.bindings ?? []
  const declaration = screenMetadata(metadata, { grants, today, earlier })
  const assets =
    declaration.assets === null ? null : await sessionsOf(deps).redeem({ script, team }, declaration.assets.token)
  const upload = await buildManifest({ script, declaration, modules, assets }, secretSeal(deps.settings.artifactKey))
  // The same content, sent again after it was broken off, is the same version and finishes it.
  if (kept?.storing && kept.storing.digest !== upload.digest) throw stillStoring(kept.storing)
  const keeps = earlier.some((each) => declaration.bindings.includes(each))
  return { ...upload, keptAt: keeps ? last : null }
}

function stillStoring({ script, number }: VersionRow): Refusal {
  return refuse("api.busy", {
    headers: { "retry-after": "5" },
    detail: `Version ${number} of ${script} is still being stored, and this upload keeps what that has. Upload it again in a moment.`,
  })
}

/** The team that the script belongs to, or would. Claiming it is the deployment line's first step; this only refuses early. */
export async function uploadingTeam(script: string, actor: Actor, deps: Pick<Dependencies, "db">): Promise<string> {
  return (await ownerOf(script, actor, deps)).team
}

async function ownerOf(
  script: string,
  actor: Actor,
  deps: Pick<Dependencies, "db">,
): Promise<{ team: string; found: ScriptRow | null }> {
  const found = await find(deps.db, script)
  mayClaim(script, found, actor)
  const team = found?.team ?? actor.team
  if (team === null)
    throw refuse("api.forbidden", {
      detail: "Ops belong to no team; upload a new script with a token of its team.",
    })
  return { team, found }
}

export function sessionsOf(deps: Pick<Dependencies, "artifacts" | "clock">): AssetSessions {
  return assetSessions({
    bucket: deps.artifacts,
    artifacts: artifactStore(deps.artifacts),
    clock: deps.clock,
  })
}
