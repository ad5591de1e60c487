/**
 * What the metadata of an upload may say: an allow-list, key by key: Cloudflare takes more, some of it undocumented, than may stand behind the gateway.
 * Pure: no I/O, nothing is written before it has passed. Its result is what a version consists of beside its files.
 */
import { z } from "zod"
import { MAX_CPU_MS } from "../../../contracts/api.ts"
import type { ManifestBinding } from "../../../contracts/manifest.ts"
import { escapePointer, toFaults } from "../../../contracts/to-faults.ts"
import { type PointedError, refuse } from "../../../kit/problem.ts"
import { keepBindings, keptOf } from "./keep-bindings.ts"
import { MAX_BINDINGS, screenBindings } from "./screen-bindings.ts"

/** What an upload declares, with secrets still readable. */
export interface Declaration {
  /** Null for an assets-only Worker. */
  readonly mainModule: string | null
  /** Sorted by name. Secrets that were kept are sealed (`sealed` in place of `text`). */
  readonly bindings: readonly ManifestBinding[]
  readonly compatibilityDate: string
  /** Sorted, each once. */
  readonly compatibilityFlags: readonly string[]
  /** `token` redeems an asset session. */
  readonly assets: { readonly token: string; readonly config: Readonly<Record<string, unknown>> } | null
  /** Observability, placement and limits, as they go into the manifest. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Not part of the content: the same code under another message is the same version. */
  readonly message: string | null
  readonly tag: string | null
}

export interface ScreenFacts {
  /** The owning team's. */
  readonly grants: readonly string[]
  /** `YYYY-MM-DD`, UTC. */
  readonly today: string
  /** Bindings of the version that the upload may keep some of, secrets sealed; none when absent. */
  readonly earlier?: readonly ManifestBinding[]
}

/**
 * The flags a team may set: Node's interfaces, and standard behaviour that later compatibility dates have anyway. Any other is refused, so that a flag
 * that reaches around the egress policy, loosens the sandbox or is invented tomorrow fails closed.
 */
const ALLOWED_FLAGS: ReadonlySet<string> = new Set([
  // Node's interfaces, which go through the same sockets and fetch as all else
  ...["nodejs_als", "nodejs_compat", "nodejs_compat_v2", "nodejs_zlib", "no_nodejs_compat_v2"],
  ...["nodejs_compat_populate_process_env", "nodejs_compat_do_not_populate_process_env"],
  // Part of nodejs_compat at newer dates: a process of stubs, a file system in memory
  ...["enable_nodejs_process_v2", "enable_nodejs_fs_module"],
  // As in the web's standards
  ...["enable_request_signal", "formdata_parser_supports_files", "global_navigator", "streams_enable_constructors"],
  ...["transformstream_enable_standard_constructor", "url_standard", "urlsearchparams_delete_has_value_arg"],
  // Stricter than before; the first sends a fetch to the own zone through its front door instead of to the origin behind it
  ...["global_fetch_strictly_public", "strict_compression_checks", "strict_crypto_checks"],
  // How modules import one another
  "export_commonjs_default",
])

/** Sent by wrangler or other clients, and without effect here. */
const WITHOUT_EFFECT = new Set(["code_update_strategy", "package_dependencies", "usage_model"])
/** Fine while they ask for nothing; the sentence says why they may not ask. */
const ONLY_EMPTY: Readonly<Record<string, string>> = {
  body_part: "service-worker syntax is not accepted: export default { fetch }",
  cache_options: "a cached Worker would answer without seeing the passport",
  containers: "teams may not have containers",
  exports: "Durable Objects and cache settings of exports are not available to teams",
  keep_assets: "a version is complete: send its assets",
  logpush: "logs are collected by the operators for all scripts",
  migrations: "Durable Objects are not available to teams",
  streaming_tail_consumers: "another Worker may not read this one's events",
  tags: "tags are set by the control plane",
  tail_consumers: "another Worker may not read this one's events",
}

const CHOSEN_PLACE =
  'teams may not choose where a Worker runs; placement = { mode = "smart" } lets it run near what it asks most'
const ELSEWHERE = "a script's logs and traces are collected by the operators and sent nowhere else"
/** In place of "is not accepted", by pointer. */
const WHY: Readonly<Record<string, string>> = {
  "/placement/region": CHOSEN_PLACE,
  "/placement/host": CHOSEN_PLACE,
  "/placement/hostname": CHOSEN_PLACE,
  "/placement/hint": CHOSEN_PLACE,
  "/observability/logs/destinations": ELSEWHERE,
  "/observability/traces/destinations": ELSEWHERE,
}

const signal = z.strictObject({
  enabled: z.boolean().optional(),
  head_sampling_rate: z.number().min(0).max(1).nullish(),
  invocation_logs: z.boolean().optional(),
  persist: z.boolean().optional(),
})
const SETTINGS = z.object({
  observability: z
    .strictObject({
      enabled: z.boolean(),
      head_sampling_rate: z.number().min(0).max(1).nullish(),
      logs: signal.nullish(),
      traces: signal.nullish(),
    })
    .nullish(),
  placement: z
    // `targeted` is wrangler's word for a region or host; nobody wrote it into a configuration.
    .strictObject({
      mode: z
        .enum(["smart", "off"], { error: ({ input }) => (input === "targeted" ? CHOSEN_PLACE : undefined) })
        .optional(),
    })
    .nullish(),
  limits: z
    .strictObject({
      cpu_ms: z.int().min(1).max(MAX_CPU_MS).optional(),
      subrequests: z.int().min(1).max(10_000).optional(),
    })
    .nullish(),
})

const CONTENT = z.object({
  main_module: z.string().min(1).max(512).nullish(),
  compatibility_date: z.iso.date("must be a date such as 2026-11-01"),
  compatibility_flags: z
    .array(z.string().refine((flag) => ALLOWED_FLAGS.has(flag), "this flag is not available to teams"))
    .max(64)
    .nullish(),
  keep_bindings: keepBindings.nullish(),
  assets: z
    .strictObject({
      jwt: z.string().min(1).max(4096),
      config: z
        .strictObject({
          html_handling: z
            .enum(["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"])
            .optional(),
          not_found_handling: z.enum(["none", "404-page", "single-page-application"]).optional(),
          run_worker_first: z.union([z.boolean(), z.array(z.string().max(500)).max(100)]).optional(),
          serve_directly: z.boolean().optional(),
          base_path: z.string().max(500).optional(),
          _headers: z.string().max(100_000).optional(),
          _redirects: z.string().max(100_000).optional(),
        })
        .nullish(),
    })
    .nullish(),
  annotations: z.object({ "workers/message": z.string().optional(), "workers/tag": z.string().optional() }).nullish(),
})

const KNOWN = new Set([...Object.keys(SETTINGS.shape), ...Object.keys(CONTENT.shape), "bindings"])

/** Throws `upload.metadata-refused` with a pointer into the metadata for every fault, at most 20. */
export function screenMetadata(metadata: Readonly<Record<string, unknown>>, facts: ScreenFacts): Declaration {
  const { grants, today, earlier = [] } = facts
  const faults = unknownKeys(metadata)
  const declared = screenBindings(metadata.bindings, new Set(grants), earlier, faults)
  const settings = SETTINGS.safeParse(metadata)
  if (!settings.success) faults.push(...toFaults(settings.error).map(explained))
  const content = CONTENT.safeParse(metadata)
  if (!content.success) faults.push(...toFaults(content.error))
  else if (content.data.compatibility_date > today)
    faults.push({ pointer: "/compatibility_date", detail: `lies in the future; today is ${today}` })
  const kept =
    content.success && content.data.main_module ? keptOf(earlier, content.data.keep_bindings ?? [], declared) : []
  if (declared.length + kept.length > MAX_BINDINGS)
    faults.push({
      pointer: "/keep_bindings",
      detail: `with the ${kept.length} kept there are ${declared.length + kept.length} bindings, at most ${MAX_BINDINGS} are allowed`,
    })
  if (faults.length > 0 || !content.success || !settings.success)
    throw refuse("upload.metadata-refused", { errors: faults.slice(0, 20) })

  const { main_module, compatibility_date, compatibility_flags, assets, annotations } = content.data
  return {
    mainModule: main_module ?? null,
    bindings: [...declared, ...kept].sort((a, b) => (a.name < b.name ? -1 : 1)),
    compatibilityDate: compatibility_date,
    compatibilityFlags: [...new Set(compatibility_flags)].sort(),
    assets: assets ? { token: assets.jwt, config: assets.config ?? {} } : null,
    settings: Object.fromEntries(Object.entries(settings.data).filter(([, value]) => value != null)),
    message: clip(annotations?.["workers/message"], 500),
    tag: clip(annotations?.["workers/tag"], 100),
  }
}

function unknownKeys(metadata: Readonly<Record<string, unknown>>): PointedError[] {
  const faults: PointedError[] = []
  for (const [key, value] of Object.entries(metadata)) {
    if (KNOWN.has(key) || WITHOUT_EFFECT.has(key)) continue
    const reason = Object.hasOwn(ONLY_EMPTY, key) ? ONLY_EMPTY[key] : undefined
    if (reason !== undefined && asksForNothing(value)) continue
    faults.push({ pointer: `/${escapePointer(key)}`, detail: reason ?? "is not accepted" })
  }
  return faults
}

function explained(fault: PointedError): PointedError {
  return { ...fault, detail: WHY[fault.pointer] ?? fault.detail }
}

function asksForNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return true
  if (typeof value !== "object") return false
  // `cache_options: { enabled: false }` turns it off.
  return Object.values(value).every((each) => each === false)
}

/** A long commit message must not fail a deploy: it is cut. */
function clip(text: string | undefined, length: number): string | null {
  return text === undefined || text === "" ? null : text.slice(0, length)
}
