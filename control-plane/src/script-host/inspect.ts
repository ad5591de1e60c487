/** Looks at what the platform relies on at Cloudflare, and says what is not as it should be. Writes nothing; what cannot be seen throws `cloudflare.*`. Called by drift/watch-drift.ts. */
import { z } from "zod"
import type { Manifest, ManifestBinding } from "../../../contracts/manifest.ts"
import { placedName } from "../../../contracts/script-name.ts"
import { canonicalJson } from "../canonical-json.ts"
import type { CallBudget } from "./call-budget.ts"
import { saysNotFound } from "./classify-failure.ts"
import { type CloudflareDependencies, cloudflareClient } from "./cloudflare-client.ts"
import { digestTag, faultOfBindings, readBindings, readStanding, type ShownBinding } from "./standing.ts"
import { platformBinding } from "./upload-form.ts"

export interface InspectedVersion {
  readonly script: string
  readonly team: string
  readonly version: number
  /** Of the manifest. */
  readonly digest: string
  /** Null where it cannot be read any more: then nobody knows which bindings there should be. */
  readonly manifest: Manifest | null
}

export interface Inspector {
  /** `fault` in words, or null; `etag` of the code that stands there, null when none does or Cloudflare names none. */
  version(placed: InspectedVersion): Promise<{ readonly fault: string | null; readonly etag: string | null }>
  /** The same of the namespace itself. */
  namespace(): Promise<string | null>
  /** The same of the dispatcher's binding to the namespace, through which alone calls of teams' Workers meet the outbound Worker. */
  dispatcher(): Promise<string | null>
}

const namespaceAnswer = z.object({ trusted_workers: z.boolean() })
/** As of the description: `outbound.worker` is absent where calls go out directly. */
const dispatcherAnswer = z.object({
  bindings: z.array(
    z.object({
      type: z.string(),
      namespace: z.string().optional(),
      outbound: z
        .object({
          worker: z.object({ service: z.string().optional(), entrypoint: z.string().nullish() }).nullish(),
        })
        .nullish(),
    }),
  ),
})
/** Never shown as they are. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(["text", "key_base64", "key_jwk"])

export function inspector(deps: CloudflareDependencies, budget: CallBudget): Inspector {
  const client = cloudflareClient(deps, budget)
  const { dispatcherService, outboundService, namespace } = deps.settings.cloudflare

  async function faultOfPlaced({ script, team, version, manifest }: InspectedVersion): Promise<string | null> {
    if (manifest === null || manifest.mainModule === null) return null
    const shown = await readBindings(placedName(script, version), client)
    const fault = faultOfBindings(manifest, shown, dispatcherService)
    if (fault !== null) return fault
    const declared = [...manifest.bindings, platformBinding({ script, version, team }, dispatcherService)]
    const changed = declared.filter((each) => leadsElsewhere(each, shown))
    return changed.length === 0 ? null : `bindings lead elsewhere: ${changed.map(({ name }) => name)}`
  }

  return {
    async version(placed) {
      const standing = await readStanding(placedName(placed.script, placed.version), client)
      if (standing === null) return { fault: "it is not there", etag: null }
      const isOther = !standing.tags.includes(digestTag(placed.digest))
      const fault = isOther ? "other content stands under its name" : await faultOfPlaced(placed)
      return { fault, etag: standing.etag }
    },

    async namespace() {
      const path = `/workers/dispatch/namespaces/${namespace}`
      const { trusted_workers: isTrusted } = await client.call("get", path, namespaceAnswer)
      return isTrusted
        ? "its Workers are trusted: they share one cache, and see `request.cf` once uploaded again"
        : null
    },

    async dispatcher() {
      const path = `/workers/scripts/${dispatcherService}/settings`
      const bindings = await client
        .call("get", path, dispatcherAnswer)
        .then((answer) => answer.bindings)
        .catch((failure) => {
          if (saysNotFound(failure)) return null
          throw failure
        })
      if (bindings === null) return `there is no Worker ${dispatcherService}`
      const led = bindings.filter((each) => each.type === "dispatch_namespace" && each.namespace === namespace)
      if (led.length === 0) return `it has no binding to the namespace ${namespace}`
      for (const { outbound } of led) {
        const { service = null, entrypoint = null } = outbound?.worker ?? {}
        if (service === null)
          return "teams' Workers call out directly: its binding to the namespace has no outbound Worker"
        if (service !== outboundService || entrypoint !== null)
          return `teams' Workers call out through ${[service, entrypoint].filter(Boolean).join(" ")} instead of ${outboundService}`
      }
      return null
    },
  }
}

/** By every field that Cloudflare shows of it. */
function leadsElsewhere(declared: ManifestBinding, all: readonly ShownBinding[]): boolean {
  const shown: Readonly<Record<string, unknown>> = all.find(({ name }) => name === declared.name) ?? {}
  const isSecret = declared.type.startsWith("secret_")
  return Object.entries(declared).some(
    ([field, value]) =>
      !(isSecret && SECRET_FIELDS.has(field)) &&
      shown[field] != null &&
      canonicalJson(shown[field]) !== canonicalJson(value),
  )
}
