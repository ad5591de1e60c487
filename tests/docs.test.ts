/** Documents that repeat what code says are held to it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { problemsDocument } from "../scripts/write-problems.ts"
import { FOLDERS, KIT_PARTS, KIT_SHARED, TOP_FOLDERS } from "./boundaries/rules.ts"
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

describe("who may import what", () => {
  it("is the same in docs/architecture.md as in tests/boundaries/rules.ts", () => {
    const [, table = ""] = /## Who may import what\n\n((?:\|.*\n)+)/.exec(read("docs/architecture.md")) ?? []
    const rows = [...table.matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm)].slice(1)
    const listed = rows.flatMap(([, folders = "", may = ""]) =>
      folders.split(", ").map((folder) => `${folder}: ${may}`),
    )
    const rules = [
      ...Object.entries(FOLDERS).map(([folder, { may }]) => `${folder}: ${may.join(", ") || "nothing"}`),
      ...TOP_FOLDERS.map((folder) => `${folder}: anything; nothing imports them`),
    ]
    expect(listed.toSorted()).toEqual(rules.toSorted())
  })

  it("is the same between files of the kit in kit/README.md", () => {
    const [, sentence = ""] =
      /a helper imports contracts,\s([\s\S]*?)never another helper/.exec(read("kit/README.md")) ?? []
    const [shared = "", parts = ""] = sentence.split(";")
    const names = (text: string) => [...text.matchAll(/`([\w-]+\.ts)`/g)].map(([, name]) => `kit/${name}`)
    expect(names(shared).toSorted()).toEqual(KIT_SHARED.toSorted())
    expect(names(parts)).toEqual(Object.entries(KIT_PARTS).flat())
  })
})

describe("kit/README.md", () => {
  it("has a row for every file of the kit, and no other", () => {
    const rows = [...read("kit/README.md").matchAll(/^\| `([\w-]+\.ts)`/gm)].map(([, name]) => `kit/${name}`)
    const files = trackedFiles("kit/*.ts").filter((file) => /^kit\/[^/.]+\.ts$/.test(file))
    expect(rows.toSorted()).toEqual(files.toSorted())
  })
})

describe("files that are named by their path from the root", () => {
  /** Its trees are made up. */
  const MADE_UP = "tests/boundaries.test.ts"
  const tops = new Set(trackedFiles().map((file) => file.split("/")[0]))
  const namedIn = (text: string) =>
    [...text.matchAll(/(?<![\w@./:-])[\w-]+(?:\/[\w.-]+)+\.(?:md|ts|mjs|js|json)(?!\w)/g)]
      .map(([name]) => name)
      .filter((name) => tops.has(name.split("/")[0]))

  it("exist", () => {
    const files = trackedFiles("*.md", "*.ts", "*.mjs", "*.js", "*.toml", "*.py", "*.rb", "*.go", "*.java")
    const dead = files.flatMap((file) =>
      file === MADE_UP
        ? []
        : namedIn(read(file)).flatMap((name) => (exists(join(ROOT, name)) ? [] : [`${file} → ${name}`])),
    )
    expect(dead).toEqual([])
  })

  it("are told from addresses, packages and what an import names from its own folder", () => {
    const gone = ["docs", "gone.md"].join("/")
    expect(namedIn(`as ${gone} says; \`${gone}\`, (${gone}).`)).toEqual([gone, gone, gone])
    expect(namedIn(`/${gone} ./${gone} @a/${gone} https://example.com/${gone} elsewhere/gone.md ${gone}x`)).toEqual([])
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
