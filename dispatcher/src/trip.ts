/**
 * The trip: collects what happens to one request and writes it once, when the request ends, refused or not.
 * Opened by handle.ts, session-endpoint.ts and the platform entrypoint; it records decisions and never takes one.
 */
import type { PassportClaims, SubjectKind } from "../../contracts/passport.ts"
import { RELEASE_HEADER } from "../../contracts/reserved-headers.ts"
import type { Finding, TripRecord } from "../../contracts/trip.ts"
import { asRefusal, problemResponse, type Refusal } from "../../kit/problem.ts"

/** Characters of an unreadable hostname or path that are worth keeping. */
const UNREAD_MOST = 256

export type TripLog = (record: TripRecord, refusal: Refusal | null) => void

interface Clock {
  now(): number
}

/** What the trip keeps of each stage's result; a slice of the stage's own type, so that the trip depends on none. */
interface Entered {
  readonly method: string
  readonly hostname: string
  readonly path: string
  readonly requestId: string
}
interface Routed {
  readonly config: {
    readonly id: string
    readonly script: string
    readonly zone?: string | undefined
    /** Absent for a sibling dispatch. */
    readonly path?: string
  }
}
interface Traced {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly isRecorded: boolean
  readonly isContinued: boolean
}
/** Takes the span that a sampled trip is; never rejects. `path` is the route's pattern. */
interface TripSpans {
  send(record: TripRecord, trace: Traced, path: string | null): Promise<void>
}
interface Released {
  readonly target: {
    readonly script: string
    readonly version: number
    readonly team: string
    readonly placedName: string
  }
  readonly why: "only" | "weight" | "pin"
}

export class Trip {
  readonly #clock: Clock
  readonly #log: TripLog
  readonly #startedAt: number
  readonly #request: Request
  readonly #findings: Finding[] = []
  readonly #msPerStage: Record<string, number> = {}
  #waitingFor: string | null = null
  #waitingSince = 0
  #entered: Entered
  #route: Routed | null = null
  #zone: string | null = null
  #subjectKind: SubjectKind | null = null
  #actor: string | null = null
  #release: Released | null = null
  #configRevision: number | null = null
  #trace: Traced | null = null
  #refusal: Refusal | null = null
  #status = 0

  /** `request` is what came in, for the record of one that could not even be read. */
  constructor(clock: Clock, log: TripLog, requestId: string, request: Request) {
    this.#clock = clock
    this.#log = log
    this.#startedAt = clock.now()
    this.#entered = { method: request.method, hostname: "", path: "", requestId }
    this.#request = request
  }

  get requestId(): string {
    return this.#entered.requestId
  }

  /**
   * Times a stage that may have to wait, from here until the trip hears of what came of it or of the next stage, and returns `outcome` itself: a promise of
   * the trip's own would cost every request more than the figure is worth. A stage that had nothing to wait for leaves no time: the platform's
   * clock stands still until there is I/O, so it would read 0 in production at the price of asking the clock.
   */
  leg<T>(stage: string, outcome: T | Promise<T>): T | Promise<T> {
    this.#endLeg()
    if (outcome instanceof Promise) {
      this.#waitingFor = stage
      this.#waitingSince = this.#clock.now()
    }
    return outcome
  }

  #endLeg(): void {
    if (this.#waitingFor === null) return
    this.#msPerStage[this.#waitingFor] = this.#clock.now() - this.#waitingSince
    this.#waitingFor = null
  }

  entered<T extends Entered>(inbound: T): T {
    this.#entered = inbound
    return inbound
  }

  under<T extends { readonly revision: number }>(config: T): T {
    this.#endLeg()
    this.#configRevision = config.revision
    return config
  }

  traced<T extends Traced>(trace: T): T {
    this.#trace = trace
    return trace
  }

  routed<T extends Routed>(route: T): T {
    this.#route = route
    this.#zone = route.config.zone ?? null
    return route
  }

  /** A sibling dispatch has no route of its own: it continues the one in the passport. */
  continued(claims: PassportClaims, script: string, zone: string | null, actor: string): void {
    this.#actor = actor
    this.#route = { config: { id: claims.route, script } }
    this.#zone = zone
    this.#subjectKind = claims.kind
  }

  known<T extends { readonly kind: SubjectKind }>(subject: T): T {
    this.#endLeg()
    this.#subjectKind = subject.kind
    return subject
  }

  released<T extends Released>(release: T): T {
    this.#release = release
    return release
  }

  /** What a check would have refused, or did. */
  readonly note = (finding: Finding): void => {
    this.#findings.push(finding)
  }

  answered(response: Response): Response {
    this.#endLeg()
    this.#status = response.status
    return response
  }

  /** Records why the request ends, and gives the problem for the client: with the release that failed, as with one that answered. */
  refused(thrown: unknown): Response {
    this.#endLeg()
    this.#refusal = asRefusal(thrown)
    this.#status = this.#refusal.status
    const { path, requestId } = this.#entered
    const traceId = this.#trace?.traceId ?? null
    const context = { requestId, instance: path, configRevision: this.#configRevision, traceId }
    const response = problemResponse(this.#refusal, context)
    if (this.#release !== null) response.headers.set(RELEASE_HEADER, this.#release.target.placedName)
    return response
  }

  /** Writes the record, and hands the span of a recorded trip to `spans`, behind the response. Last thing that happens to a request. */
  close(spans: TripSpans | null, waitUntil: (work: Promise<unknown>) => void): void {
    const record = this.#record()
    this.#log(record, this.#refusal)
    if (spans === null || this.#trace === null || !this.#trace.isRecorded) return
    waitUntil(spans.send(record, this.#trace, this.#route?.config.path ?? null))
  }

  #record(): TripRecord {
    const { method, hostname, path, requestId } = this.#entered.hostname === "" ? this.#unread() : this.#entered
    const target = this.#release?.target
    return {
      event: "trip",
      requestId,
      traceId: this.#trace?.traceId ?? null,
      spanId: this.#trace?.spanId ?? null,
      startedAt: this.#startedAt,
      method,
      hostname,
      path,
      route: this.#route?.config.id ?? null,
      script: target?.script ?? this.#route?.config.script ?? null,
      version: target?.version ?? null,
      zone: this.#zone,
      team: target?.team ?? null,
      subjectKind: this.#subjectKind,
      actor: this.#actor,
      status: this.#status,
      problem: this.#refusal?.code ?? null,
      releasedBy: this.#release?.why ?? null,
      configRevision: this.#configRevision,
      findings: this.#findings,
      msPerStage: this.#msPerStage,
      totalMs: this.#clock.now() - this.#startedAt,
    }
  }

  /** A request that was refused before it was understood: its URL as sent, without the query, clipped; nothing else may use it. */
  #unread(): Entered {
    const [, rest = ""] = this.#request.url.split("://", 2)
    const [target = ""] = rest.split(/[?#]/, 1)
    const slash = target.indexOf("/")
    const hostname = slash < 0 ? target : target.slice(0, slash)
    const path = slash < 0 ? "" : target.slice(slash)
    return { ...this.#entered, hostname: hostname.slice(0, UNREAD_MOST), path: path.slice(0, UNREAD_MOST) }
  }
}
