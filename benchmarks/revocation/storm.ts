/**
 * Thousands of revocations a second, in batches, for some seconds. Among them people with tokens, who go on sending requests to every isolate: after the bound not one may be accepted.
 */
import { MAX_REVOCATIONS_PER_CALL } from "../../contracts/revocation.ts"
import { residentMb, workerdPids } from "../upload/workerd-process.ts"
import { type Arms, BOUND_MS, COLOS, type Credential, subject } from "./arms.ts"
import { lagAt } from "./lag.ts"

/** Tokens among the entries of one batch. */
const WATCHED = 5
/** How long after the last bound the watched go on trying. */
const AFTER_MS = 3_000
const LOOK_EVERY_MS = 100

export interface Storm {
  readonly revocations: number
  readonly seconds: number
  readonly lags: readonly number[]
  /** Requests of revoked people after the bound, and those that were accepted. */
  readonly asked: number
  readonly acceptedAfterBound: number
  /** By which the whole process grew: four isolates, two relays and the log; null where it cannot be read. */
  readonly residentMb: number | null
}

export async function storm(arms: Arms, perSecond: number, seconds: number): Promise<Storm> {
  const [pid] = workerdPids()
  const before = pid === undefined ? 0 : residentMb(pid)
  const batches = Math.ceil((perSecond * seconds) / MAX_REVOCATIONS_PER_CALL)
  const everyMs = (seconds * 1000) / batches
  const startedAt = performance.now()
  const watched: Promise<readonly number[]>[] = []
  const revoked: { readonly credential: Credential; readonly at: number }[] = []
  for (let batch = 0; batch < batches; batch += 1) {
    const credentials = Array.from({ length: WATCHED }, (_, n) => arms.token(`storm-${batch}-watched-${n}`))
    const others = Array.from({ length: MAX_REVOCATIONS_PER_CALL - WATCHED }, (_, n) => subject(`storm-${batch}-${n}`))
    await Promise.all(credentials.map((credential) => arms.statusAt(batch % COLOS.length, credential)))
    const targets = [...others, ...credentials.map(({ target }) => target)]
    await arms.platform.revocations.append(
      targets.map((target) => ({ target, reason: "benchmark" })),
      "benchmark",
    )
    const at = performance.now()
    for (const credential of credentials) {
      revoked.push({ credential, at })
      watched.push(Promise.all(COLOS.map((_, edge) => lagAt(arms, edge, credential, at))))
    }
    const waitMs = startedAt + (batch + 1) * everyMs - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
  }
  const took = (performance.now() - startedAt) / 1000
  const lags = (await Promise.all(watched)).flat()
  const after = await goOnTrying(arms, revoked)
  const grownMb = pid === undefined ? null : residentMb(pid) - before
  return { revocations: batches * MAX_REVOCATIONS_PER_CALL, seconds: took, lags, ...after, residentMb: grownMb }
}

async function goOnTrying(arms: Arms, revoked: readonly { readonly credential: Credential; readonly at: number }[]) {
  const until = Math.max(...revoked.map(({ at }) => at)) + BOUND_MS + AFTER_MS
  const counted = { asked: 0, acceptedAfterBound: 0 }
  while (performance.now() < until) {
    for (const { credential, at } of revoked) {
      if (performance.now() < at + BOUND_MS) continue
      const statuses = await Promise.all(COLOS.map((_, edge) => arms.statusAt(edge, credential)))
      counted.asked += statuses.length
      counted.acceptedAfterBound += statuses.filter((status) => status !== 401).length
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  return counted
}
