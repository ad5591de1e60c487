/** The files that belong to the repository: tracked, or new and not ignored, so that a rule is heard before the commit. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("../..", import.meta.url))

/** Paths from the root with `/`; `patterns` as git understands them. */
export function trackedFiles(...patterns: string[]): string[] {
  const list = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard", "--", ...patterns], {
    cwd: ROOT,
    encoding: "utf8",
  })
  // A file deleted in the work tree is still listed until the deletion is committed.
  return [...new Set(list.split("\0"))].filter((file) => file !== "" && existsSync(join(ROOT, file)))
}

/** Text of a tracked file. */
export function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8")
}
