/** What this isolate remembers of its last requests and of its user Workers' last calls; read at `/.sallyport/local/`. */
import type { EgressRecord, TripRecord } from "../../contracts/trip.ts"
import { Ring } from "./ring.ts"

const CAPACITY = 1000

export const tripRing = new Ring<TripRecord>(CAPACITY)
export const egressRing = new Ring<EgressRecord>(CAPACITY)
