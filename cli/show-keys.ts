/** The key ring of the passports for a person: a table, what happens next, and where the edge does not go along. */
import { z } from "zod"
import type { KeyRing } from "../contracts/api.ts"
import { RESERVED_PATH_PREFIX } from "../contracts/reserved-headers.ts"
import { unreachable } from "./api-client.ts"
import { inOneLine, printable } from "./failure.ts"
import type { Io } from "./io.ts"
import { printTable } from "./print.ts"

const versionShape = z.object({
  passportKeys: z.object({ signing: z.string().nullable(), unopened: z.array(z.string()) }),
})
const TIMEOUT_MS = 5_000
const NOWHERE =
  "nobody said where it is. Set SALLYPORT_EDGE_URL, or store it with `sallyport login <url> --edge <url>`."

/** What one isolate of the edge says of its keys. */
export interface EdgeKeys {
  readonly signing: string | null
  readonly unopened: readonly string[]
}

/** What the edge says, or in a sentence why that is not known. */
export type AskedEdge =
  | { readonly edge: EdgeKeys; readonly edgeFault: null }
  | { readonly edge: null; readonly edgeFault: string }

export async function edgeKeys(edgeUrl: string | undefined, io: Pick<Io, "fetch">): Promise<AskedEdge> {
  if (edgeUrl === undefined) return { edge: null, edgeFault: `The edge was not asked: ${NOWHERE}` }
  const url = `${edgeUrl}${RESERVED_PATH_PREFIX}version`
  let response: Response
  try {
    response = await io.fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (thrown) {
    const why = inOneLine(unreachable(edgeUrl, `GET ${url}`, thrown, TIMEOUT_MS))
    return { edge: null, edgeFault: `The edge did not answer: ${why}.` }
  }
  const parsed = versionShape.safeParse(await response.json().catch(() => null))
  return parsed.success
    ? { edge: parsed.data.passportKeys, edgeFault: null }
    : { edge: null, edgeFault: `The edge did not answer: ${url} says nothing of keys.` }
}

/** `asked` is left out where the ring has changed this moment: the edge cannot have heard of it. */
export function printKeys(io: Io, ring: KeyRing, asked?: AskedEdge): void {
  printTable(
    io,
    ["KEY", "STATE", "SIGNS FROM", "VERIFIES UNTIL"],
    ring.keys.map((key) => [key.kid, key.state, key.signsFrom ?? "never again", key.verifiesUntil ?? "further notice"]),
    "There are no keys yet: the edge signs with its secret PASSPORT_KEYS. `sallyport keys rotate` makes the first one.",
  )
  for (const line of [...remarks(ring), ...(asked === undefined ? [] : edgeRemarks(ring, asked))])
    io.out(`${printable(line)}\n`)
}

function remarks(ring: KeyRing): string[] {
  const lines: string[] = []
  if (!ring.configured) lines.push("No key can be made: the control plane has no secret RING_KEY.")
  if (ring.rotatesAt !== null) lines.push(`The schedule rotates at ${ring.rotatesAt}.`)
  return lines
}

function edgeRemarks(ring: KeyRing, { edge, edgeFault }: AskedEdge): string[] {
  if (edge === null) return [edgeFault]
  const lines: string[] = []
  const current = ring.keys.find((key) => key.state === "current")
  if (edge.unopened.length > 0)
    lines.push(
      `The edge cannot open ${edge.unopened.join(", ")}: its secret RING_KEY is not the control plane's. It goes on with an older key; make the two the same before that one's time is over.`,
    )
  if (edge.signing === null) lines.push("The edge has no key to sign with.")
  else if (current !== undefined && edge.signing !== current.kid)
    lines.push(`The edge signs with ${edge.signing}; it may not have heard yet, which takes up to three minutes.`)
  else lines.push(`The edge signs with ${edge.signing}.`)
  return lines
}
