/** The key ring of the passports as `/v1` shows it: times and states, no part of a key. */
import type { KeyRing } from "../../../contracts/api.ts"
import { isTakenBack, keyState } from "../../../contracts/passport-keys.ts"
import { type KeyDependencies, rotatesAtMs } from "../keys/change-ring.ts"
import type { PassportKeyRow } from "../store/rows.ts"

export function showKeys(keys: readonly PassportKeyRow[], deps: Pick<KeyDependencies, "clock" | "settings">): KeyRing {
  const nowMs = deps.clock.now()
  const { ringKey, keys: settings } = deps.settings
  return {
    keys: keys
      .toSorted((a, b) => a.signsFromMs - b.signsFromMs || (a.kid < b.kid ? -1 : 1))
      .map((key) => ({
        kid: key.kid,
        state: keyState(key, keys, nowMs),
        signsFrom: isTakenBack(key) ? null : iso(key.signsFromMs),
        verifiesUntil: iso(key.verifiesUntilMs ?? null),
      })),
    configured: ringKey !== null && ringKey !== "",
    rotatesAt: iso(rotatesAtMs(keys, nowMs, settings)),
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
