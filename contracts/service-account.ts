/** When the key of a service account ends: the edge goes by it, and the control plane says so. Pure. */
import type { ServiceAccountConfig } from "./dispatch-config.ts"
import { MAX_SERVICE_KEY_LIFETIME_S } from "./revocation.ts"

/** Milliseconds since the epoch; at this very time the key is good no longer. Its own end, or the longest that a key may live where that is sooner or it has none. */
export function serviceKeyEndsMs({
  createdAt,
  expiresAt,
}: Pick<ServiceAccountConfig["keys"][number], "createdAt" | "expiresAt">): number {
  const latestMs = Date.parse(createdAt) + MAX_SERVICE_KEY_LIFETIME_S * 1000
  return expiresAt === undefined ? latestMs : Math.min(Date.parse(expiresAt), latestMs)
}
