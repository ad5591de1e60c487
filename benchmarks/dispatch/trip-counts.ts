/** What the full arm tells of its trips so far, at a path of its own. */

export const TRIPS_PATH = "/bench/trips"

export interface TripCounts {
  readonly total: number
  /** Stages before forward that had something to wait for. */
  readonly waited: number
  /** Trips with a finding, such as a revocation feed that is not up to date. */
  readonly withFindings: number
  /** The last one's line in the log. */
  readonly last: string
}
