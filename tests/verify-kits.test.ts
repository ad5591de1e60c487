/**
 * The verify kits that backends copy come to the published verdict on every vector: Node's always, the others' where their runtime is on the machine.
 * What is skipped is said in the test's name.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { vectorsDocument } from "../scripts/write-verify-vectors.ts"
import { ROOT } from "./harness.ts"

const KITS = path.join(ROOT, "docs", "verify")
const VECTORS = path.join(KITS, "vectors.json")
const target = mkdtempSync(path.join(tmpdir(), "sallyport-verify-"))
afterAll(() => rmSync(target, { recursive: true }))

const { vectors } = JSON.parse(readFileSync(VECTORS, "utf8")) as { vectors: { name: string; valid: boolean }[] }

interface Kit {
  readonly name: string
  /** Ends with 0 where the kit can run. */
  readonly probe: readonly [string, ...string[]]
  readonly needs: string
  run(): string
}

const run = (command: string, args: readonly string[], cwd = ROOT) =>
  execFileSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...CACHES },
    stdio: ["ignore", "pipe", "pipe"],
  })
/** Nothing is left in the repository or in anybody's home. */
const CACHES = { GOCACHE: path.join(target, "go"), GOFLAGS: "-mod=mod", PYTHONDONTWRITEBYTECODE: "1" }

const others: readonly Kit[] = [
  {
    name: "python",
    probe: ["python3", "-c", "import cryptography"],
    needs: "python3 with cryptography",
    run: () => run("python3", [path.join(KITS, "python", "run_vectors.py"), VECTORS]),
  },
  {
    name: "java",
    probe: ["javac", "-version"],
    needs: "a JDK",
    run() {
      const sources = ["PassportVerifier.java", "RunVectors.java"].map((file) => path.join(KITS, "java", file))
      run("javac", ["-Xlint:all", "-Werror", "--release", "11", "-d", target, ...sources])
      return run("java", ["-cp", target, "RunVectors", VECTORS])
    },
  },
  {
    name: "ruby",
    probe: ["ruby", "-ropenssl", "-e", ""],
    needs: "ruby with openssl",
    run: () => run("ruby", [path.join(KITS, "ruby", "run_vectors.rb"), VECTORS]),
  },
  {
    name: "go",
    probe: ["go", "version"],
    needs: "go",
    run: () => run("go", ["test", "-count=1", "-v", "./..."], path.join(KITS, "go")),
  },
]

const canRun = ({ probe: [command, ...args] }: Kit) => spawnSync(command, args, { stdio: "ignore" }).status === 0

describe("a verify kit comes to the published verdict on every vector", () => {
  const all = `${vectors.length} of ${vectors.length} vectors as they should be`

  it("node", () => {
    expect(run(process.execPath, [path.join(KITS, "node", "run-vectors.ts"), VECTORS])).toContain(`node: ${all}`)
  })

  for (const kit of others)
    if (canRun(kit)) it(kit.name, () => expect(kit.run()).toContain(`${kit.name}: ${all}`))
    else it.skip(`${kit.name}: NOT RUN, because this machine has no ${kit.needs}`)
})

describe("the vectors", () => {
  it("are what the script makes, byte for byte", () => {
    expect(readFileSync(VECTORS, "utf8")).toBe(vectorsDocument())
  })

  it("hold some that are accepted and many that are not, each under a name of its own", () => {
    expect(new Set(vectors.map((vector) => vector.name)).size).toBe(vectors.length)
    expect(vectors.filter((vector) => vector.valid).length).toBeGreaterThanOrEqual(5)
    expect(vectors.filter((vector) => !vector.valid).length).toBeGreaterThanOrEqual(40)
  })
})
