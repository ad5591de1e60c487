/** Content → one revision: its exact bytes, held to what a dispatcher loads, and the row that registers it. Whoever commits one takes it from here. */
import { configPointerSchema, parseDispatchConfig } from "../../../contracts/dispatch-config.ts"
import { type Fault, toFaults } from "../../../contracts/to-faults.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { RevisionRow } from "../store/revisions.ts"
import { type ConfigContent, documentOf } from "./build.ts"

export interface MadeRevision {
  readonly row: RevisionRow
  /** The exact bytes, as text. */
  readonly text: string
  /** What a dispatcher would refuse it for, with pointers into the document; none: it may be committed. */
  readonly faults: readonly Fault[]
}

export async function makeRevision(
  content: ConfigContent,
  named: Pick<RevisionRow, "revision" | "publishedAt" | "publishedBy" | "reason">,
): Promise<MadeRevision> {
  const text = documentOf(content, named.revision, named.publishedAt)
  const bytes = new TextEncoder().encode(text)
  const [digest, contentDigest] = await Promise.all([sha256Hex(bytes), sha256Hex(canonicalJson(content))])
  const row: RevisionRow = { ...named, digest, contentDigest, sizeBytes: bytes.byteLength, liveAt: null }
  const parsed = parseDispatchConfig(text)
  if (!parsed.ok) return { row, text, faults: parsed.faults }
  // The dispatcher parses the pointer too, and what it refuses there must not be committed.
  const pointer = configPointerSchema.safeParse({ revision: row.revision, digest, sizeBytes: row.sizeBytes })
  return { row, text, faults: pointer.success ? [] : toFaults(pointer.error) }
}
