/**
 * A trip is the one record of one request, written when the request ends, refused or not.
 * Written by dispatcher/src/trip.ts; read from logs, by `sallyport/testing` and by the benchmarks. It never holds a credential, a passport, a query string or a tenant's text.
 */
import type { SubjectKind } from "./passport.ts"

/** A check that would have refused, or did. `mode` says which. */
export interface Finding {
  readonly code: string
  readonly mode: "log" | "enforce"
}

export interface TripRecord {
  readonly event: "trip"
  readonly requestId: string
  /** W3C ids of the trace and of this trip in it; null for a request that was refused before it had any. */
  readonly traceId: string | null
  readonly spanId: string | null
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly method: string
  readonly hostname: string
  /** Canonical path, no query. */
  readonly path: string
  readonly route: string | null
  readonly script: string | null
  readonly version: number | null
  readonly zone: string | null
  readonly team: string | null
  readonly subjectKind: SubjectKind | null
  /** Script that asked for this dispatch through its platform binding; null at the entrance. */
  readonly actor: string | null
  /** HTTP status sent to the client. */
  readonly status: number
  /** Problem code, or null when the Worker's own response was passed on. */
  readonly problem: string | null
  /** Why the release was chosen. */
  readonly releasedBy: "only" | "weight" | "pin" | null
  readonly configRevision: number | null
  readonly findings: readonly Finding[]
  /** Milliseconds of each stage that had to wait for something; the others are absent. */
  readonly msPerStage: Readonly<Record<string, number>>
  readonly totalMs: number
}

/** One outbound call of a team's Worker, written by the outbound Worker. */
export interface EgressRecord {
  readonly event: "egress"
  readonly team: string
  readonly script: string
  readonly version: number
  readonly method: string
  /** Origin only: scheme, host, port. */
  readonly origin: string
  readonly status: number
  readonly problem: string | null
  readonly ms: number
  /** Id of the request that the dispatcher dispatched; where it named none, the one that the Worker passed on, unverified and at most 128 characters, or null. */
  readonly requestId: string | null
}
