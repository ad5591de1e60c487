/** For the schedule: makes KV say what D1 says, whatever was interrupted or lost; where D1 itself was set back, under a later number. */
import { configKey } from "../../../contracts/dispatch-config.ts"
import { SYSTEM } from "../actor.ts"
import type { RevisionRow } from "../store/revisions.ts"
import { publishConfig } from "./change.ts"
import { documentKey, type PublishDependencies, publishLatest, readPointer } from "./publish.ts"
import { removeOldRevisions } from "./remove-old-revisions.ts"
import { RegistryInDoubt } from "./renumber.ts"

/** Does nothing but remove what is old when the pointer names the newest revision, and that is there and its copy kept. Whoever publishes a newer one meanwhile is not set back. */
export async function healPublication(deps: PublishDependencies): Promise<void> {
  try {
    await heal(deps)
  } finally {
    await removeOldRevisions(deps)
  }
}

async function heal(deps: PublishDependencies): Promise<void> {
  try {
    await publishLatest(deps, { isInPlace: (latest) => isInPlace(deps, latest) })
  } catch (failure) {
    if (failure instanceof RegistryInDoubt) return deps.log({ event: "publish.in-doubt" })
    // Perhaps neither kept nor to be made again, because this Worker was updated in between: then the next revision takes its place.
    deps.log({ event: "publish.replace", error: String(failure) })
    await publishConfig("heal", SYSTEM, deps)
  }
}

async function isInPlace(deps: PublishDependencies, latest: RevisionRow): Promise<boolean> {
  const pointer = await readPointer(deps).catch(() => null)
  const isNamed = pointer?.revision === latest.revision && pointer.digest === latest.digest
  const { liveAt, revision } = latest
  if (liveAt !== null && isNamed && (await isThere(deps, revision)) && (await isKept(deps, revision))) return true
  deps.log({ event: "publish.heal", revision: latest.revision, found: pointer?.revision ?? null })
  return false
}

async function isThere(deps: PublishDependencies, revision: number): Promise<boolean> {
  const stream = await deps.config.get(configKey(revision), "stream").catch(() => null)
  await stream?.cancel()
  return stream !== null
}

/** The newest revision may be older than what a lifecycle rule leaves in R2. Without an answer it counts as kept: nothing hangs on it now. */
async function isKept({ artifacts }: PublishDependencies, revision: number): Promise<boolean> {
  return await artifacts.head(documentKey(revision)).then(
    (found) => found !== null,
    () => true,
  )
}
