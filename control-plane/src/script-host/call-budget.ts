/**
 * Who may make how many calls to Cloudflare's API. Over the limit Cloudflare takes no call of anybody for five minutes, so that one team's loop of uploads would take from the others
 * theirs and from ops the rollback that has to place a version again: uploads stop early enough to leave those their share.
 * cloudflare-client.ts spends one before each attempt. Whose work it is says deployment.ts.
 */
import { type Refusal, refuse } from "../../../kit/problem.ts"
import { LEASE_MS, leavesAtMs, slotAt, WINDOW_MS } from "../call-window.ts"
import type { Dependencies } from "../dependencies.ts"

/**
 * Requests in five minutes, all together, of one user or of one token of an account, which Cloudflare may raise for an enterprise; the variable CLOUDFLARE_CALL_LIMIT says another.
 * @see https://developers.cloudflare.com/fundamentals/api/reference/limits/
 */
const CALL_LIMIT = 1200
/** With fewer, not even one upload would have room in a team's share. */
const LEAST_CALL_LIMIT = 20
/** Milliseconds that a 429 is remembered which does not say for how long. */
const REFUSAL_MS = 30_000

/** What calls are for. */
export type Duty =
  /** Removing what nobody needs, by the schedule: it can always wait. */
  | "tidying"
  /** Looking whether what stands there was changed: beyond uploads' share, so that none of them blinds it. */
  | "watch"
  /** Placing a version for the first time. */
  | "upload"
  /** Placing one again, for its team's deployment or rollback. */
  | "deployment"
  | "ops"

interface Share {
  /** Of the limit: what all may have spent, whatever for, when the last of these calls is made. */
  readonly ofAll: number
  /** Of the limit, for one team; null where it is no team's work. */
  readonly ofTeam: number | null
  /** Calls are made although they cannot be counted, and although Cloudflare has said that it takes none. */
  readonly isUrgent: boolean
}

/** A fifth is left by uploads, and a tenth by teams altogether; one team has half of what all have. */
export const SHARES: Readonly<Record<Duty, Share>> = {
  tidying: { ofAll: 0.5, ofTeam: null, isUrgent: false },
  watch: { ofAll: 0.9, ofTeam: null, isUrgent: false },
  upload: { ofAll: 0.8, ofTeam: 0.4, isUrgent: false },
  deployment: { ofAll: 0.9, ofTeam: 0.45, isUrgent: true },
  ops: { ofAll: 1, ofTeam: null, isUrgent: true },
}

export interface Spender {
  readonly duty: Duty
  /** Null for ops and for tidying. */
  readonly team: string | null
}

export const TIDYING: Spender = { duty: "tidying", team: null }
export const WATCH: Spender = { duty: "watch", team: null }

export type CallBudgetDependencies = Pick<Dependencies, "clock" | "log"> & {
  readonly settings: { readonly cloudflare: Pick<Dependencies["settings"]["cloudflare"], "callLimit"> }
  readonly store: Pick<Dependencies["store"], "calls">
}

/** The calls of one piece of work. Throws where it says so, and for work that is not urgent whatever D1 throws: what cannot be counted is not made. */
export interface CallBudget {
  /** Sets so many aside in one go, unless they are; for {@link LEASE_MS}. What is left of what was set aside before is given back for them, also when it throws. Throws `cloudflare.budget-spent`. */
  reserve(calls: number): Promise<void>
  /** To be awaited before each call that goes out: takes one that is set aside, or sets one aside. Throws `cloudflare.budget-spent`. */
  spend(): Promise<void>
  /** What was set aside and not spent counts no longer. Never throws. */
  giveBack(): Promise<void>
  /** Cloudflare answered 429, with that many milliseconds as Retry-After or with none. Never throws. */
  noteRefusal(retryAfterMs: number | null): Promise<void>
}

interface Lease {
  left: number
  readonly atMs: number
  /** False when it is not certain that D1 has it. */
  readonly isCounted: boolean
}

/** The calls of `work`: however it ends, what it has set aside by then and not spent counts no longer. Throws what `work` throws. */
export async function spendCalls<T>(
  spender: Spender,
  deps: CallBudgetDependencies,
  work: (budget: CallBudget) => Promise<T>,
): Promise<T> {
  const budget = callBudget(spender, deps)
  try {
    return await work(budget)
  } finally {
    await budget.giveBack()
  }
}

export function callBudget(spender: Spender, deps: CallBudgetDependencies): CallBudget {
  const { clock, log, store } = deps
  const { duty, team } = spender
  const { ofAll, ofTeam, isUrgent } = SHARES[duty]
  const limit = deps.settings.cloudflare.callLimit
  const bounds = {
    team,
    mostOfAll: Math.floor(limit * ofAll),
    mostOfTeam: ofTeam === null ? null : Math.floor(limit * ofTeam),
  }
  let lease: Lease = { left: 0, atMs: Number.NEGATIVE_INFINITY, isCounted: false }

  async function reserve(calls: number): Promise<void> {
    // Read before the count is asked, so that the lease ends by the slot that it is counted in.
    const atMs = clock.now()
    if (lease.left >= calls && atMs - lease.atMs < LEASE_MS) return
    const isCounted = await count(atMs, calls, takeUnspent())
    lease = { left: calls, atMs, isCounted }
  }

  /** What is to be given back, which after this is nobody's: where the answer gets lost, to give it back once more would take from what others spent. */
  function takeUnspent(): UnspentCalls | null {
    const { left, atMs, isCounted } = lease
    lease.left = 0
    return left > 0 && isCounted ? { slot: slotAt(atMs), calls: left } : null
  }

  /** False when it could not be counted, which holds up nothing that is urgent. */
  async function count(atMs: number, calls: number, unspent: UnspentCalls | null): Promise<boolean> {
    const wanted = { ...bounds, calls, despiteRefusal: isUrgent }
    const hasRoom = await store.calls.reserve(atMs, wanted, unspent).catch((failure: unknown) => {
      if (!isUrgent) throw failure
      log({ event: "cloudflare.calls-uncounted", duty, team, calls, error: String(failure) })
      return null
    })
    if (hasRoom === false) throw await refusal(atMs, calls)
    return hasRoom === true
  }

  async function refusal(atMs: number, calls: number): Promise<Refusal> {
    const { spent, refusedUntilMs } = await store.calls.usage(atMs)
    const [all, own] = [sumOf(spent), sumOf(spent.filter((each) => each.team === team))]
    const isRefused = !isUrgent && refusedUntilMs !== null
    const roomAtMs = Math.max(whenRoom(spent, calls), isRefused ? refusedUntilMs : 0)
    const retryAfterS = Math.max(1, Math.ceil((roomAtMs - atMs) / 1000))
    log({ event: "cloudflare.calls-refused", duty, team, calls, spent: all, ofTeam: own, isRefused, retryAfterS })
    const { mostOfAll, mostOfTeam } = bounds
    const reason = isRefused
      ? "Cloudflare takes no calls of this platform at the moment: too many were made in its name."
      : mostOfTeam !== null && own + calls > mostOfTeam
        ? `Team ${team} has spent ${own} of the ${mostOfTeam} calls that one team may make for this in five minutes.`
        : `Of the ${mostOfAll} calls that may be made in five minutes before this has to wait, ${all} are spent${bySpender(spent)}.`
    return refuse("cloudflare.budget-spent", {
      headers: { "retry-after": String(retryAfterS) },
      detail: `${reason} Send it again in ${retryAfterS} s. Nothing is made twice.`,
    })
  }

  /** When so many of the calls that count have left the window that there is room, if nobody spends more. */
  function whenRoom(spent: readonly SpentCalls[], calls: number): number {
    const { mostOfAll, mostOfTeam } = bounds
    let [all, own] = [sumOf(spent), sumOf(spent.filter((each) => each.team === team))]
    let atMs = 0
    for (const each of spent) {
      if (all + calls <= mostOfAll && (mostOfTeam === null || own + calls <= mostOfTeam)) break
      all -= each.calls
      if (each.team === team) own -= each.calls
      atMs = leavesAtMs(each.slot)
    }
    return atMs
  }

  /** For ops, who see all teams; a team is told of itself alone. */
  function bySpender(spent: readonly SpentCalls[]): string {
    const byTeam = callsByTeam(spent)
    if (duty !== "ops") return team === null ? "" : `, ${byTeam.get(team) ?? 0} of them by team ${team}`
    const most = [...byTeam].filter(([name]) => name !== null).sort((a, b) => b[1] - a[1])
    const named = most.slice(0, 3).map(([name, count]) => `${name} ${count}`)
    return named.length === 0 ? "" : `, most by ${named.join(", ")}`
  }

  return {
    reserve,
    async spend() {
      await reserve(1)
      lease.left--
    },
    async giveBack() {
      const unspent = takeUnspent()
      if (unspent !== null) await store.calls.giveBack(unspent.slot, team, unspent.calls).catch(ignore)
    },
    async noteRefusal(retryAfterMs) {
      const forMs = Math.min(retryAfterMs ?? REFUSAL_MS, WINDOW_MS)
      const now = clock.now()
      await store.calls.noteRefusal(now, now + forMs).catch(ignore)
    },
  }
}

interface SpentCalls {
  readonly slot: number
  readonly team: string | null
  readonly calls: number
}

type UnspentCalls = Pick<SpentCalls, "slot" | "calls">

/** By team; null stands for ops and the schedule. */
export function callsByTeam(spent: readonly SpentCalls[]): Map<string | null, number> {
  const byTeam = new Map<string | null, number>()
  for (const { team, calls } of spent) byTeam.set(team, (byTeam.get(team) ?? 0) + calls)
  return byTeam
}

/** The setting, from the Worker's variable; what is missing or no number is {@link CALL_LIMIT}. */
export function callLimitOf(text: string | undefined): number {
  const given = text !== undefined && /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : CALL_LIMIT
  return Math.max(LEAST_CALL_LIMIT, given)
}

function sumOf(spent: readonly SpentCalls[]): number {
  return spent.reduce((sum, { calls }) => sum + calls, 0)
}

/** The count then says more than was made, for five minutes: no reason to fail what was done. */
function ignore(): void {}
