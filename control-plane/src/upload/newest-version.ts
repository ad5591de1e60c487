/** The versions that stand for a script where none is named: the newest, which the doors show, and the last uploaded, of which an upload may keep bindings. */
import type { Manifest } from "../../../contracts/manifest.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"
import type { Dependencies } from "../dependencies.ts"
import type { ScriptRow, VersionRow } from "../store/rows.ts"
import { artifactStore, ManifestChanged } from "./artifact-store.ts"

export interface NewestVersion {
  readonly script: ScriptRow
  readonly version: VersionRow
  readonly manifest: Manifest
}

type NewestDependencies = Pick<Dependencies, "store" | "artifacts">

/** Versions that are looked through at once; all but the first are there only after failures. */
const PAGE = 20
/** Milliseconds for which a version that was recorded may still be on its way into R2. */
const STORING_MS = 60_000

/** The version of the highest number that was stored completely, and that can be read; null when there is none. */
export async function findNewest(
  script: ScriptRow,
  { store, artifacts }: NewestDependencies,
): Promise<NewestVersion | null> {
  let cursor: string | undefined
  do {
    const page = await store.versions.list(script.name, { limit: PAGE, cursor })
    for (const version of page.items) {
      const manifest = await artifactStore(artifacts)
        .readManifest(script.name, version.number, version.digest)
        .catch(nullIfChanged)
      if (manifest !== null) return { script, version, manifest }
    }
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  return null
}

/** Nothing of it can be believed, and a list of scripts must not hang on one of them. */
function nullIfChanged(failure: unknown): null {
  if (failure instanceof ManifestChanged) return null
  throw failure
}

/** What an upload may keep bindings of. */
export interface Kept {
  /** The last version that was uploaded, also when that was an earlier content again; null when there is none. */
  readonly from: NewestVersion | null
  /** A later one that is on its way into R2: only the same content may keep what it does not say. */
  readonly storing: VersionRow | null
}

/**
 * Not a version that Cloudflare refused: what was wrong with it may be what it declares. Nor one from before the script was deleted, unless it has traffic again. What an earlier team had is gone
 * with its versions. Never an earlier one in place of one that can no longer be read, whose secrets may be those that it dropped: throws `upload.metadata-refused`.
 */
export async function findKept(
  script: ScriptRow,
  { store, artifacts, clock }: NewestDependencies & Pick<Dependencies, "clock">,
): Promise<Kept> {
  if (script.deletedAt !== null) return { from: null, storing: null }
  let storing: VersionRow | null = null
  const current = await store.deployments.current(script.name)
  const inForce = new Set(current?.releases.map((each) => each.version))
  for await (const version of store.versions.uploaded(script.name)) {
    const { number, digest, uploadedAt, state } = version
    if (uploadedAt < script.createdAt && !inForce.has(number)) continue
    const manifest = await artifactStore(artifacts)
      .readManifest(script.name, number, digest)
      .catch((failure: unknown) => {
        throw failure instanceof ManifestChanged
          ? unreadable(number, "its manifest in R2 was changed", failure)
          : failure
      })
    if (manifest !== null) return { from: { script, version, manifest }, storing }
    if (state !== "recorded") throw unreadable(number, "its manifest is gone from R2")
    // One that was never stored whole has no secrets to drop.
    if (clock.now() - Date.parse(uploadedAt) < STORING_MS) storing ??= version
  }
  return { from: null, storing }
}

/** What is uploaded next keeps of what was uploaded last: a version that keeps nothing puts an end to it. */
function unreadable(version: number, why: string, cause?: unknown): Refusal {
  const detail = `what version ${version} has can no longer be read: ${why}. Publish any content that keeps nothing (\`sallyport versions upload\`, which gives it no traffic), then deploy with all secrets in --secrets-file`
  return refuse("upload.metadata-refused", { errors: [{ pointer: "/keep_bindings", detail }], cause })
}
