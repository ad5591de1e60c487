/** Policy before ops have put any: strict where the platform can tell, empty where only ops know. */
import type { DispatchConfig, PolicySection } from "../../../contracts/dispatch-config.ts"

export const DEFAULT_POLICY: Pick<DispatchConfig, PolicySection> = {
  screen: {
    tls: { mode: "enforce", minimum: "TLSv1.2", whenUnknown: "refuse" },
    methods: { mode: "enforce", allow: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
    size: { mode: "enforce", urlBytes: 16_384, headerBytes: 65_536, bodyBytes: 524_288_000 },
    addresses: { mode: "enforce", deny: [] },
    countries: { mode: "enforce", deny: [] },
    asns: { mode: "enforce", deny: [] },
    brake: { mode: "enforce" },
  },
  tracing: { incoming: "restart", sampleBps: 0 },
  issuers: {},
  audiences: {},
  directory: { zones: {}, companies: {} },
  flags: {},
}
