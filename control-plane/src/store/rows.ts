/** What the registry's tables hold, as the rest of the control plane sees it, and the way there from D1's rows. Leaf types. */
import type { Deployment, Role, Version } from "../../../contracts/api.ts"
import type {
  IssuerConfig,
  KillSwitch,
  PassportKeyConfig,
  PolicySection,
  ReleaseWeight,
  RouteConfig,
  ScriptAccess,
  StickyBy,
  TeamConfig,
} from "../../../contracts/dispatch-config.ts"

export interface TeamRow extends Omit<TeamConfig, "kill"> {
  readonly name: string
  readonly kill: KillSwitch | null
  readonly createdAt: string
}

export interface TokenRow {
  readonly id: string
  readonly team: string | null
  readonly role: Role
  readonly label: string
  /** Id of the token that made it; null for the bootstrap token's. */
  readonly createdBy: string | null
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly revokedAt: string | null
}

export interface ScriptSettings {
  readonly stickyBy: StickyBy
  readonly limits: { readonly cpuMs: number; readonly subRequests: number }
  readonly timeoutMs: number
  /** False makes every upload a mere publish. */
  readonly deployOnUpload: boolean
  /** Earlier versions whose immutable assets are placed beside a new version's own; 0 to 10. */
  readonly keepAssetVersions: number
  /** Versions, the last used first, that stay in the namespace to go back to; 2 to 100. */
  readonly keepPlacedVersions: number
  /** Null: whoever gets there. */
  readonly access: ScriptAccess | null
  readonly kill: KillSwitch | null
  /** Ops threw it, so that only ops lift it: whoever owns the script may be the reason. */
  readonly killedByOps: boolean
}

/** What a script has until its team chooses otherwise. */
export const DEFAULT_SETTINGS: ScriptSettings = {
  stickyBy: "company",
  limits: { cpuMs: 1000, subRequests: 50 },
  timeoutMs: 30_000,
  deployOnUpload: true,
  keepAssetVersions: 3,
  keepPlacedVersions: 10,
  access: null,
  kill: null,
  killedByOps: false,
}

export interface ScriptRow {
  readonly name: string
  readonly team: string
  readonly settings: ScriptSettings
  readonly createdAt: string
  /** Set when the script was deleted; its name stays with its team. */
  readonly deletedAt: string | null
}

export type VersionState = Version["state"]
export interface VersionRow {
  readonly script: string
  readonly number: number
  /** SHA-256 of the manifest, hex. */
  readonly digest: string
  readonly state: VersionState
  readonly sizeBytes: number
  readonly message: string | null
  readonly tag: string | null
  /** The `resource:` grants that its bindings use, sorted. */
  readonly needs: readonly string[]
  readonly createdBy: string
  readonly createdAt: string
  /** Grows within the script with every upload that changes which was the last. */
  readonly uploadSeq: number
  readonly uploadedAt: string
  /** When it last got or lost traffic, or was uploaded. */
  readonly usedAtMs: number
  /** Nothing takes it out of the namespace before. */
  readonly heldUntilMs: number
  /** When it was taken out of the namespace; null: it may be there. */
  readonly removedAtMs: number | null
}

export type DeploymentPhase = Deployment["phase"]
export interface DeploymentRow {
  /** Grows with every deployment of any script. */
  readonly seq: number
  readonly id: string
  readonly script: string
  readonly releases: readonly ReleaseWeight[]
  readonly phase: DeploymentPhase
  readonly message: string | null
  readonly createdBy: string
  readonly createdAt: string
  readonly configRevision: number | null
  /** Of a rollback: the `seq` it stands at in the history, everything between being taken back. Null for any other deployment. */
  readonly backTo: number | null
  /** Versions that rollbacks up to this one took back. */
  readonly withdrawn: readonly number[]
}

/** The deployment in force of a script. */
export interface CurrentRow {
  readonly script: string
  readonly deploymentId: string
  readonly seq: number
  readonly releases: readonly ReleaseWeight[]
}

export interface HostnameRow {
  readonly hostname: string
  readonly team: string | null
  readonly open: boolean
  readonly createdAt: string
}

/** A route as its team writes and reads it. */
export interface RouteSpec extends RouteConfig {
  readonly hostname: string
}

export interface RouteRow extends RouteSpec {
  /** As of a script: ops threw its kill switch, so that only ops lift it. */
  readonly killedByOps: boolean
  /** Ops gave it its zone, so that the zone does not rest on a grant of the team. False without a zone. */
  readonly zoneByOps: boolean
}

export function specOf({ killedByOps: _, zoneByOps: __, ...spec }: RouteRow): RouteSpec {
  return spec
}

export interface PolicyRow {
  readonly section: PolicySection
  readonly document: unknown
}

/** Of the ring that signs passports; its private part sealed, as the config has it. */
export interface PassportKeyRow extends PassportKeyConfig {
  /** Id of the request that changed it last; null when that was the schedule, or had no Idempotency-Key. */
  readonly askedBy: string | null
  readonly changedAt: string
}

/** The last good key set that an issuer published at `jwksUri`. */
export interface IssuerKeysRow {
  readonly issuer: string
  readonly jwksUri: string
  readonly jwks: IssuerConfig["jwks"]
  readonly changedAt: string
}

/** A row as D1 gives it. */
export type RawRow = Readonly<Record<string, string | number | null>>

export function toTeam(row: RawRow): TeamRow {
  return {
    name: text(row, "name"),
    grants: JSON.parse(text(row, "grants")),
    egress: JSON.parse(text(row, "egress")),
    kill: JSON.parse(textOrNull(row, "kill") ?? "null"),
    createdAt: text(row, "created_at"),
  }
}

export function toToken(row: RawRow): TokenRow {
  return {
    id: text(row, "id"),
    team: textOrNull(row, "team"),
    role: text(row, "role") === "ops" ? "ops" : "team",
    label: text(row, "label"),
    createdBy: textOrNull(row, "created_by"),
    createdAt: text(row, "created_at"),
    expiresAt: textOrNull(row, "expires_at"),
    revokedAt: textOrNull(row, "revoked_at"),
  }
}

export function toScript(row: RawRow): ScriptRow {
  return {
    name: text(row, "name"),
    team: text(row, "team"),
    settings: { ...DEFAULT_SETTINGS, ...JSON.parse(text(row, "settings")) },
    createdAt: text(row, "created_at"),
    deletedAt: textOrNull(row, "deleted_at"),
  }
}

export function toVersion(row: RawRow): VersionRow {
  return {
    script: text(row, "script"),
    number: Number(row.number),
    digest: text(row, "digest"),
    state: text(row, "state") as VersionState,
    sizeBytes: Number(row.size_bytes),
    message: textOrNull(row, "message"),
    tag: textOrNull(row, "tag"),
    needs: JSON.parse(text(row, "needs")),
    createdBy: text(row, "created_by"),
    createdAt: text(row, "created_at"),
    uploadSeq: Number(row.upload_seq ?? row.number),
    uploadedAt: textOrNull(row, "uploaded_at") ?? text(row, "created_at"),
    usedAtMs: Number(row.used_at_ms),
    heldUntilMs: Number(row.held_until_ms),
    removedAtMs: typeof row.removed_at_ms === "number" ? row.removed_at_ms : null,
  }
}

export function toDeployment(row: RawRow): DeploymentRow {
  const revision = row.config_revision
  return {
    seq: Number(row.seq),
    id: text(row, "id"),
    script: text(row, "script"),
    releases: JSON.parse(text(row, "releases")),
    phase: text(row, "phase") as DeploymentPhase,
    message: textOrNull(row, "message"),
    createdBy: text(row, "created_by"),
    createdAt: text(row, "created_at"),
    configRevision: typeof revision === "number" ? revision : null,
    backTo: typeof row.back_to === "number" ? row.back_to : null,
    withdrawn: JSON.parse(text(row, "withdrawn")),
  }
}

export function toHostname(row: RawRow): HostnameRow {
  return {
    hostname: text(row, "hostname"),
    team: textOrNull(row, "team"),
    open: row.open === 1,
    createdAt: text(row, "created_at"),
  }
}

/** A row of before it was written down who decided what is read as if its team had thrown its switch and ops had given its zone: both as they were. */
export function toRoute(row: RawRow): RouteRow {
  const spec: Omit<RouteRow, "id"> = JSON.parse(text(row, "spec"))
  return {
    ...{ killedByOps: false, zoneByOps: spec.zone !== undefined },
    ...spec,
    id: text(row, "id"),
    hostname: text(row, "hostname"),
    path: text(row, "path"),
    team: text(row, "team"),
    script: text(row, "script"),
  }
}

export function toPassportKey(row: RawRow): PassportKeyRow {
  const until = row.verifies_until_ms
  return {
    kid: text(row, "kid"),
    x: text(row, "x"),
    y: text(row, "y"),
    sealed: text(row, "sealed"),
    signsFromMs: Number(row.signs_from_ms),
    ...(typeof until === "number" ? { verifiesUntilMs: until } : {}),
    askedBy: textOrNull(row, "asked_by"),
    changedAt: text(row, "changed_at"),
  }
}

export function toIssuerKeys(row: RawRow): IssuerKeysRow {
  return {
    issuer: text(row, "issuer"),
    jwksUri: text(row, "jwks_uri"),
    jwks: JSON.parse(text(row, "jwks")),
    changedAt: text(row, "changed_at"),
  }
}

function text(row: RawRow, column: string): string {
  const value = row[column]
  if (typeof value !== "string") throw new Error(`column ${column} holds no text`)
  return value
}

function textOrNull(row: RawRow, column: string): string | null {
  return row[column] == null ? null : text(row, column)
}
