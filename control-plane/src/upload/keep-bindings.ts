/**
 * What an upload takes over from the version before: wrangler sends no secret twice, but asks with `keep_bindings` that those which are there stay, and with
 * `inherit` that one must be. A version is complete all the same: what is kept stands in its own manifest, sealed as it was. Pure; called by screen-metadata.ts.
 */
import { z } from "zod"
import type { ManifestBinding } from "../../../contracts/manifest.ts"

/** Kinds that wrangler asks to keep: secrets always, variables with `--keep-vars`. Never a resource: what a version may reach it declares itself. */
export const keepBindings = z
  .array(
    z.enum(
      ["secret_text", "secret_key", "plain_text", "json"],
      "only secrets and variables are kept; declare every other binding in each upload",
    ),
  )
  .max(64)

/** True when an upload may take something over, so that the version before has to be looked at. */
export function asksToKeep({ keep_bindings, bindings }: Readonly<Record<string, unknown>>): boolean {
  const isAsked = (list: unknown) => Array.isArray(list) && list.length > 0
  return isAsked(keep_bindings) || (Array.isArray(bindings) && bindings.some((each) => each?.type === "inherit"))
}

/** Those of `earlier` that are of a kind to keep and of no name that the upload gives to something else. */
export function keptOf(
  earlier: readonly ManifestBinding[],
  kinds: readonly string[],
  declared: readonly ManifestBinding[],
): ManifestBinding[] {
  const taken = new Set(declared.map((each) => each.name))
  return earlier.filter(({ type, name }) => kinds.includes(type) && !taken.has(name))
}

/** The secret that `{ type: "inherit", name }` means, or null. */
export function inheritedSecret(declared: object, earlier: readonly ManifestBinding[]): ManifestBinding | null {
  const { name, ...rest } = declared as { name?: unknown; type?: unknown }
  if (Object.keys(rest).length !== 1) return null
  return earlier.find((each) => each.name === name && each.type === "secret_text") ?? null
}
