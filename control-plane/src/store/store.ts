/** Everything that is kept, by noun. Made once per environment in dependencies.ts. */
import { auditStore } from "./audit.ts"
import { callStore } from "./cloudflare-calls.ts"
import { deploymentStore } from "./deployments.ts"
import { driftStore } from "./drift.ts"
import { idempotencyStore } from "./idempotency.ts"
import { inventoryStore } from "./inventory.ts"
import { issuerKeyStore } from "./issuer-keys.ts"
import type { LedgerDependencies } from "./ledger.ts"
import { passportKeyStore } from "./passport-keys.ts"
import { probeStore } from "./probes.ts"
import { removalStore } from "./removals.ts"
import { revisionStore } from "./revisions.ts"
import { scriptStore } from "./scripts.ts"
import { tokenStore } from "./tokens.ts"
import { versionStore } from "./versions.ts"

export type Store = ReturnType<typeof storeOf>

export function storeOf(deps: LedgerDependencies) {
  return {
    audit: auditStore(deps.db),
    calls: callStore(deps.db),
    deployments: deploymentStore(deps),
    drift: driftStore(deps.db),
    idempotency: idempotencyStore(deps),
    inventory: inventoryStore(deps.db),
    issuerKeys: issuerKeyStore(deps.db),
    passportKeys: passportKeyStore(deps.db),
    probes: probeStore(deps.db),
    removals: removalStore(deps),
    revisions: revisionStore(deps.db),
    scripts: scriptStore(deps),
    tokens: tokenStore(deps),
    versions: versionStore(deps),
  }
}
