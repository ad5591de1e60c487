/**
 * Looks whether what stands at Cloudflare is still what the platform relies on: somebody with the dashboard, a token or another tool may have changed it past the control plane, and nothing
 * else would say so. Once in the minute's schedule; everything has its turn within {@link EVERY_MS}, as far as {@link MOST_PER_MINUTE} allows. Only looks: what drifted is shown by status, metrics and
 * log, and mended by people (docs/runbooks/drift.md).
 */
import type { Manifest } from "../../../contracts/manifest.ts"
import { asRefusal } from "../../../kit/problem.ts"
import type { Dependencies } from "../dependencies.ts"
import { callBudget, WATCH } from "../script-host/call-budget.ts"
import { type Inspector, inspector } from "../script-host/inspect.ts"
import type { DriftLook, VersionInForce } from "../store/drift.ts"
import { artifactStore, ManifestChanged } from "../upload/artifact-store.ts"

/** Milliseconds from one look to the next at the same thing; an alarm within the hour stands three turns that failed. */
const EVERY_MS = 15 * 60_000
/** Milliseconds after which a look that came to no end is made again. */
const AGAIN_MS = 45_000
/** Looks in one run of the schedule: each takes one or two calls of the 1200 that Cloudflare allows in five minutes. */
export const MOST_PER_MINUTE = 20
/** Milliseconds after which a run begins no further look: with Cloudflare silent, one alone takes most of a minute. */
const RUN_MS = 30_000

/** One thing outside of the registry. */
interface Subject {
  readonly about: string
  /** What is not as it should be, in words, or null. Throws when it could not be seen. */
  readonly look: () => Promise<string | null>
}

export type DriftDependencies = Pick<
  Dependencies,
  "clock" | "wait" | "fetch" | "log" | "settings" | "artifacts" | "store"
>

/** What could not be seen says nothing of what stands there: it is tried again, and how long ago it was seen grows. */
export async function watchDrift(deps: DriftDependencies): Promise<void> {
  const { store, clock, log } = deps
  const begunMs = clock.now()
  const [platform, versions] = await subjectsOf(deps)
  await store.drift.keepOnly([...platform, ...versions].map(({ about }) => about))
  const before = new Map((await store.drift.looks()).map((look) => [look.about, look]))
  // What all teams' Workers rest on waits for none of them.
  const due = [...dueOf(platform, before, begunMs), ...dueOf(versions, before, begunMs)].slice(0, MOST_PER_MINUTE)
  for (const { about, look } of due) {
    if (clock.now() - begunMs >= RUN_MS) return
    await store.drift.begin(about, clock.now())
    try {
      const fault = await look()
      await store.drift.note(about, clock.now(), fault)
      if (fault === (before.get(about)?.fault ?? null)) continue
      log({ event: fault === null ? "drift.gone" : "drift.found", about, fault })
    } catch (failure) {
      const { code, options, cause } = asRefusal(failure)
      log({ event: "drift.not-seen", about, code, ...options.log, cause: String(cause ?? failure) })
    }
  }
}

async function subjectsOf(deps: DriftDependencies): Promise<[platform: readonly Subject[], versions: Subject[]]> {
  const inspect = inspector(deps, callBudget(WATCH, deps))
  const versions = await deps.store.drift.inForce(deps.clock.now())
  return [
    [
      { about: "namespace", look: () => inspect.namespace() },
      { about: "dispatcher", look: () => inspect.dispatcher() },
    ],
    versions.map((version) => ({
      about: `scripts/${version.script}/versions/${version.number}`,
      look: () => faultOfVersion(version, inspect, deps),
    })),
  ]
}

/** Those that were not seen for long, first whom nobody has tried for longest. */
function dueOf(subjects: readonly Subject[], looks: ReadonlyMap<string, DriftLook>, nowMs: number): readonly Subject[] {
  const triedAtMs = ({ about }: Subject) => looks.get(about)?.triedAtMs ?? 0
  const isOld = (atMs: number | null | undefined, limitMs: number) =>
    atMs == null || nowMs - atMs >= limitMs || atMs > nowMs
  return subjects
    .filter((subject) => isOld(looks.get(subject.about)?.lookedAtMs, EVERY_MS) && isOld(triedAtMs(subject), AGAIN_MS))
    .toSorted((left, right) => triedAtMs(left) - triedAtMs(right))
}

async function faultOfVersion(version: VersionInForce, inspect: Inspector, deps: DriftDependencies) {
  const { script, team, number, digest } = version
  const manifest = await readManifest(version, deps)
  const placed = { script, team, version: number, digest, manifest: typeof manifest === "string" ? null : manifest }
  const { fault, etag } = await inspect.version(placed)
  // What runs goes before what could not be placed again.
  if (fault !== null) return fault
  // Tags outlive a change of the code alone.
  if (etag !== null && version.etag !== null && etag !== version.etag) return "its code was changed there"
  if (typeof manifest === "string") return manifest
  if (etag !== null && version.etag === null) await deps.store.drift.noteEtag(script, number, etag)
  return null
}

/** Or what is wrong with what R2 holds: without it the version can never be placed again. */
async function readManifest(
  { script, number, digest }: VersionInForce,
  { artifacts }: Pick<Dependencies, "artifacts">,
): Promise<Manifest | string> {
  try {
    const manifest = await artifactStore(artifacts).readManifest(script, number, digest)
    return manifest ?? "its manifest is gone from R2"
  } catch (failure) {
    if (failure instanceof ManifestChanged) return "its manifest in R2 was changed"
    throw failure
  }
}
