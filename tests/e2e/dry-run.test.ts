/** Every Worker of the repository bundles and is accepted by wrangler in every environment that its wrangler.toml names. */
import { globSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"
import { experimental_readRawConfig } from "wrangler"
import { runWrangler } from "../../emulator/build.ts"
import { ROOT } from "../harness.ts"

const configs = globSync("{,*/,user-workers/*/}wrangler.toml", { cwd: ROOT })
const cases = configs.toSorted().flatMap((config) => {
  const { rawConfig } = experimental_readRawConfig({ config: path.join(ROOT, config) })
  return ["", ...Object.keys(rawConfig.env ?? {})].map((environment) => [config, environment] as const)
})

it("finds the Workers", () => {
  expect(configs).toEqual(
    expect.arrayContaining([
      "wrangler.toml",
      "outbound/wrangler.toml",
      "control-plane/wrangler.toml",
      "revocations/wrangler.toml",
    ]),
  )
})

it.each(cases)("%s bundles, environment %j", async (config, environment) => {
  const file = path.join(ROOT, config)
  const output = await runWrangler(["deploy", "--dry-run", "-c", file, `--env=${environment}`], {
    cwd: path.dirname(file),
  })
  expect(output).toContain("--dry-run: exiting now.")
  expect(output).not.toMatch(/WARNING/)
})
