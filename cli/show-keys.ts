/** The key ring of the passports for a person: a table, what happens next, and where the edge does not go along. */
import { z } from "zod"
import type { KeyRing } from "../contracts/api.ts"
import { RESERVED_PATH_PREFIX } from "../contracts/reserved-headers.ts"
import type { Io } from "./io.ts"
import { printTable } from "./print.ts"

const versionShape = z.object({
  passportKeys: z.object({ signing: z.string().nullable(), unopened: z.array(z.string()) }),
})
const TIMEOUT_MS = 5_000

/** What one isolate of the edge says of its keys; null when nobody said where the edge is, or it does not answer so. */
export interface EdgeKeys {
  readonly signing: string | null
  readonly unopened: readonly string[]
}

export async function edgeKeys(edgeUrl: string | undefined, io: Pick<Io, "fetch">): Promise<EdgeKeys | null> {
  if (edgeUrl === undefined) return null
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await io.fetch(`${edgeUrl}${RESERVED_PATH_PREFIX}version`, { redirect: "error", signal })
    return versionShape.parse(await response.json()).passportKeys
  } catch {
    return null
  }
}

export function printKeys(io: Io, ring: KeyRing, edge: EdgeKeys | null): void {
  printTable(
    io,
    ["KEY", "STATE", "SIGNS FROM", "VERIFIES UNTIL"],
    ring.keys.map((key) => [key.kid, key.state, key.signsFrom ?? "never again", key.verifiesUntil ?? "further notice"]),
    "There are no keys yet: the edge signs with its secret PASSPORT_KEYS. `sallyport keys rotate` makes the first one.",
  )
  for (const line of remarks(ring, edge)) io.out(`${line}\n`)
}

function remarks(ring: KeyRing, edge: EdgeKeys | null): string[] {
  const lines: string[] = []
  const current = ring.keys.find((key) => key.state === "current")
  if (!ring.configured) lines.push("No key can be made: the control plane has no secret RING_KEY.")
  if (ring.rotatesAt !== null) lines.push(`The schedule rotates at ${ring.rotatesAt}.`)
  if (edge === null) return lines
  if (edge.unopened.length > 0)
    lines.push(
      `The edge cannot open ${edge.unopened.join(", ")}: its secret RING_KEY is not the control plane's. It goes on with an older key; make the two the same before that one's time is over.`,
    )
  if (edge.signing === null) lines.push("The edge has no key to sign with.")
  else if (current !== undefined && edge.signing !== current.kid)
    lines.push(`The edge signs with ${edge.signing}; it may not have heard yet, which takes up to three minutes.`)
  return lines
}
