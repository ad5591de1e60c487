/** For the schedule: makes KV say what D1 says, whatever was interrupted or lost. */
import { CONFIG_POINTER_KEY, type ConfigPointer, configKey } from "../../../contracts/dispatch-config.ts"
import { SYSTEM } from "../actor.ts"
import { publishConfig } from "./change.ts"
import { type PublishDependencies, readDocument, writeRevision } from "./publish.ts"

/** Does nothing when the pointer names the newest revision and that is there. */
export async function healPublication(deps: PublishDependencies): Promise<void> {
  const latest = await deps.store.revisions.latest()
  if (latest === null) return
  const pointer = await deps.config.get<ConfigPointer>(CONFIG_POINTER_KEY, "json").catch(() => null)
  const isNamed = pointer?.revision === latest.revision && pointer.digest === latest.digest
  if (latest.liveAt !== null && isNamed && (await isThere(deps, latest.revision))) return
  deps.log({ event: "publish.heal", revision: latest.revision, found: pointer?.revision ?? null })
  try {
    await writeRevision(deps, latest, await readDocument(deps, latest))
  } catch (failure) {
    // Neither kept nor to be made again, because this Worker was updated in between: the next revision takes its place.
    deps.log({ event: "publish.replace", revision: latest.revision, error: String(failure) })
    await publishConfig("heal", SYSTEM, deps)
  }
}

async function isThere(deps: PublishDependencies, revision: number): Promise<boolean> {
  const stream = await deps.config.get(configKey(revision), "stream").catch(() => null)
  await stream?.cancel()
  return stream !== null
}
