/** How long after the answer to a revocation each isolate still accepts the credential, under load: many at a time, half tokens by their subject, half sessions. */
import { type Arms, BOUND_MS, COLOS, type Credential } from "./arms.ts"

const AT_A_TIME = 30
/** Milliseconds between two looks: the resolution of the figures. */
const LOOK_EVERY_MS = 50
/** Requests under way all the time by others, who must not notice. */
const BYSTANDERS = 8
/** Until then a look goes on, so that what takes too long is measured too. */
const GIVE_UP_MS = 4 * BOUND_MS

export interface Lags {
  /** Milliseconds at the isolate that revoked, and at each of the others. */
  readonly same: readonly number[]
  readonly across: readonly number[]
  /** Requests of bystanders meanwhile, and those that were not answered 200. */
  readonly bystanders: number
  readonly disturbed: number
}

export async function measureLags(arms: Arms, count: number, say: (line: string) => void): Promise<Lags> {
  const same: number[] = []
  const across: number[] = []
  const crowd = startBystanders(arms)
  for (let from = 0; from < count; from += AT_A_TIME) {
    const batch = Math.min(AT_A_TIME, count - from)
    const lags = await Promise.all(Array.from({ length: batch }, (_, index) => one(arms, from + index)))
    for (const [first, ...others] of lags) {
      same.push(first ?? 0)
      across.push(...others)
    }
    if ((from / AT_A_TIME) % 5 === 4) say(`${from + batch} of ${count} revocations`)
  }
  return { same, across, ...(await crowd.stop()) }
}

async function one(arms: Arms, n: number): Promise<readonly number[]> {
  const credential = n % 2 === 0 ? arms.token(`leaver-${n}`) : await arms.session(`leaver-${n}`)
  const before = await Promise.all(COLOS.map((_, edge) => arms.statusAt(edge, credential)))
  if (before.some((status) => status !== 200)) throw new Error(`Accepted by ${before.join(", ")} before it was revoked`)
  await arms.revoke([{ target: credential.target, reason: "benchmark" }])
  const since = performance.now()
  return Promise.all(COLOS.map((_, edge) => lagAt(arms, edge, credential, since)))
}

export async function lagAt(arms: Arms, edge: number, credential: Credential, since: number): Promise<number> {
  for (;;) {
    const status = await arms.statusAt(edge, credential)
    const lag = performance.now() - since
    if (status === 401) return Math.round(lag)
    if (lag > GIVE_UP_MS) throw new Error(`Edge ${edge + 1} answers ${status} after ${Math.round(lag)} ms`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

function startBystanders(arms: Arms) {
  const counted = { bystanders: 0, disturbed: 0 }
  let isOver = false
  const lanes = Array.from({ length: BYSTANDERS }, async (_, lane) => {
    const credential = arms.token(`bystander-${lane}`)
    while (!isOver) {
      const status = await arms.statusAt(lane % COLOS.length, credential)
      counted.bystanders += 1
      if (status !== 200) counted.disturbed += 1
    }
  })
  return {
    stop: async () => {
      isOver = true
      await Promise.all(lanes)
      return counted
    },
  }
}
