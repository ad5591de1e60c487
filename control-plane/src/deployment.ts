/**
 * The deployment line: from an upload that was read and screened to traffic. Reading it top to bottom answers what happens to an upload.
 * Each step is idempotent and written down before it acts, so that whoever comes next (the client again, or the schedule) goes on where it stopped;
 * traffic moves in one step only, the last.
 */
import type { Role } from "../../contracts/api.ts"
import type { ReleaseWeight } from "../../contracts/dispatch-config.ts"
import { FULL_WEIGHT_BPS } from "../../contracts/dispatch-config.ts"
import type { Manifest, ManifestAsset } from "../../contracts/manifest.ts"
import { asRefusal, type Refusal, refuse } from "../../kit/problem.ts"
import { type Actor, SYSTEM } from "./actor.ts"
import { type PublishedDeployment, publishDeployment } from "./config/publish-deployment.ts"
import type { Dependencies } from "./dependencies.ts"
import { requireGranted } from "./require-granted.ts"
import { type CallBudget, type Spender, spendCalls } from "./script-host/call-budget.ts"
import { retainedAssets } from "./script-host/retain-assets.ts"
import { callsToPlace, type Placed, scriptHost } from "./script-host/script-host.ts"
import type { RecordOptions } from "./store/deployments.ts"
import type { DeploymentRow, ScriptRow, VersionRow, VersionState } from "./store/rows.ts"
import { artifactStore, ManifestChanged } from "./upload/artifact-store.ts"
import type { Upload } from "./upload/build-manifest.ts"
import { secretSeal } from "./upload/seal-secret.ts"
import type { TakenUpload } from "./upload/take-upload.ts"

/** Milliseconds that a deployment is left to the request that began it before the schedule takes it up. */
const HANDS_OFF_MS = 60_000
/** Milliseconds after which a deployment that still cannot come into force is given up. */
const GIVE_UP_MS = 15 * 60_000
/** Of a deployment that is in force as far as the registry goes: KV will hear of it, and nothing is to be given up. */
const IN_FORCE_UNPUBLISHED = "config.not-published"

/** Why an upload did or did not move traffic. */
export type Outcome =
  | "deployed"
  /** The version had all traffic before. */
  | "in-force"
  /** The script's `deployOnUpload` is off, or the caller asked only to publish. */
  | "published-only"
  /** Several releases share the traffic: an upload does not end a canary. */
  | "canary-kept"
  /** A newer deployment came first. */
  | "superseded"

export interface Deployed {
  readonly script: ScriptRow
  readonly version: number
  /** False when the same content was uploaded before. */
  readonly created: boolean
  readonly digest: string
  readonly placed: Placed
  readonly outcome: Outcome
  /** The releases that have the traffic; null when none has any. */
  readonly inForce: readonly ReleaseWeight[] | null
  /** Revision in force that carries the version; null when this upload was published only. */
  readonly configRevision: number | null
}

/**
 * Makes an upload a version and, unless told otherwise, lets it have all of its script's traffic.
 * Throws `script.*` and `cloudflare.budget-spent` before anything is written, `cloudflare.refused` (the version is marked failed, traffic unchanged), `cloudflare.unavailable`
 * and `cloudflare.budget-spent` after that (the schedule goes on with it, or the same upload again), `config.*`, `api.busy` (also when the upload keeps what a version recorded meanwhile may have replaced).
 */
export async function deployUpload(
  upload: TakenUpload,
  actor: Actor,
  deps: Dependencies,
  options: { readonly deploy?: boolean } = {},
): Promise<Deployed> {
  const spender = spenderOf({ role: actor.role, duty: "upload" }, actor.team, "recorded")
  return await spendCalls(spender, deps, async (budget) => {
    // First of all, so that an upload that could not be placed now leaves nothing behind.
    await budget.reserve(callsToPlace(upload.manifest))
    const script = await deps.store.scripts.claim(upload.script, actor)
    const { version, created } = await deps.store.versions.record(script.name, upload, actor)
    await storeArtifacts(upload, version, deps)
    const intent = await recordIntent(script, version, upload.message, options.deploy ?? true, actor, deps)
    const placed = await placeVersion(script, version, budget, actor, deps).catch((failure) =>
      endRefused(intent.deployment, failure, actor, deps),
    )
    const { outcome, configRevision } = await shiftTraffic(intent, actor, deps)
    const inForce = (await deps.store.deployments.current(script.name))?.releases ?? null
    return { script, version, created, digest: upload.digest, placed, outcome, inForce, configRevision }
  })
}

/**
 * Lets the named versions share a script's traffic. Versions that are in the namespace need no call to Cloudflare, so that a rollback does not depend on it;
 * others, retired ones among them, are placed again from what is stored. Throws `deployment.not-granted`, `version.unknown`, `version.not-placed`, and as {@link deployUpload}.
 */
export async function deployReleases(
  script: ScriptRow,
  releases: readonly ReleaseWeight[],
  message: string | null,
  actor: Actor,
  deps: Dependencies,
  options: RecordOptions = {},
): Promise<DeploymentRow> {
  const rows = await Promise.all(releases.map(({ version }) => readVersion(script.name, version, deps)))
  await requireGranted(script.team, rows, deps)
  const deployment = await deps.store.deployments.record(script.name, releases, message, actor, options)
  return await finishDeployment(script, deployment, actor, deps)
}

/** Goes on with a deployment that was recorded: one that is in force is only published again if KV lacks it. Throws as {@link deployReleases}, and `api.conflict` for one that has failed. */
export async function finishDeployment(
  script: ScriptRow,
  deployment: DeploymentRow,
  actor: Actor,
  deps: Dependencies,
): Promise<DeploymentRow> {
  try {
    await carryOut(script, deployment, actor, deps)
  } catch (failure) {
    await endRefused(deployment, failure, actor, deps)
  }
  return (await deps.store.deployments.get(deployment.id)) ?? deployment
}

/** For the schedule: goes on with what was begun and left. One that fails does not keep the next from being tried. */
export async function resumeDeployments(deps: Dependencies): Promise<void> {
  for (const deployment of await deps.store.deployments.unfinished()) {
    const ageMs = deps.clock.now() - Date.parse(deployment.createdAt)
    if (ageMs < HANDS_OFF_MS) continue
    try {
      const script = await deps.store.scripts.get(deployment.script)
      if (script === null) throw refuse("version.not-placed", { detail: "The script was deleted." })
      await carryOut(script, deployment, SYSTEM, deps, await roleBehind(deployment, deps))
    } catch (failure) {
      const refusal = asRefusal(failure)
      const { id } = deployment
      deps.log({ event: "deployment.resume-failed", deployment: id, code: refusal.code, ...factsOf(refusal) })
      if (isFinal(refusal) || (ageMs > GIVE_UP_MS && refusal.code !== IN_FORCE_UNPUBLISHED))
        await deps.store.deployments.fail(id, SYSTEM)
    }
  }
}

/** `role` is of whoever asked for the deployment. */
async function carryOut(
  script: ScriptRow,
  deployment: DeploymentRow,
  actor: Actor,
  deps: Dependencies,
  role = actor.role,
): Promise<PublishedDeployment> {
  const rows = await Promise.all(deployment.releases.map(({ version }) => readVersion(script.name, version, deps)))
  await requireGranted(script.team, rows, deps)
  await placeMissing(script, rows, actor, deps, { role, duty: "deployment" })
  return await publishDeployment(deployment.id, actor, deps)
}

/**
 * Places what is not known to be whole in the namespace: never placed whole, or retired since; `asker` says whose calls that takes. Before it is called, something has to keep the versions there: a deployment
 * that was begun, or a hold. Throws `version.not-placed` (its artifacts were never stored completely), `cloudflare.*`, `api.busy`.
 */
export async function placeMissing(
  script: ScriptRow,
  rows: readonly Pick<VersionRow, "number" | "state">[],
  actor: Actor,
  deps: Dependencies,
  asker: Asker = { role: actor.role, duty: "upload" },
): Promise<void> {
  for (const { number, state } of rows) {
    if (state === "verified") continue
    await spendCalls(spenderOf(asker, script.team, state), deps, (budget) =>
      placeVersion(script, number, budget, actor, deps),
    )
  }
}

/** Who wants a version placed, and for what; anything but traffic counts as an upload. */
interface Asker {
  readonly role: Role
  readonly duty: "upload" | "deployment"
}

/** Whose calls placing a version takes. What was never seen whole is an upload yet, although it is to be deployed: to deploy what was refused would be a way round the uploads' share. */
function spenderOf({ role, duty }: Asker, team: string | null, state: VersionState): Spender {
  if (role === "ops") return { duty: "ops", team: null }
  return { duty: NEVER_WHOLE.has(state) ? "upload" : duty, team }
}
const NEVER_WHOLE: ReadonlySet<VersionState> = new Set(["recorded", "placed", "failed"])

/** What the schedule resumes takes the calls of whoever began it. A token that is not kept, as that of the first day, has no more than a team's. */
async function roleBehind({ createdBy }: DeploymentRow, deps: Dependencies): Promise<Role> {
  const token = await deps.store.tokens.get(createdBy.replace(/^token:/, ""))
  return token?.role ?? "team"
}

/** The files first and the manifest last: a manifest says that everything it names is there. */
async function storeArtifacts(upload: Upload, version: number, deps: Dependencies): Promise<void> {
  const artifacts = artifactStore(deps.artifacts)
  await Promise.all(upload.blobs.map((blob) => artifacts.putBlob(blob)))
  await artifacts.putManifest(version, upload.manifest, upload.digest)
}

interface Intent {
  /** What is to be in force once the version is placed; null when nothing changes. */
  readonly deployment: DeploymentRow | null
  /** Why not, where nothing is. */
  readonly outcome: Outcome
}

/** Writes the deployment down before anything reaches Cloudflare, so that it is finished even if nobody asks again. */
async function recordIntent(
  script: ScriptRow,
  version: number,
  message: string | null,
  deploy: boolean,
  actor: Actor,
  deps: Dependencies,
): Promise<Intent> {
  if (!deploy || !script.settings.deployOnUpload) return { deployment: null, outcome: "published-only" }
  const current = await deps.store.deployments.current(script.name)
  const begun = await deps.store.deployments.unfinishedOf(script.name)
  if ([current, ...begun].some((each) => each !== null && each.releases.length > 1))
    return { deployment: null, outcome: "canary-kept" }
  // Published again all the same: KV may not have heard of it yet when the one who deployed it was interrupted.
  if (begun.length === 0 && current?.releases[0]?.version === version)
    return { deployment: current, outcome: "in-force" }
  const newest = begun.at(-1)
  const releases = [{ version, weightBps: FULL_WEIGHT_BPS }]
  const deployment =
    newest?.releases[0]?.version === version
      ? newest
      : await deps.store.deployments.record(script.name, releases, message, actor)
  return { deployment, outcome: "deployed" }
}

/**
 * The version as a script of its own in the namespace, read back. Idempotent: what is there already is only looked at.
 * Throws `version.not-placed` when its artifacts were never stored completely, `api.busy` while it is being taken out of the namespace.
 */
async function placeVersion(
  script: ScriptRow,
  version: number,
  budget: CallBudget,
  actor: Actor,
  deps: Dependencies,
): Promise<Placed> {
  const { versions } = deps.store
  const artifacts = artifactStore(deps.artifacts)
  const wasOut = await versions.beginPlacing(script.name, version, actor)
  const { digest, state } = await readVersion(script.name, version, deps)
  const manifest = await artifacts.readManifest(script.name, version, digest)
  if (manifest === null) throw refuse("version.not-placed")
  const seal = secretSeal(deps.settings.artifactKey)
  const placement = {
    team: script.team,
    version,
    digest,
    manifest,
    readBlob: artifacts.readBlob,
    readRetained: () => readRetained(script, version, manifest, deps),
    openSecret: (binding: (typeof manifest.bindings)[number]) => seal.open(script.name, binding),
    isBack: wasOut || state === "retired",
  }
  const host = scriptHost(deps, budget)
  try {
    await budget.reserve(callsToPlace(manifest))
    const placed = await host.place(placement)
    if (state === "verified" && placed.wasThere) return placed
    // Another may have placed and verified it in the meantime: it does not become doubtful again by this, or a deployment of the other would find it so.
    // What was whole once stays retired until it is seen so again: should the look at it fail, going on takes the calls of a deployment still, and writes it again.
    if (state !== "retired")
      await versions.setState(script.name, version, "placed", actor, state === "verified" ? {} : { unless: "verified" })
    const etag = await host.verify(placement)
    await versions.setState(script.name, version, "verified", actor, { etag })
    return placed
  } catch (failure) {
    if (asRefusal(failure).code === "cloudflare.refused") await versions.setState(script.name, version, "failed", actor)
    throw failure
  }
}

/** Immutable files of the versions before `version`, as many as the script's settings keep. One whose manifest is gone or changed keeps nothing: what came before stops no release. */
async function readRetained(
  { name, settings }: ScriptRow,
  version: number,
  { assets }: Manifest,
  deps: Dependencies,
): Promise<readonly ManifestAsset[]> {
  if (assets === null || settings.keepAssetVersions === 0) return []
  return retainedAssets(assets, assetsOfEarlier(name, version, settings.keepAssetVersions, deps))
}

async function* assetsOfEarlier(
  name: string,
  version: number,
  limit: number,
  deps: Dependencies,
): AsyncGenerator<NonNullable<Manifest["assets"]>> {
  const artifacts = artifactStore(deps.artifacts)
  for (const { number, digest } of await deps.store.versions.earlier(name, version, limit)) {
    const manifest = await artifacts.readManifest(name, number, digest).catch((failure: unknown) => {
      if (!(failure instanceof ManifestChanged)) throw failure
      deps.log({ event: "assets.not-kept", script: name, version: number })
      return null
    })
    if (manifest?.assets != null) yield manifest.assets
  }
}

async function shiftTraffic(
  { deployment, outcome }: Intent,
  actor: Actor,
  deps: Dependencies,
): Promise<{ outcome: Outcome; configRevision: number | null }> {
  if (deployment === null) return { outcome, configRevision: null }
  const { revision, superseded } = await publishDeployment(deployment.id, actor, deps)
  return { outcome: superseded ? "superseded" : outcome, configRevision: revision }
}

/** A deployment begun that cannot become true is closed; one that may yet is left for the schedule, and whoever has no calls left is told so. Throws `failure` in either case. */
async function endRefused(
  deployment: DeploymentRow | null,
  failure: unknown,
  actor: Actor,
  deps: Dependencies,
): Promise<never> {
  if (deployment?.phase !== "recorded") throw failure
  const refusal = asRefusal(failure)
  if (isFinal(refusal)) await deps.store.deployments.fail(deployment.id, actor)
  if (refusal.code !== "cloudflare.budget-spent") throw failure
  const detail = `${refusal.options.detail ?? ""} It was recorded and is gone on with meanwhile.`.trimStart()
  throw refuse(refusal.code, { ...refusal.options, detail })
}

/** True for what trying again would not change. */
function isFinal(refusal: Refusal): boolean {
  return FINAL.has(refusal.code)
}
const FINAL: ReadonlySet<string> = new Set([
  "api.not-found",
  "cloudflare.refused",
  "config.invalid",
  "config.nearly-full",
  "deployment.not-granted",
  "route.quota-exceeded",
  "version.not-placed",
  "version.unknown",
])

async function readVersion(script: string, version: number, deps: Dependencies): Promise<VersionRow> {
  const row = await deps.store.versions.get(script, version)
  if (row === null) throw refuse("version.unknown", { detail: `${script} has no version ${version}.` })
  return row
}

function factsOf({ options, cause }: Refusal): Readonly<Record<string, unknown>> {
  return { ...options.log, ...(cause === undefined ? {} : { cause: String(cause) }) }
}
