/**
 * Takes from KV the revisions that no pointer can lead to any more; R2 keeps their copies longer. Called by the schedule, never by a publication: what the pointer named until that moment,
 * dispatchers still load, because KV may show it for a minute and more. What one tick leaves, the next finds: it looks at what is there.
 */
import { configKey } from "../../../contracts/dispatch-config.ts"
import { type PublishDependencies, readPointer } from "./publish.ts"

/** Milliseconds after which no location shows a pointer any more that was replaced, with ample room over KV's minute. */
const SHOWN_MS = 10 * 60_000
/** More than can be published between two ticks: KV takes one pointer a second. */
const REMOVED_AT_ONCE = 200
const REVISIONS = configKey(0).slice(0, -1)

/** Never throws: what cannot be removed stays, costs its storage, and nobody reads it. */
export async function removeOldRevisions(deps: PublishDependencies): Promise<void> {
  try {
    const [settled, named] = await Promise.all([
      deps.store.revisions.oldestShown(deps.clock.now() - SHOWN_MS),
      readPointer(deps),
    ])
    if (settled === null || named === null) return
    const keys = await keysBelow(Math.min(settled, named.revision), deps.config)
    const ended = await Promise.allSettled(keys.map((key) => deps.config.delete(key)))
    const failed = ended.filter((each) => each.status === "rejected")
    if (failed.length > 0)
      deps.log({ event: "publish.not-removed", revisions: failed.length, error: String(failed[0]?.reason) })
  } catch (failure) {
    deps.log({ event: "publish.not-removed", error: String(failure) })
  }
}

/** At most {@link REMOVED_AT_ONCE}. */
async function keysBelow(revision: number, config: KVNamespace): Promise<string[]> {
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await config.list({ prefix: REVISIONS, ...(cursor === undefined ? {} : { cursor }) })
    for (const { name } of page.keys) if (Number(name.slice(REVISIONS.length)) < revision) found.push(name)
    cursor = page.list_complete ? undefined : page.cursor
  } while (cursor !== undefined && found.length < REMOVED_AT_ONCE)
  return found.slice(0, REMOVED_AT_ONCE)
}
