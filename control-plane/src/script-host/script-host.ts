/**
 * The dispatch namespace as the control plane sees it: put a version there, look whether it is there as it should be, take it away.
 * A placed name is written once (`files--v12`): whatever stands there with another digest is left alone and refused.
 */
import { z } from "zod"
import type { Manifest, ManifestAsset, ManifestBinding } from "../../../contracts/manifest.ts"
import { placedName } from "../../../contracts/script-name.ts"
import { Refusal, refuse } from "../../../kit/problem.ts"
import type { CallBudget } from "./call-budget.ts"
import { saysNotFound } from "./classify-failure.ts"
import { type CloudflareDependencies, cloudflareClient } from "./cloudflare-client.ts"
import type { MultipartForm } from "./multipart-form.ts"
import { placeAssets } from "./place-assets.ts"
import { digestTag, faultOfBindings, readBindings, readStanding } from "./standing.ts"
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
  /** It was taken out before: what Cloudflare says to stand there may be of then, and is written again. */
  readonly isBack?: boolean
}

export interface Placed {
  /** True when it was in place already and nothing was written. */
  readonly wasThere: boolean
  readonly etag: string | null
  /** Milliseconds, as Cloudflare measured; null when the script was in place already. */
  readonly startupTimeMs: number | null
}

/** Every one throws `cloudflare.budget-spent` when its next call has no room; what was done until then is not done again. */
export interface ScriptHost {
  /** Idempotent, also when an earlier call was applied and its answer lost. Throws `cloudflare.refused`, `cloudflare.unavailable`. */
  place(placement: Placement): Promise<Placed>
  /**
   * Reads back what was placed: there, of this digest, and with the bindings it must have. Gives the etag of the code, null where Cloudflare names none. Throws `cloudflare.unavailable`
   * when it is not so.
   */
  verify(placement: Placement): Promise<string | null>
  /** Asks for a version, whatever the answer: throws `cloudflare.unavailable` while there is none. */
  look(script: string, version: number): Promise<void>
  /**
   * Idempotent: what is not there is removed. True when the first call was answered, so that none is under way any more; false when it had to be repeated. Throws `cloudflare.refused` when the
   * first call was, so that it stands there and none is under way, and `cloudflare.unavailable`, after which one may be.
   */
  remove(script: string, version: number): Promise<boolean>
}

const placed = z.object({ etag: z.string().nullish(), startup_time_ms: z.number().nullish() })
/** Calls that place and verify a version that is not there, unless one has to be made again, or the files go in several requests. */
export function callsToPlace({ assets, mainModule }: Manifest): number {
  const look = 1
  const upload = 1 + (assets === null ? 0 : 2)
  const verification = mainModule === null ? 1 : 2
  return look + upload + verification
}

export function scriptHost(deps: CloudflareDependencies, budget: CallBudget): ScriptHost {
  const client = cloudflareClient(deps, budget)
  const { dispatcherService } = deps.settings.cloudflare

  /** What stands under the placement's name, or null. Throws `cloudflare.refused` when it is something else. */
  async function findPlaced({ manifest, version, digest }: Placement): Promise<Placed | null> {
    const name = placedName(manifest.script, version)
    const standing = await readStanding(name, client)
    if (standing === null) return null
    if (!standing.tags.includes(digestTag(digest))) throw occupied(name)
    return { wasThere: true, etag: standing.etag, startupTimeMs: null }
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
      if (there !== null && placement.isBack !== true) return there
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
        async () => (placement.isBack === true ? null : await findPlaced(placement)),
      )
      return answer
    },

    async verify(placement) {
      const { manifest, version } = placement
      const name = placedName(manifest.script, version)
      const standing = await findPlaced(placement)
      if (standing === null) throw notWhole(name, "it is not there")
      if (manifest.mainModule === null) return standing.etag
      const fault = faultOfBindings(manifest, await readBindings(name, client), dispatcherService)
      if (fault !== null) throw notWhole(name, fault)
      return standing.etag
    },

    async look(script, version) {
      await readStanding(placedName(script, version), client)
    },

    async remove(script, version) {
      const path = `${client.scriptPath(placedName(script, version))}?force=true`
      let isFirst = true
      const noteRepetition = async () => {
        isFirst = false
        return null
      }
      try {
        await client.call("delete", path, z.unknown(), {}, noteRepetition)
      } catch (failure) {
        if (!isFirst && failure instanceof Refusal && failure.code === "cloudflare.refused")
          throw refuse("cloudflare.unavailable", { headers: { "retry-after": "5" }, cause: failure })
        if (!saysNotFound(failure)) throw failure
      }
      return isFirst
    },
  }
}

/** At most 8 are allowed, without `,` or `&`. By them a namespace can be read without our registry. */
function tagsOf({ team, version, digest, manifest }: Placement): string[] {
  return [`team-${team}`, `script-${manifest.script}`, `version-${version}`, digestTag(digest)]
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
