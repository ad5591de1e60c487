/** Policy before ops have put any: strict where the platform can tell, empty where only ops know. */
import { DEFAULT_IDENTITY, type DispatchConfig, type PolicySection } from "../../../contracts/dispatch-config.ts"

export const DEFAULT_POLICY: Required<Pick<DispatchConfig, PolicySection>> = {
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
  identity: DEFAULT_IDENTITY,
  serviceAccounts: {},
  subjects: {},
  audiences: {},
  directory: { zones: {}, companies: {} },
  flags: {},
}

/** Younger than the config's format: a dispatcher of before refuses a config that names one. So each is named only while it says more than its absence does, and till then either side can be rolled back. */
export const YOUNGER_SECTIONS: readonly PolicySection[] = ["tracing", "identity", "serviceAccounts", "subjects"]
