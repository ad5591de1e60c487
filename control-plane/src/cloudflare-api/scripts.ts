/**
 * A team's own scripts, as Cloudflare's API shows them. Reading shows the newest version; what is another team's answers as if it were absent.
 * Everything that changes a script other than by uploading it is refused with the way to do it.
 */
import type { ManifestBinding } from "../../../contracts/manifest.ts"
import { refuse } from "../../../kit/problem.ts"
import { actsFor } from "../actor.ts"
import { artifactStore } from "../upload/artifact-store.ts"
import { findNewest, type NewestVersion } from "../upload/newest-version.ts"
import { type Answer, CLOUDFLARE_CODE, refuseAs } from "./envelope.ts"
import { useNamespace } from "./namespaces.ts"
import type { Call } from "./operation.ts"
import { versionIdOf } from "./version-id.ts"

/** GET …/scripts/{script}: wrangler's first call, by which it learns whether the script exists. */
export async function showScript(call: Call): Promise<Answer> {
  const newest = await newestVersion(call)
  return { result: scriptResult(newest, call) }
}

/** GET …/scripts */
export async function listScripts(call: Call): Promise<Answer> {
  const { actor, deps, url } = call
  const limit = Math.min(Math.max(Number(url.searchParams.get("limit")) || 100, 1), 100)
  const cursor = url.searchParams.get("cursor") ?? undefined
  const page = await deps.store.scripts.list(actor.role === "ops" ? null : actor.team, { limit, cursor })
  const found = await Promise.all(page.items.map((script) => findNewest(script, deps)))
  const result = found.filter((each) => each !== null).map((each) => scriptResult(each, call))
  return { result, resultInfo: { count: result.length, cursor: page.nextCursor ?? "" } }
}

/** GET …/scripts/{script}/settings */
export async function showSettings(call: Call): Promise<Answer> {
  const { manifest } = await newestVersion(call)
  return {
    result: {
      bindings: manifest.bindings.map(withoutSecret),
      compatibility_date: manifest.compatibilityDate,
      compatibility_flags: manifest.compatibilityFlags,
      tags: [],
      ...manifest.settings,
    },
  }
}

/** GET …/scripts/{script}/bindings */
export async function showBindings(call: Call): Promise<Answer> {
  return { result: (await newestVersion(call)).manifest.bindings.map(withoutSecret) }
}

/** GET …/scripts/{script}/secrets */
export async function listSecrets(call: Call): Promise<Answer> {
  const { bindings } = (await newestVersion(call)).manifest
  return { result: bindings.filter((each) => each.type === "secret_text").map(withoutSecret) }
}

/** GET …/scripts/{script}/tags: tags are the control plane's own. */
export async function listTags(call: Call): Promise<Answer> {
  await newestVersion(call)
  return { result: [] }
}

/** GET …/scripts/{script}/content: the modules, as multipart. */
export async function showContent(call: Call): Promise<Response> {
  const { manifest } = await newestVersion(call)
  const artifacts = artifactStore(call.deps.artifacts)
  const form = new FormData()
  for (const { name, sha256 } of manifest.modules) form.append(name, new File([await artifacts.readBlob(sha256)], name))
  const response = new Response(form)
  if (manifest.mainModule !== null) response.headers.set("cf-entrypoint", encodeURI(manifest.mainModule))
  return response
}

/** DELETE …/scripts/{script}, and `wrangler delete`, which deletes a service of the account. */
export function refuseDelete({ param }: Call): never {
  const script = param("script").slice(0, 48)
  throw refuse("api.forbidden", {
    detail: `A script may carry traffic; delete it by \`sallyport scripts delete ${script}\` (DELETE /v1/scripts/${script}).`,
  })
}

/** PUT, PATCH and DELETE of a script's secrets, settings, content or tags. */
export function refuseChange({ deps }: Call): never {
  throw refuse("api.forbidden", {
    detail: `A version never changes. Change it by uploading it again. ${SECRETS} ${useNamespace(deps)}`,
  })
}

const SECRETS =
  "Secrets come with --secrets-file and stay through later uploads; one goes when its name is given to a variable (--var NAME:)."

/** Account-level `/workers/scripts/{script}/…`, which wrangler also asks about: no team script is an account Worker. */
export function accountScript({ request, url, deps }: Call): never {
  if (request.method === "GET" || request.method === "HEAD" || request.method === "PATCH")
    throw refuseAs(CLOUDFLARE_CODE.scriptNotFound, "api.not-found", {
      detail: "This Worker does not exist on your account.",
    })
  const secrets = url.pathname.includes("/secrets") ? ` ${SECRETS}` : ""
  throw refuse("api.forbidden", {
    detail: `Only uploads to the dispatch namespace are taken.${secrets} ${useNamespace(deps)}`,
  })
}

/** Throws 404 with 10092 when there is none that the caller may see. */
async function newestVersion(call: Call): Promise<NewestVersion> {
  const { actor, deps } = call
  const script = await deps.store.scripts.get(call.param("script"))
  const newest = script !== null && actsFor(actor, script.team) ? await findNewest(script, deps) : null
  if (newest === null)
    throw refuseAs(CLOUDFLARE_CODE.notInNamespace, "api.not-found", {
      detail: "This Worker does not exist in the dispatch namespace.",
    })
  return newest
}

function scriptResult({ script, version, manifest }: NewestVersion, { deps }: Call) {
  return {
    created_on: script.createdAt,
    modified_on: version.createdAt,
    dispatch_namespace: deps.settings.cloudflare.namespace,
    script: {
      id: script.name,
      tag: versionIdOf(version.number, version.digest),
      etag: version.digest,
      tags: [],
      created_on: script.createdAt,
      modified_on: version.createdAt,
      has_assets: manifest.assets !== null,
      has_modules: manifest.mainModule !== null,
      compatibility_date: manifest.compatibilityDate,
      compatibility_flags: manifest.compatibilityFlags,
      usage_model: "standard",
      last_deployed_from: "wrangler",
    },
  }
}

function withoutSecret(binding: ManifestBinding): ManifestBinding {
  return binding.type === "secret_text" ? { type: binding.type, name: binding.name } : binding
}
