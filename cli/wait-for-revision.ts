/**
 * Waits until the edge says that a config revision is in force. The edge names the revision that an answer was
 * made under; isolates refresh on their own, so several answers in a row must agree. It proves the location nearest to the caller only.
 */
import { z } from "zod"
import { CONFIG_HEADER, RESERVED_PATH_PREFIX } from "../contracts/reserved-headers.ts"
import { unreachable } from "./api-client.ts"
import { Failure, inOneLine } from "./failure.ts"
import type { Io } from "./io.ts"

const readiness = z.object({ config: z.object({ revision: z.number().nullable() }) })
const CONFIRMATIONS = 3
const PAUSE_MS = 50
const TIMEOUT_MS = 10_000

export interface Waited {
  readonly inForce: boolean
  readonly ms: number
  /** The revision of the last answer; null when it named none, or there was no answer. */
  readonly seen: number | null
  /** Why the last question got no answer; null when it got one. */
  readonly fault: string | null
}

/** Never longer than `timeoutMs` plus one request. Whoever waits has changed something already: an edge that does not answer is one where the change was not seen, and no failure. */
export async function waitForRevision(
  edgeUrl: string,
  revision: number,
  timeoutMs: number,
  io: Pick<Io, "fetch" | "clock">,
): Promise<Waited> {
  const started = io.clock.now()
  let confirmed = 0
  for (;;) {
    const { seen, fault } = await lookAt(edgeUrl, io)
    confirmed = seen !== null && seen >= revision ? confirmed + 1 : 0
    const ms = Math.round(io.clock.now() - started)
    if (confirmed === CONFIRMATIONS) return { inForce: true, ms, seen, fault }
    if (ms >= timeoutMs) return { inForce: false, ms, seen, fault }
    if (confirmed === 0) await io.clock.sleep(PAUSE_MS)
  }
}

async function lookAt(edgeUrl: string, io: Pick<Io, "fetch">): Promise<Pick<Waited, "seen" | "fault">> {
  try {
    return { seen: await revisionAt(edgeUrl, io), fault: null }
  } catch (thrown) {
    return { seen: null, fault: inOneLine(thrown) }
  }
}

/** The revision in force at the edge, or null when it has none. Asked of its readiness, which looks for a newer one first. @throws Failure when the edge does not answer. */
export async function revisionAt(edgeUrl: string, io: Pick<Io, "fetch">): Promise<number | null> {
  const url = `${edgeUrl}${RESERVED_PATH_PREFIX}health/ready`
  let response: Response
  try {
    response = await io.fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (thrown) {
    throw unreachable(edgeUrl, `GET ${url}`, thrown, TIMEOUT_MS)
  }
  const text = response.headers.get(CONFIG_HEADER)
  if (text !== null) return /^[0-9]{1,15}$/.test(text) ? Number(text) : null
  const parsed = readiness.safeParse(await response.json().catch(() => null))
  return parsed.success ? parsed.data.config.revision : null
}

/** The edge to ask, for whoever is about to change something and wait for it; null without `--wait`. To learn afterwards that nobody can wait helps nobody. @throws Failure when nobody said where it is. */
export function edgeToWaitFor(
  options: { readonly wait?: true; readonly edge?: string },
  known: string | undefined,
): string | null {
  if (!options.wait) return null
  const edgeUrl = options.edge ?? known
  if (edgeUrl === undefined)
    throw new Failure("--wait needs to know where the edge is", {
      fix: "Give --edge <url>, set SALLYPORT_EDGE_URL, or store it with `sallyport login <url> --edge <url>`.",
    })
  return edgeUrl
}
