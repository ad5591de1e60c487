/**
 * Names of scripts and of their versions in the dispatch namespace.
 * Publishing never overwrites: version 12 of script `files` is the namespace script `files--v12`.
 * Everyone who builds or reads such a name does it here.
 */

/** 1–48 of a–z, 0–9 and single dashes, beginning with a letter, not ending in a dash. */
const SCRIPT_NAME = /^[a-z](?:-?[a-z0-9]){0,47}$/
const PLACED_NAME = /^([a-z](?:-?[a-z0-9]){0,47})--v([1-9][0-9]{0,8})$/

/** Platform Workers carry this prefix; `wrangler deploy --dispatch-namespace` also touches the *account* Worker of the same name, so no team script may. */
export const PLATFORM_PREFIX = "sallyport"

/** True when `name` may be a team's script: the grammar above, and not a platform name. Double dashes are excluded, so a placed name is never a script name. */
export function isScriptName(name: string): boolean {
  return name.length <= 48 && SCRIPT_NAME.test(name) && !name.startsWith(PLATFORM_PREFIX)
}

/** The namespace script that holds one version: `placedName("files", 12)` is `"files--v12"`. `version` is an integer ≥ 1. */
export function placedName(script: string, version: number): string {
  return `${script}--v${version}`
}

/** The reverse of {@link placedName}; null when `name` is not a placed version. */
export function parsePlacedName(name: string): { script: string; version: number } | null {
  const match = PLACED_NAME.exec(name)
  if (match?.[1] === undefined || match[2] === undefined || !isScriptName(match[1])) return null
  return { script: match[1], version: Number(match[2]) }
}
