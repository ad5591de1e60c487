/**
 * The allow-list of bindings: a kind that is not in the first table is refused, so that a kind Cloudflare invents tomorrow fails closed.
 * Every field is listed too: `props`, `binding_interface`, `script_name` and the like are refused because nobody listed them.
 * Called by screen-metadata.ts only.
 */
import { z } from "zod"
import type { ManifestBinding } from "../../../contracts/manifest.ts"
import { toFaults } from "../../../contracts/to-faults.ts"
import type { PointedError } from "../../../kit/problem.ts"
import { inheritedSecret } from "./keep-bindings.ts"

/** The platform binding, injected when a version is placed. */
export const PLATFORM_BINDING = "PLATFORM"

/** Cloudflare's limits: 128 variables of 5 KB; all kinds together, what is kept among them, are bounded here. */
export const MAX_BINDINGS = 256
const MAX_TEXT = 5 * 1024

const name = z.string().regex(/^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/, "must be an identifier of at most 128 characters")
const text = z.string().refine((value) => new TextEncoder().encode(value).length <= MAX_TEXT, "is larger than 5 KB")
/** Of a resource outside; the same alphabet as in a `resource:` grant. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "is not the id or name of a resource")

const ALLOWED = {
  plain_text: z.strictObject({ type: z.literal("plain_text"), name, text }),
  json: z.strictObject({
    type: z.literal("json"),
    name,
    json: z.json().refine((value) => JSON.stringify(value).length <= MAX_TEXT, "is larger than 5 KB"),
  }),
  secret_text: z.strictObject({ type: z.literal("secret_text"), name, text }),
  kv_namespace: z.strictObject({ type: z.literal("kv_namespace"), name, namespace_id: id }),
  r2_bucket: z.strictObject({ type: z.literal("r2_bucket"), name, bucket_name: id }),
  // wrangler still sends the old spelling `id`; the manifest holds the documented one.
  d1: z
    .strictObject({ type: z.literal("d1"), name, id: id.optional(), database_id: id.optional() })
    .refine((each) => (each.id === undefined) !== (each.database_id === undefined), "needs one database_id")
    .transform(({ id: old, database_id = old, ...rest }) => ({ ...rest, database_id })),
  queue: z.strictObject({
    type: z.literal("queue"),
    name,
    queue_name: id,
    delivery_delay: z.int().min(0).max(43_200).optional(),
  }),
  // wrangler leaves the dataset out when it is called like the binding.
  analytics_engine: z
    .strictObject({ type: z.literal("analytics_engine"), name, dataset: id.optional() })
    .transform((each) => ({ ...each, dataset: each.dataset ?? each.name })),
  version_metadata: z.strictObject({ type: z.literal("version_metadata"), name }),
  assets: z.strictObject({ type: z.literal("assets"), name }),
} as const
export type BindingKind = keyof typeof ALLOWED
/** Kinds a team may declare; the generated test holds Cloudflare's own list against it. */
export const ALLOWED_KINDS: readonly string[] = Object.keys(ALLOWED)

/** Which field names a resource of the account: using it needs the grant `resource:<type>:<value>`. */
const RESOURCE_FIELD: Readonly<Record<string, string>> = {
  kv_namespace: "namespace_id",
  r2_bucket: "bucket_name",
  d1: "database_id",
  queue: "queue_name",
  analytics_engine: "dataset",
}

/** Why, for the kinds that people will try. */
const REASONS: Readonly<Record<string, string>> = {
  durable_object_namespace:
    "Durable Objects are not available to teams: every version is a script of its own, so objects would be lost with the next one, and their requests bypass the egress policy",
  mtls_certificate: "requests through a client certificate bypass the egress policy",
  service: `reach other Workers through env.${PLATFORM_BINDING}.dispatch(script, request); the ${PLATFORM_BINDING} binding is added by itself`,
  dispatch_namespace: "only the dispatcher dispatches",
  worker_loader: "code that was not uploaded may not run",
  inherit:
    "the newest version of this script has no such secret, and nothing else is taken over. Send a secret with --secrets-file, and give a KV, D1 or R2 binding its id or name",
  secret_key: "send the key as a secret_text",
  workflow:
    "Workflows are not available to teams: every version is a script of its own, so instances would be left behind by the next one",
}

/** The bindings of an upload, resources checked against the team's `grants`, in the order given; what it inherits of `earlier` is sealed. Every fault goes into `faults`. */
export function screenBindings(
  declared: unknown,
  grants: ReadonlySet<string>,
  earlier: readonly ManifestBinding[],
  faults: PointedError[],
): ManifestBinding[] {
  if (declared === undefined || declared === null) return []
  if (!Array.isArray(declared)) {
    faults.push({ pointer: "/bindings", detail: "must be a list" })
    return []
  }
  if (declared.length > MAX_BINDINGS) {
    faults.push({
      pointer: "/bindings",
      detail: `has ${declared.length} entries, at most ${MAX_BINDINGS} are allowed`,
    })
    return []
  }
  const seen = new Set<string>()
  const bindings: ManifestBinding[] = []
  for (const [index, each] of declared.entries()) {
    const binding = screenBinding(each, `/bindings/${index}`, grants, earlier, faults)
    if (binding === null) continue
    if (binding.name === PLATFORM_BINDING)
      faults.push({ pointer: `/bindings/${index}/name`, detail: `${PLATFORM_BINDING} is reserved` })
    if (seen.has(binding.name))
      faults.push({ pointer: `/bindings/${index}/name`, detail: `another binding is called ${binding.name}` })
    seen.add(binding.name)
    bindings.push(binding)
  }
  return bindings
}

function screenBinding(
  declared: unknown,
  pointer: string,
  grants: ReadonlySet<string>,
  earlier: readonly ManifestBinding[],
  faults: PointedError[],
): ManifestBinding | null {
  const type = typeof declared === "object" && declared !== null && "type" in declared ? declared.type : undefined
  const inherited = type === "inherit" ? inheritedSecret(Object(declared), earlier) : null
  if (inherited !== null) return inherited
  if (typeof type !== "string" || !isAllowed(type)) {
    faults.push({ pointer: `${pointer}/type`, detail: whyRefused(type) })
    return null
  }
  const parsed = ALLOWED[type].safeParse(declared)
  if (!parsed.success) {
    faults.push(...toFaults(parsed.error, pointer))
    return null
  }
  const binding: ManifestBinding = parsed.data
  const grant = grantOf(binding)
  if (grant !== null && !grants.has(grant))
    faults.push({ pointer: `${pointer}/${RESOURCE_FIELD[type]}`, detail: `the team does not hold the grant ${grant}` })
  return binding
}

/** The grant that using a screened binding needs, or null. */
function grantOf(binding: ManifestBinding): string | null {
  const field = RESOURCE_FIELD[binding.type]
  return field === undefined ? null : `resource:${binding.type}:${String(binding[field])}`
}

/** The grants that screened bindings need, sorted, each once: kept with the version and looked at again whenever it is deployed. */
export function grantsNeeded(bindings: readonly ManifestBinding[]): string[] {
  return [...new Set(bindings.map(grantOf).filter((grant) => grant !== null))].sort()
}

function isAllowed(type: string): type is BindingKind {
  return Object.hasOwn(ALLOWED, type)
}

function whyRefused(type: unknown): string {
  if (typeof type !== "string") return "is missing"
  const kind = /^[a-z0-9_]{1,64}$/.test(type) ? type : "this kind"
  const reason = Object.hasOwn(REASONS, kind) ? REASONS[kind] : "teams may not have bindings of this kind"
  return `${kind} is refused: ${reason}`
}
