/**
 * The trip: collects what happens to one request and writes it once, when the request ends, refused or not.
 * Opened by handle.ts and by the platform entrypoint; it records decisions and never takes one.
 */
import type { PassportClaims, SubjectKind } from "../../contracts/passport.ts"
import type { Finding, TripRecord } from "../../contracts/trip.ts"
import { asRefusal, problemResponse, type Refusal } from "../../kit/problem.ts"

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
  readonly config: { readonly id: string; readonly script: string; readonly zone?: string | undefined }
}
interface Released {
  readonly target: { readonly script: string; readonly version: number; readonly team: string }
  readonly why: "only" | "weight" | "pin"
}

export class Trip {
  readonly #clock: Clock
  readonly #log: TripLog
  readonly #startedAt: number
  readonly #findings: Finding[] = []
  readonly #msPerStage: Record<string, number> = {}
  #entered: Entered
  #route: Routed | null = null
  #zone: string | null = null
  #subjectKind: SubjectKind | null = null
  #release: Released | null = null
  #configRevision: number | null = null
  #refusal: Refusal | null = null
  #status = 0

  constructor(clock: Clock, log: TripLog, fallbackRequestId: string) {
    this.#clock = clock
    this.#log = log
    this.#startedAt = clock.now()
    this.#entered = { method: "", hostname: "", path: "", requestId: fallbackRequestId }
  }

  get requestId(): string {
    return this.#entered.requestId
  }

  /**
   * Times a stage that may have to wait, and returns its value unchanged, now or when it comes. A stage that had nothing to wait for
   * leaves no time: the platform's clock stands still until there is I/O, so it would read 0 in production at the price of asking the clock.
   */
  leg<T>(stage: string, outcome: T | Promise<T>): T | Promise<T> {
    return outcome instanceof Promise ? this.#timed(stage, outcome) : outcome
  }

  async #timed<T>(stage: string, outcome: Promise<T>): Promise<T> {
    const startedAt = this.#clock.now()
    try {
      return await outcome
    } finally {
      this.#msPerStage[stage] = this.#clock.now() - startedAt
    }
  }

  entered<T extends Entered>(inbound: T): T {
    this.#entered = inbound
    return inbound
  }

  under<T extends { readonly revision: number }>(config: T): T {
    this.#configRevision = config.revision
    return config
  }

  routed<T extends Routed>(route: T): T {
    this.#route = route
    this.#zone = route.config.zone ?? null
    return route
  }

  /** A sibling dispatch has no route of its own: it continues the one in the passport. */
  continued(claims: PassportClaims, script: string, zone: string | null): void {
    this.#route = { config: { id: claims.route, script } }
    this.#zone = zone
    this.#subjectKind = claims.kind
  }

  known<T extends { readonly kind: SubjectKind }>(subject: T): T {
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
    this.#status = response.status
    return response
  }

  /** Records why the request ends, and gives the problem for the client. */
  refused(thrown: unknown): Response {
    this.#refusal = asRefusal(thrown)
    this.#status = this.#refusal.status
    const { path, requestId } = this.#entered
    return problemResponse(this.#refusal, { requestId, instance: path, configRevision: this.#configRevision })
  }

  /** Writes the record. Last thing that happens to a request. */
  close(): void {
    const { method, hostname, path, requestId } = this.#entered
    const target = this.#release?.target
    this.#log(
      {
        event: "trip",
        requestId,
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
        status: this.#status,
        problem: this.#refusal?.code ?? null,
        releasedBy: this.#release?.why ?? null,
        configRevision: this.#configRevision,
        findings: this.#findings,
        msPerStage: this.#msPerStage,
        totalMs: this.#clock.now() - this.#startedAt,
      },
      this.#refusal,
    )
  }
}
