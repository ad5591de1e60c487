import { existsSync } from "node:fs"
import { cloudflareTest } from "@cloudflare/vitest-pool-workers"
import { defineConfig } from "vitest/config"

/** One project per Worker, each in workerd with that Worker's own wrangler.toml; `node` for what runs in Node. */
const workers = [
  "dispatcher",
  "outbound",
  "control-plane",
  "revocations",
  "emulator",
  "emulator/cloudflare-api",
  "user-workers/router",
  "user-workers/gateway",
  "user-workers/pages",
  "user-workers/ecrion",
  "user-workers/files",
  "user-workers/login",
  "user-workers/sessions",
] as const

/** Those of the kit's tests that need a database, or an isolate of their own because they change what it has one of, run where there is one. */
const OF_ECRION = ["kit/scoreboard.test.ts", "kit/stored-document.test.ts", "kit/tracing.test.ts", "kit/flags.test.ts"]

/**
 * Here all files share an isolate: a new one for each, and all modules anew in it, was two thirds of what these tests cost. Only where no file leaves anything behind for
 * the next: no keys that a Worker remembers, no storage that is not emptied first (control-plane/test/harness.ts). tests/setup/as-it-was.ts holds timers, spies, stubs and fetch.
 */
const SHARED_ISOLATE: readonly string[] = ["dispatcher", "control-plane"]

export default defineConfig({
  test: {
    // Whole platforms start in these, and half of their time they wait: three at a time keep two cores busy. More would only make each other late.
    maxWorkers: 3,
    projects: [
      ...workers
        .filter((folder) => existsSync(configPath(folder)))
        .map((folder) => ({
          plugins: [
            cloudflareTest({
              wrangler: { configPath: configPath(folder) },
              remoteBindings: false,
              miniflare: { workers: neighbours(folder) },
            }),
          ],
          test: {
            name: folder.replace("/", "-"),
            include: include(folder),
            exclude: exclude(folder),
            isolate: !SHARED_ISOLATE.includes(folder),
            setupFiles: ["tests/setup/as-it-was.ts"],
            // Only to end what hangs: on a busy machine thousands of made-up requests take longer than the usual five seconds.
            testTimeout: 120_000,
          },
        })),
      {
        test: {
          name: "node",
          // One process for many files: each would load Miniflare, wrangler and all else anew, a fifth of what these tests cost.
          isolate: false,
          setupFiles: ["tests/setup/short-idle-connections.ts", "tests/setup/no-credential-downstream.ts"],
          include: ["**/*.node.test.ts", "tests/**/*.test.ts", "cli/**/*.test.ts"],
          exclude: ["node_modules/**"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})

function configPath(folder: (typeof workers)[number]): string {
  if (folder === "dispatcher") return "./wrangler.toml"
  return folder === "emulator" ? "./emulator/vitest.wrangler.toml" : `./${folder}/wrangler.toml`
}

/** Workers that service bindings lead to, as fixtures that speak the real protocol. */
function neighbours(folder: (typeof workers)[number]) {
  const fixture = (name: string, scriptPath: string) => ({
    name,
    modules: true,
    scriptPath,
    compatibilityDate: "2026-10-01",
  })
  const revocations = {
    ...fixture("sallyport-revocations", "./revocations/test/revocations-fixture.mjs"),
    durableObjects: { RELAYS: { className: "RevocationRelay", useSQLite: true } },
  }
  if (folder === "dispatcher") return [revocations]
  if (folder === "outbound") return [fixture("sallyport-dispatcher", "./outbound/test/dispatcher-fixture.mjs")]
  if (folder !== "control-plane") return []
  return [fixture("sallyport-dispatcher", "./control-plane/test/dispatcher-fixture.mjs"), revocations]
}

function exclude(folder: (typeof workers)[number]): string[] {
  return folder === "dispatcher" ? ["**/*.node.test.ts", ...OF_ECRION] : ["**/*.node.test.ts"]
}

/** contracts and kit run inside the dispatcher's runtime: they have none of their own. */
function include(folder: (typeof workers)[number]): string[] {
  if (folder === "user-workers/ecrion") return [`${folder}/**/*.test.ts`, ...OF_ECRION]
  return folder === "dispatcher"
    ? ["dispatcher/**/*.test.ts", "contracts/**/*.test.ts", "kit/**/*.test.ts"]
    : [`${folder === "emulator" ? "emulator/namespace" : folder}/**/*.test.ts`]
}
