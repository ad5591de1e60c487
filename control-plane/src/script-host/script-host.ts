/**
 * The dispatch namespace as the control plane sees it: put a version there, look whether it is there as it should be, take it away.
 * A placed name is written once (`files--v12`): whatever stands there with another digest is left alone and refused.
 */
import { z } from "zod"
import type { Manifest, ManifestAsset, ManifestBinding } from "../../../contracts/manifest.ts"
import { placedName } from "../../../contracts/script-name.ts"
import { refuse } from "../../../kit/problem.ts"
import { saysNotFound } from "./classify-failure.ts"
import { type CloudflareDependencies, cloudflareClient } from "./cloudflare-client.ts"
import type { MultipartForm } from "./multipart-form.ts"
import { placeAssets } from "./place-assets.ts"
import { uploadForm } from "./upload-form.ts"

/** What is to be placed, and where its files come from. */
export interface Placement {
  readonly team: string
  readonly version: number
  /** Of the manifest. */
  readonly digest: string
  readonly manifest: Manifest
  readonly readBlob: (sha256: string) => Promise<ArrayBuffer>
  /** Files of earlier versions to serve beside the manifest's own; asked for only when the version is not in place yet and has assets. */
  readonly readRetained: () => Promise<readonly ManifestAsset[]>
  /** A sealed secret as Cloudflare needs it; other bindings as they are. */
  readonly openSecret: (binding: ManifestBinding) => Promise<ManifestBinding>
}

export interface Placed {
  /** True when it was in place already and nothing was written. */
  readonly wasThere: boolean
  readonly etag: string | null
  /** Milliseconds, as Cloudflare measured; null when the script was in place already. */
  readonly startupTimeMs: number | null
}

export interface ScriptHost {
  /** Idempotent, also when an earlier call was applied and its answer lost. Throws `cloudflare.refused`, `cloudflare.unavailable`. */
  place(placement: Placement): Promise<Placed>
  /** Reads back what was placed: there, of this digest, and with the bindings it must have. Throws `cloudflare.unavailable` when it is not so. */
  verify(placement: Placement): Promise<void>
  /** Idempotent: what is not there is removed. */
  remove(script: string, version: number): Promise<void>
}

/** Of GET …/scripts/{name}. A deleted script can still be answered with 200 and no script. */
const found = z
  .object({
    script: z.object({ etag: z.string().nullish(), tags: z.array(z.string()).nullish() }).nullish(),
  })
  .nullable()
const placed = z.object({ etag: z.string().nullish(), startup_time_ms: z.number().nullish() })
const bindingList = z.array(
  z.object({ type: z.string(), name: z.string(), service: z.string().optional(), entrypoint: z.string().nullish() }),
)

export function scriptHost(deps: CloudflareDependencies): ScriptHost {
  const client = cloudflareClient(deps)
  const { dispatcherService } = deps.settings.cloudflare

  /** What stands under the placement's name, or null. Throws `cloudflare.refused` when it is something else. */
  async function findPlaced({ manifest, version, digest }: Placement): Promise<Placed | null> {
    const name = placedName(manifest.script, version)
    const script = await client
      .call("get", client.scriptPath(name), found)
      .then((answer) => answer?.script ?? null)
      .catch((failure) => {
        if (saysNotFound(failure)) return null
        throw failure
      })
    if (script === null) return null
    if (!script.tags?.includes(digestTag(digest))) throw occupied(name)
    return { wasThere: true, etag: script.etag ?? null, startupTimeMs: null }
  }

  async function formOf(placement: Placement): Promise<MultipartForm> {
    const { team, version, manifest } = placement
    const name = placedName(manifest.script, version)
    return uploadForm({
      manifest,
      bindings: await Promise.all(manifest.bindings.map(placement.openSecret)),
      modules: await Promise.all(
        manifest.modules.map(async (each) => ({ ...each, bytes: await placement.readBlob(each.sha256) })),
      ),
      props: { script: manifest.script, version, team },
      dispatcherService,
      tags: tagsOf(placement),
      assetsToken: manifest.assets === null ? null : await placeFiles(name, manifest.assets.files, placement),
    })
  }

  async function placeFiles(name: string, own: readonly ManifestAsset[], { team, readBlob, readRetained }: Placement) {
    return placeAssets(name, team, [...own, ...(await readRetained())], readBlob, client)
  }

  return {
    async place(placement) {
      const there = await findPlaced(placement)
      if (there !== null) return there
      const path = client.scriptPath(placedName(placement.manifest.script, placement.version))
      const body = await formOf(placement)
      const answer = await client.call(
        "put",
        `${path}?bindings_inherit=strict`,
        placed.transform(({ etag, startup_time_ms }) => ({
          wasThere: false,
          etag: etag ?? null,
          startupTimeMs: startup_time_ms ?? null,
        })),
        { body },
        () => findPlaced(placement),
      )
      return answer
    },

    async verify(placement) {
      const { manifest, version } = placement
      const name = placedName(manifest.script, version)
      if ((await findPlaced(placement)) === null) throw notWhole(name, "it is not there")
      if (manifest.mainModule === null) return
      const bindings = await client.call("get", `${client.scriptPath(name)}/bindings`, bindingList)
      const platform = bindings.find((each) => each.name === "PLATFORM")
      if (platform?.type !== "service" || platform.service !== dispatcherService)
        throw notWhole(name, "its PLATFORM binding is missing or leads elsewhere")
      const expected = manifest.bindings.filter((each) => !bindings.some((other) => isSame(each, other)))
      if (expected.length > 0) throw notWhole(name, `bindings are missing: ${expected.map((each) => each.name)}`)
      if (bindings.length !== manifest.bindings.length + 1) throw notWhole(name, "it has bindings that nobody declared")
    },

    async remove(script, version) {
      const path = `${client.scriptPath(placedName(script, version))}?force=true`
      try {
        await client.call("delete", path, z.unknown())
      } catch (failure) {
        if (!saysNotFound(failure)) throw failure
      }
    },
  }
}

function digestTag(digest: string): string {
  return `digest-${digest}`
}

/** At most 8 are allowed, without `,` or `&`. By them a namespace can be read without our registry. */
function tagsOf({ team, version, digest, manifest }: Placement): string[] {
  return [`team-${team}`, `script-${manifest.script}`, `version-${version}`, digestTag(digest)]
}

function isSame(a: ManifestBinding, b: { readonly type: string; readonly name: string }): boolean {
  return a.name === b.name && a.type === b.type
}

function occupied(name: string) {
  return refuse("cloudflare.refused", {
    detail: `The namespace already has a script ${name} of other content. It was not replaced; ops must remove it.`,
  })
}

function notWhole(name: string, reason: string) {
  return refuse("cloudflare.unavailable", {
    detail: `The script ${name} was placed, but reading it back shows that it is not whole. It receives no traffic.`,
    log: { name, reason },
  })
}
