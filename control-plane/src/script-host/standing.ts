/** What stands in the namespace under a name, read from Cloudflare and held against what was placed. */
import { z } from "zod"
import type { Manifest, ManifestBinding } from "../../../contracts/manifest.ts"
import { saysNotFound } from "./classify-failure.ts"
import type { CloudflareClient } from "./cloudflare-client.ts"

export interface Standing {
  readonly etag: string | null
  readonly tags: readonly string[]
}

/** Of GET …/scripts/{name}. A deleted script can still be answered with 200 and no script. */
const found = z
  .object({
    script: z.object({ etag: z.string().nullish(), tags: z.array(z.string()).nullish() }).nullish(),
  })
  .nullable()
/** With what each is bound to, as far as Cloudflare shows it. */
const bindingList = z.array(
  z.looseObject({
    type: z.string(),
    name: z.string(),
    service: z.string().optional(),
    entrypoint: z.string().nullish(),
  }),
)
export type ShownBinding = z.output<typeof bindingList>[number]

/** Null when there is no such script. Throws `cloudflare.*`. */
export async function readStanding(name: string, client: CloudflareClient): Promise<Standing | null> {
  try {
    const script = (await client.call("get", client.scriptPath(name), found))?.script ?? null
    return script === null ? null : { etag: script.etag ?? null, tags: script.tags ?? [] }
  } catch (failure) {
    if (saysNotFound(failure)) return null
    throw failure
  }
}

export function readBindings(name: string, client: CloudflareClient): Promise<ShownBinding[]> {
  return client.call("get", `${client.scriptPath(name)}/bindings`, bindingList)
}

/** The tag by which a placed version says of what content it is. */
export function digestTag(digest: string): string {
  return `digest-${digest}`
}

/** By name and type; in words, or null. */
export function faultOfBindings(
  manifest: Manifest,
  shown: readonly ShownBinding[],
  dispatcherService: string,
): string | null {
  const platform = shown.find((each) => each.name === "PLATFORM")
  if (platform?.type !== "service" || platform.service !== dispatcherService)
    return "its PLATFORM binding is missing or leads elsewhere"
  const expected = manifest.bindings.filter((each) => !shown.some((other) => isSame(each, other)))
  if (expected.length > 0) return `bindings are missing: ${expected.map((each) => each.name)}`
  return shown.length === manifest.bindings.length + 1 ? null : "it has bindings that nobody declared"
}

function isSame(a: ManifestBinding, b: ShownBinding): boolean {
  return a.name === b.name && a.type === b.type
}
