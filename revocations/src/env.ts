import type { RevocationLog } from "./log.ts"
import type { RevocationRelay } from "./relay.ts"

/** The revocations Worker's bindings, as in wrangler.toml (a test compares the two). */
export interface Env {
  readonly LOG: DurableObjectNamespace<RevocationLog>
  readonly RELAYS: DurableObjectNamespace<RevocationRelay>
  readonly ENVIRONMENT: string
}
