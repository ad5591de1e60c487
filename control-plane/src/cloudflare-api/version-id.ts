/**
 * The id that wrangler prints after an upload: `Current Version ID: 00000012-…`. Wrangler wants 32 hex digits; ours are the version's number,
 * readable in decimal, and the beginning of its digest.
 */

/** `version` is an integer from 1 to 99 999 999. */
export function versionIdOf(version: number, digest: string): string {
  return String(version).padStart(8, "0") + digest.slice(0, 24)
}
