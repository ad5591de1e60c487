/**
 * Keeps calls from what does not answer, per key: closed (calls go, outcomes are counted), open (none goes), half-open (one probe at a time goes, and decides).
 * What a failure is, the caller says. It makes no calls, keeps no timer and holds no promise: an isolate's requests share nothing but counts.
 */

export interface CircuitBreakerOptions {
  /** Milliseconds over which outcomes count; in ten slices, so that they pass gradually. Default 10 000. */
  readonly windowMs?: number
  /** Outcomes in the window below which the rate means nothing. Default 20. */
  readonly minimumCalls?: number
  /** Opens from this share of failures on, above 0 and at most 1. Default 0.5. */
  readonly failureRate?: number
  /** Opens as well after so many failures without a success between them, however many succeeded before. Default: never. */
  readonly consecutiveFailures?: number
  /** Milliseconds that it stays open, and after which a probe that told nothing is given up. Default 5 000. */
  readonly openMs?: number
  /** Keys held at most; the one not used for longest is forgotten, and then counts as closed. Default 1 000. */
  readonly capacity?: number
  /** Milliseconds since the epoch; default `Date`. */
  readonly clock?: { now(): number }
}

/** Leave for one call, to be settled once when its outcome is known; later settlings change nothing. */
export interface Permit {
  readonly isProbe: boolean
  succeed(): void
  fail(): void
  /** For a call whose end says nothing of the other side: the client went away. */
  abandon(): void
}

export type BreakerState = "closed" | "open" | "half-open"

export interface CircuitSnapshot {
  readonly key: string
  readonly state: BreakerState
  /** Outcomes in the window. */
  readonly calls: number
  readonly failures: number
  /** How often it opened since the key is known, and how many calls it kept away. */
  readonly opened: number
  readonly refused: number
}

export interface CircuitBreaker {
  /** Leave for a call, or how long to wait before asking again, in milliseconds. Every permit must be settled. */
  enter(key: string): Permit | { readonly retryAfterMs: number }
  /** Closed for a key that is not known. Half-open from the moment at which a probe would be let through. */
  stateOf(key: string): BreakerState
  /** For metrics, one entry per key that is held. */
  snapshot(): readonly CircuitSnapshot[]
}

const SLICES = 10

interface Slice {
  /** Number of the slice since the epoch. */
  readonly at: number
  calls: number
  failures: number
}

interface Circuit {
  slices: Slice[]
  failuresInRow: number
  /** Null while closed. */
  openedAt: number | null
  /** When the probe under way began; null when there is none. */
  probeAt: number | null
  /** How often it opened: its generation, too. */
  opened: number
  refused: number
}

type Settings = Required<CircuitBreakerOptions>

/**
 * A breaker of its own, once per isolate. Throws RangeError for options that make no sense.
 *
 * ```ts
 * const breaker = circuitBreaker({ minimumCalls: 10, openMs: 5_000 })
 * const permit = breaker.enter("payments")
 * if ("retryAfterMs" in permit) return fallback()
 * try {
 *   const answer = await fetch(url)
 *   permit.succeed()
 *   return answer
 * } catch (thrown) {
 *   permit.fail()
 *   throw thrown
 * }
 * ```
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const settings = checked(options)
  const { clock, openMs } = settings
  // Insertion order is order of use: whoever is used moves to the end.
  const circuits = new Map<string, Circuit>()

  const circuitOf = (key: string): Circuit => {
    const known = circuits.get(key)
    if (known !== undefined) circuits.delete(key)
    const circuit = known ?? { slices: [], failuresInRow: 0, openedAt: null, probeAt: null, opened: 0, refused: 0 }
    circuits.set(key, circuit)
    const [eldest] = circuits.keys()
    if (circuits.size > settings.capacity && eldest !== undefined) circuits.delete(eldest)
    return circuit
  }

  return {
    enter(key) {
      const circuit = circuitOf(key)
      const nowMs = clock.now()
      const state = stateAt(circuit, nowMs, openMs)
      if (state === "closed") return permitOf(circuit, null, settings)
      if (state === "half-open") {
        circuit.probeAt = nowMs
        return permitOf(circuit, nowMs, settings)
      }
      circuit.refused += 1
      const since = Math.max(circuit.openedAt ?? nowMs, circuit.probeAt ?? Number.NEGATIVE_INFINITY)
      return { retryAfterMs: Math.max(1, since + openMs - nowMs) }
    },
    stateOf(key) {
      const circuit = circuits.get(key)
      return circuit === undefined ? "closed" : stateAt(circuit, clock.now(), openMs)
    },
    snapshot() {
      const nowMs = clock.now()
      return [...circuits].map(([key, circuit]) => ({
        key,
        state: stateAt(circuit, nowMs, openMs),
        ...countsOf(circuit, nowMs, settings),
        opened: circuit.opened,
        refused: circuit.refused,
      }))
    },
  }
}

/** Open while the time has not passed, and while a probe is under way that has not overstayed it. */
function stateAt(circuit: Circuit, nowMs: number, openMs: number): BreakerState {
  if (circuit.openedAt === null) return "closed"
  if (nowMs < circuit.openedAt + openMs) return "open"
  return circuit.probeAt !== null && nowMs < circuit.probeAt + openMs ? "open" : "half-open"
}

/** `probeAt` is null for a call while closed. */
function permitOf(circuit: Circuit, probeAt: number | null, settings: Settings): Permit {
  const generation = circuit.opened
  let isSettled = false
  const settle = (outcome: "succeeded" | "failed" | "unknown") => {
    if (isSettled) return
    isSettled = true
    if (probeAt === null) countOutcome(circuit, generation, outcome, settings)
    else endProbe(circuit, probeAt, outcome, settings)
  }
  return {
    isProbe: probeAt !== null,
    succeed: () => settle("succeeded"),
    fail: () => settle("failed"),
    abandon: () => settle("unknown"),
  }
}

/**
 * Calls that began while it was closed and end after it opened are not counted, even when a probe has closed it meanwhile: they know only what it knew when it opened.
 * `generation`: how often it had opened when the call began.
 */
function countOutcome(
  circuit: Circuit,
  generation: number,
  outcome: "succeeded" | "failed" | "unknown",
  settings: Settings,
): void {
  if (outcome === "unknown" || circuit.opened !== generation) return
  const nowMs = settings.clock.now()
  const slice = sliceAt(circuit, nowMs, settings)
  slice.calls += 1
  if (outcome === "succeeded") {
    circuit.failuresInRow = 0
    return
  }
  slice.failures += 1
  circuit.failuresInRow += 1
  const { calls, failures } = countsOf(circuit, nowMs, settings)
  const isRateReached = calls >= settings.minimumCalls && failures / calls >= settings.failureRate
  if (isRateReached || circuit.failuresInRow >= settings.consecutiveFailures) open(circuit, nowMs)
}

/** Only the probe under way decides: one that was given up may come back when another is out. */
function endProbe(
  circuit: Circuit,
  probeAt: number,
  outcome: "succeeded" | "failed" | "unknown",
  settings: Settings,
): void {
  if (circuit.probeAt !== probeAt) return
  circuit.probeAt = null
  if (outcome === "failed") open(circuit, settings.clock.now())
  if (outcome !== "succeeded") return
  circuit.openedAt = null
  circuit.slices = []
  circuit.failuresInRow = 0
}

function open(circuit: Circuit, nowMs: number): void {
  circuit.openedAt = nowMs
  circuit.probeAt = null
  circuit.opened += 1
}

function sliceAt(circuit: Circuit, nowMs: number, settings: Settings): Slice {
  const at = Math.floor(nowMs / (settings.windowMs / SLICES))
  const last = circuit.slices.at(-1)
  if (last?.at === at) return last
  const slice = { at, calls: 0, failures: 0 }
  circuit.slices = [...circuit.slices.filter((each) => each.at > at - SLICES), slice]
  return slice
}

function countsOf(circuit: Circuit, nowMs: number, settings: Settings): { calls: number; failures: number } {
  const oldest = Math.floor(nowMs / (settings.windowMs / SLICES)) - SLICES
  let calls = 0
  let failures = 0
  for (const slice of circuit.slices) {
    if (slice.at <= oldest) continue
    calls += slice.calls
    failures += slice.failures
  }
  return { calls, failures }
}

function checked(options: CircuitBreakerOptions): Settings {
  const settings = {
    windowMs: 10_000,
    minimumCalls: 20,
    failureRate: 0.5,
    consecutiveFailures: Number.POSITIVE_INFINITY,
    openMs: 5_000,
    capacity: 1_000,
    clock: Date,
    ...options,
  }
  const { windowMs, minimumCalls, failureRate, consecutiveFailures, openMs, capacity } = settings
  const positive = { windowMs, minimumCalls, consecutiveFailures, openMs, capacity, failureRate }
  for (const [name, value] of Object.entries(positive)) {
    if (!(value > 0)) throw new RangeError(`${name} must be above 0`)
  }
  if (failureRate > 1) throw new RangeError("failureRate must be at most 1")
  return settings
}
