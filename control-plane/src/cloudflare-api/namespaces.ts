/** The one namespace that this installation deploys to. Its name is checked by app.ts for every path below it. */
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { type Answer, CLOUDFLARE_CODE, refuseAs } from "./envelope.ts"
import type { Call } from "./operation.ts"

/** Since when the namespace exists is not known here; Cloudflare's clients only print it. */
const LONG_AGO = "2026-01-01T00:00:00Z"

/** GET …/namespaces */
export async function listNamespaces(call: Call): Promise<Answer> {
  return { result: [await namespaceOf(call)], resultInfo: { page: 1, per_page: 20, count: 1, total_count: 1 } }
}

/** GET …/namespaces/{namespace} */
export async function showNamespace(call: Call): Promise<Answer> {
  return { result: await namespaceOf(call) }
}

/** Creating, renaming and deleting: wrangler creates a namespace when a name was mistyped. */
export function refuseNamespaceChange({ deps }: Call): never {
  throw refuse("api.forbidden", { detail: `Namespaces are not for teams to change. ${useNamespace(deps)}` })
}

/** Any other name than the configured one. */
export function refuseNamespace(deps: Call["deps"]) {
  return refuseAs(CLOUDFLARE_CODE.noSuchNamespace, "api.not-found", {
    detail: `The specified dispatch namespace does not exist on this account. ${useNamespace(deps)}`,
  })
}

export function useNamespace({ settings }: Pick<Call["deps"], "settings">): string {
  return `Deploy with --dispatch-namespace ${settings.cloudflare.namespace}.`
}

async function namespaceOf({ deps }: Call) {
  const name = deps.settings.cloudflare.namespace
  const hex = await sha256Hex(`${deps.settings.cloudflare.accountId}/${name}`)
  return {
    namespace_id: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
    namespace_name: name,
    trusted_workers: false,
    created_on: LONG_AGO,
    created_by: null,
    modified_on: LONG_AGO,
    modified_by: null,
  }
}
