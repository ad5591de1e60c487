/** Documents that repeat what code says are held to it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { problemsDocument } from "../scripts/write-problems.ts"
import { ROOT, read, trackedFiles } from "./boundaries/tracked-files.ts"

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

describe("docs/problems.md", () => {
  it("is what scripts/write-problems.ts makes of the codes", () => {
    expect(read("docs/problems.md")).toBe(problemsDocument())
  })
})

describe("docs/dependencies.md", () => {
  const manifest = JSON.parse(read("package.json")) as Manifest
  const packages = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]

  it("explains every package of package.json, and no other", () => {
    const rows = read("docs/dependencies.md").matchAll(/^\| ((?:`[^`]+`(?:, )?)+) \|/gm)
    const listed = [...rows].flatMap(([, names = ""]) => [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
    expect(listed.toSorted()).toEqual(packages.toSorted())
  })

  it("is about exact versions", () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    )
    expect(loose).toEqual([])
  })
})

describe("links", () => {
  const documents = trackedFiles("*.md")

  it("between documents lead to files that exist", () => {
    const dead = documents.flatMap((file) =>
      [...read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)].flatMap(([, target = ""]) =>
        exists(join(ROOT, file, "..", target)) ? [] : [`${file} → ${target}`],
      ),
    )
    expect(dead).toEqual([])
  })

  it("were looked for in more than one document", () => {
    expect(documents.length).toBeGreaterThan(5)
  })
})

function exists(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EISDIR"
  }
}
