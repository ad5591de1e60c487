/** How long keys of the passports live, from the Worker's variables. What is missing or no number is as the contract has it. */
import {
  KEY_LEAD_S,
  KEY_MAX_AGE_S,
  KEY_RETIRES_S,
  LEAST_LEAD_S,
  type RingTimes,
} from "../../../contracts/passport-keys.ts"

export interface KeySettings extends RingTimes {
  /** Seconds that a key signs before the schedule rotates; more than the lead. */
  readonly maxAgeS: number
}

/** Only on a laptop may a key sign sooner than every verifier can know it. */
const LOCAL = "local"

export function keySettingsOf(env: {
  readonly ENVIRONMENT: string
  readonly PASSPORT_KEY_MAX_AGE_S?: string
  readonly PASSPORT_KEY_LEAD_S?: string
}): KeySettings {
  const leastS = env.ENVIRONMENT === LOCAL ? 1 : LEAST_LEAD_S
  const leadS = Math.max(leastS, secondsOf(env.PASSPORT_KEY_LEAD_S) ?? KEY_LEAD_S)
  const maxAgeS = Math.max(2 * leadS, secondsOf(env.PASSPORT_KEY_MAX_AGE_S) ?? KEY_MAX_AGE_S)
  return { leadS, maxAgeS, retiresS: KEY_RETIRES_S }
}

function secondsOf(text: string | undefined): number | null {
  return text !== undefined && /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : null
}
