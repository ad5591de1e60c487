/**
 * Shapes of the control plane's `/v1` API, used by the control plane to parse and document, and by the CLI to read.
 * Conventions: a single thing is answered as itself with an `ETag`; a list as `{ items, nextCursor }`; PUT is idempotent and takes `If-Match`;
 * times are ISO 8601 in UTC; every mutation takes an optional `message`, kept in the audit.
 */
import { z } from "zod"
import { parseAddress } from "./cidr.ts"
import { access, grant, hostname, kill, releases, route, stickyBy, team } from "./dispatch-config.ts"
import type { Explanation } from "./platform.ts"
import { isScriptName } from "./script-name.ts"

const timestamp = z.iso.datetime().describe("UTC, ISO 8601")
const message = z.string().max(500).optional().describe("Why; kept in the audit")

export const teamName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,38}$/, "must be 1–39 of a–z, 0–9 and -, beginning with a letter")
export const scriptNameShape = z
  .string()
  .refine(isScriptName, "must be 1–48 of a–z, 0–9 and single dashes, beginning with a letter, not sallyport…")
export const role = z.enum(["ops", "team"])

/** Query of every list: `?cursor=&limit=`. */
export const listQuery = z.object({
  cursor: z.string().max(500).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}

/** Milliseconds of CPU per request that a team may ask for, in its settings or in an upload. */
export const MAX_CPU_MS = 30_000

export const whoamiShape = z.object({ tokenId: z.string(), role, team: teamName.nullable() })

/** {@link kill} as it may be thrown. Configs hold switches from before a reason had to be given, and must go on being loaded: so the bound is here. */
const thrown = kill.extend({ reason: kill.shape.reason.refine((reason) => reason.trim() !== "", "must say why") })

/** A PUT replaces, so a field left out would be wiped: whoever writes says all. */
function required<T extends z.ZodType>(shape: T): T {
  const error = ({ input }: { readonly input?: unknown }) =>
    input === undefined ? "must be given: a PUT replaces the whole" : undefined
  return shape.clone({ ...shape.def, error })
}

/** Whole: nothing has a default. */
export const teamPut = z.strictObject({
  grants: required(team.shape.grants.unwrap()),
  egress: required(team.shape.egress.unwrap()),
  kill: thrown
    .nullable()
    .optional()
    .describe(
      "Switches off all routes and scripts of the team; null switches them on again; absent leaves it as it is",
    ),
  message,
})
export const teamShape = team.extend({ name: teamName, kill: kill.nullable(), createdAt: timestamp })

export const tokenCreate = z.strictObject({
  role: role.default("team"),
  label: z.string().min(1).max(100),
  expiresInS: z.int().min(60).max(31_536_000).optional(),
  message,
})
export const tokenShape = z.object({
  id: z.string(),
  role,
  team: teamName.nullable(),
  label: z.string(),
  createdBy: z.string().nullable().describe("Id of the token that made it; revoking that one revokes this one"),
  createdAt: timestamp,
  expiresAt: timestamp.nullable(),
  revokedAt: timestamp.nullable(),
})
/** The only answer that ever holds the token itself. */
export const tokenCreated = tokenShape.extend({ token: z.string() })

/**
 * Settings of a script that its team may choose; `deployOnUpload: false` makes every upload a mere publish.
 * `team` is for ops, who claim a name for a team, reserved ones included, or give one that is not live to another team.
 */
export const scriptPut = z.strictObject({
  team: teamName.optional(),
  stickyBy: stickyBy.optional(),
  limits: z.strictObject({ cpuMs: z.int().min(1).max(MAX_CPU_MS), subRequests: z.int().min(1).max(10_000) }).optional(),
  timeoutMs: z.int().min(50).max(300_000).optional(),
  deployOnUpload: z.boolean().optional(),
  keepAssetVersions: z
    .int()
    .min(0)
    .max(10)
    .optional()
    .describe(
      "Earlier versions whose immutable static assets (by their own _headers file) a new version goes on serving",
    ),
  keepPlacedVersions: z
    .int()
    .min(2)
    .max(100)
    .optional()
    .describe(
      "Versions, those with traffic and the last used, that stay in the namespace, so that a rollback to one calls nobody; others are retired after a day",
    ),
  access: access
    .nullable()
    .optional()
    .describe("Who may reach the script, by any route or sibling; null: whoever gets there"),
  kill: thrown.nullable().optional().describe("Switches the script off everywhere; null switches it on again"),
  message,
})
export const scriptShape = z.object({
  name: scriptNameShape,
  team: teamName,
  stickyBy,
  limits: z.object({ cpuMs: z.number(), subRequests: z.number() }),
  timeoutMs: z.number(),
  deployOnUpload: z.boolean(),
  keepAssetVersions: z.number(),
  keepPlacedVersions: z.number(),
  access: access.nullable(),
  kill: kill.nullable(),
  releases: releases.nullable(),
  latestVersion: z.number().nullable(),
  createdAt: timestamp,
})

/**
 * `recorded`: stored, not yet in the namespace. `placed`: uploaded there. `verified`: read back and found whole. `failed`: Cloudflare refused it.
 * `retired`: stored whole, and taken out of the namespace because nothing used it; a deployment, a rollback or a pin places it again.
 */
export const versionState = z.enum(["recorded", "placed", "verified", "failed", "retired"])
export const versionShape = z.object({
  script: scriptNameShape,
  version: z.number(),
  digest: z.string().describe("SHA-256 of the manifest, hex"),
  placedName: z.string().describe("Name in the dispatch namespace"),
  state: versionState,
  sizeBytes: z.number(),
  message: z.string().nullable(),
  tag: z.string().nullable(),
  createdBy: z.string(),
  createdAt: timestamp,
})
/** `created` is false when the same content was uploaded before. */
export const versionCreated = versionShape.extend({ created: z.boolean() })

export const deploymentCreate = z.strictObject({ releases, message })
export const deploymentShape = z.object({
  id: z.string(),
  script: scriptNameShape,
  releases,
  phase: z.enum(["recorded", "published", "failed"]),
  message: z.string().nullable(),
  createdBy: z.string(),
  createdAt: timestamp,
  configRevision: z.number().nullable().describe("The config revision that carries it"),
})
/** Goes back to the deployment before the current one, or to the deployment or version named. */
export const rollbackCreate = z.strictObject({
  deployment: z.string().optional(),
  version: z.int().min(1).optional(),
  message,
})

/** Seconds. */
export const MAX_PIN_LIFETIME_S = 86_400
export const pinCreate = z.strictObject({
  version: z.int().min(1),
  lifetimeS: z.int().min(10).max(MAX_PIN_LIFETIME_S).default(3600),
  message,
})
export const pinShape = z.object({ pin: z.string(), header: z.string(), expiresAt: timestamp })

/** `open`: every team may attach routes; otherwise only `team` (and ops). Whole: nothing has a default. */
export const hostnamePut = z.strictObject({
  team: required(teamName).nullable(),
  open: required(z.boolean()),
  message,
})
export const hostnameShape = z.object({
  hostname: z.string(),
  team: teamName.nullable(),
  open: z.boolean(),
  createdAt: timestamp,
})

/** `id` comes from the path, `team` from the token (ops may name one). */
export const routePut = route
  .omit({ id: true, team: true })
  .extend({ hostname, team: teamName.optional(), kill: thrown.optional(), message })
export const routeShape = route.extend({ hostname: z.string() })

/** Something in force that may not be meant: `about` is the thing's path below `/v1`, such as `routes/web-pages`. */
export const noticeShape = z.object({
  about: z.string(),
  team: teamName,
  script: z.string().nullable().describe("The script that it concerns"),
  code: z.enum(["switched-off", "zone-fallen", "not-deployed", "nobody-passes"]),
  detail: z.string(),
})

export const configShape = z.object({
  revision: z.number(),
  digest: z.string(),
  sizeBytes: z.number(),
  publishedAt: timestamp,
  publishedBy: z.string(),
  reason: z.string(),
})

/** A key of the passports as ops see it: no part of the key itself. */
export const passportKeyShape = z.object({
  kid: z.string(),
  state: z.enum(["next", "current", "retiring", "taken-back", "retired"]),
  signsFrom: timestamp.nullable().describe("null for a key that was taken back: it never signs again"),
  verifiesUntil: timestamp.nullable().describe("Published and accepted until then; null: until something is said"),
})
export const keyRingShape = z.object({
  keys: z.array(passportKeyShape),
  configured: z.boolean().describe("False without the secret RING_KEY: no key can be made"),
  rotatesAt: timestamp
    .nullable()
    .describe("When the schedule will rotate; null while a key waits, or before the first rotation"),
})
export const keysRotate = z.strictObject({
  immediately: z
    .boolean()
    .default(false)
    .describe(
      "The new key signs at once; verifiers that keep their key set refuse its passports until they look again, up to five minutes",
    ),
  message,
})
export const keysRollback = z.strictObject({ message })

export const auditShape = z.object({
  seq: z.number(),
  at: timestamp,
  actor: z.string().describe("token:<id>, or system"),
  action: z.string().describe("such as deployment.create"),
  target: z.string(),
  detail: z.record(z.string(), z.unknown()),
  previousHash: z.string(),
  hash: z.string().describe("SHA-256 over the record and previousHash: a changed or missing record breaks the chain"),
})

/** `facts`: what to assume of the client, as the platform would state it (dispatcher/src/edge/request-facts.ts). What is left out is not known, and TLS is 1.3. */
export const explainCreate = z.strictObject({
  url: z.url(),
  method: z
    .string()
    .regex(/^[A-Z]{1,20}$/)
    .default("GET"),
  headers: z.record(z.string(), z.string()).default({}),
  facts: z
    .strictObject({
      ip: z.string().refine((text) => parseAddress(text) !== null, "must be an IPv4 or IPv6 address"),
      country: z.string().regex(/^([A-Z]{2}|T1)$/, "must be two capital letters such as GB, or T1"),
      colo: z.string().regex(/^[A-Z0-9]{1,8}$/, "must be 1–8 of A–Z and 0–9, such as LHR"),
      asn: z.int().min(1).max(4_294_967_295),
      tls: z.enum(["none", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
      bot: z.int().min(1).max(99),
    })
    .partial()
    .optional(),
})

/** What `/v1/explain` answers: contracts/platform.ts as a shape. */
export const explanationShape = z.object({
  configRevision: z.number(),
  steps: z.array(
    z.object({
      stage: z.enum(["inbound", "screen", "route", "authenticate", "authorize", "release", "passport"]),
      says: z.string(),
      facts: z.record(z.string(), z.unknown()),
    }),
  ),
  outcome: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("dispatch"), placedName: z.string(), audience: z.string() }),
    z.object({ kind: z.literal("problem"), code: z.string(), status: z.number() }),
    z.object({ kind: z.literal("gateway"), what: z.string() }),
    z.object({ kind: z.literal("withheld"), what: z.string() }),
  ]),
}) satisfies z.ZodType<Explanation>

export const problemShape = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  instance: z.string().optional(),
  code: z.string(),
  requestId: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})

export { grant as grantShape }
export type Role = z.output<typeof role>
export type Whoami = z.output<typeof whoamiShape>
export type Team = z.output<typeof teamShape>
export type Token = z.output<typeof tokenShape>
export type Script = z.output<typeof scriptShape>
export type Version = z.output<typeof versionShape>
export type Deployment = z.output<typeof deploymentShape>
export type Hostname = z.output<typeof hostnameShape>
export type Notice = z.output<typeof noticeShape>
export type Route = z.output<typeof routeShape>
export type KeyRing = z.output<typeof keyRingShape>
export type AuditRecord = z.output<typeof auditShape>
export type ProblemBody = z.output<typeof problemShape>
