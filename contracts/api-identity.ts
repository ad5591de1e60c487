/** Shapes of the control plane's `/v1` API that are about who calls and what was revoked; api.ts has the rest and the conventions. */
import { z } from "zod"
import { keyRingShape } from "./api.ts"
import { companyId, policySections, scopeName } from "./dispatch-config.ts"
import { MAX_REVOCATIONS_PER_CALL, MAX_SERVICE_KEY_LIFETIME_S, revocation, revocationTarget } from "./revocation.ts"

const timestamp = z.iso.datetime().describe("UTC, ISO 8601")
const message = z.string().max(500).optional().describe("Why; kept in the audit")

/** All of them or none. */
export const revocationsCreate = z.array(revocation).min(1).max(MAX_REVOCATIONS_PER_CALL)
export const revocationsCreated = z.object({
  seq: z.number().nullable().describe("Sequence number of the last one; null in a dry run"),
  count: z.number(),
  boundMs: z
    .number()
    .describe("Within so many milliseconds the edge refuses them, on routes marked sensitive whatever happens"),
})
export const revocationShape = z.object({
  seq: z.number(),
  at: timestamp,
  target: revocationTarget,
  before: timestamp
    .nullable()
    .describe("Credentials made at or before this are refused; null: whenever they were made"),
  keptUntil: timestamp.describe("Whatever it names has expired by then"),
  reason: z.string(),
  actor: z.string().describe("token:<id>, script:<name>, probe"),
})

export const serviceAccountName = policySections.serviceAccounts.keyType
/** Whole but for its keys, which are made and taken away one by one. */
export const serviceAccountPut = z.strictObject({
  scopes: z.array(scopeName).max(100),
  company: companyId.nullable().default(null),
  message,
})
export const serviceAccountShape = z.object({
  name: z.string(),
  scopes: z.array(z.string()),
  company: z.string().nullable(),
  keys: z.array(z.object({ id: z.string(), expiresAt: timestamp })),
})
export const serviceAccountKeyCreate = z.strictObject({
  expiresInS: z
    .int()
    .min(60)
    .max(MAX_SERVICE_KEY_LIFETIME_S)
    .default(MAX_SERVICE_KEY_LIFETIME_S)
    .describe("Seconds; at most 366 days, and without it those"),
  message,
})
/** The only answer that ever holds the key itself. */
export const serviceAccountKeyCreated = z.object({
  id: z.string(),
  key: z.string().describe("Authorization: Bearer <key>"),
  expiresAt: timestamp,
})

/** Milliseconds; null where there were no probes, or so many failed that it is beyond what was measured. */
const lag = z.number().nullable()
export const statusShape = z.object({
  at: timestamp,
  config: z
    .object({ revision: z.number(), publishedAt: timestamp, ageS: z.number(), live: z.boolean() })
    .nullable()
    .describe("null before the first one"),
  revocations: z
    .object({ head: z.number(), live: z.number(), relays: z.number(), bytes: z.number() })
    .nullable()
    .describe("null while the log does not answer"),
  probe: z
    .object({
      configured: z.boolean().describe("False without the secret SESSION_KEYS: nothing is measured"),
      runs: z.number(),
      failed: z.number().describe("Could not begin, or was not refused within 60 s: never counted as fast"),
      p50Ms: lag,
      p99Ms: lag,
      maxMs: lag,
      lastAt: timestamp.nullable(),
      lastLagMs: lag,
      lastFault: z.string().nullable(),
    })
    .describe("Over the last day: from asking for a revocation to the edge's first refusal"),
  passportKeys: keyRingShape,
  issuers: z.array(
    z.object({
      id: z.string(),
      goodAt: timestamp.nullable().describe("When a usable key set was last found; null: never"),
      ageS: z.number().nullable(),
      fault: z
        .string()
        .nullable()
        .describe("Why the last look brought none into force; the last good keys are meanwhile"),
      everyS: z.number().describe("How often it is looked at: more issuers than one look takes have turns"),
    }),
  ),
  drift: z
    .object({
      looked: z.number().describe("Things that were looked at: namespace, dispatcher, versions with traffic"),
      waiting: z.number().describe("Those that could not be seen yet"),
      oldestAgeS: z
        .number()
        .nullable()
        .describe("Since that was seen which was not seen for longest; what never was counts from the first try"),
      found: z.array(
        z.object({
          about: z.string().describe("namespace, dispatcher, or scripts/NAME/versions/N"),
          fault: z.string(),
          since: timestamp,
        }),
      ),
    })
    .describe("Whether what stands at Cloudflare is what was placed there, or was changed past the control plane"),
})

export type RevocationItem = z.output<typeof revocationShape>
export type ServiceAccount = z.output<typeof serviceAccountShape>
export type Status = z.output<typeof statusShape>
