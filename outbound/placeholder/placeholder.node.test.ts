/** What the outbound Worker binds is there before the dispatcher is: the same name, the same entrypoint, in every environment. */
import { readFileSync } from "node:fs"
import { describe, it } from "vitest"
import { unstable_readConfig } from "wrangler"

const configOf = (config: string, env: string | undefined) =>
  unstable_readConfig({ config, ...(env === undefined ? {} : { env }) }, { hideWarnings: true })

describe("the dispatcher's placeholder", () => {
  for (const env of [undefined, "staging", "sandbox", "monthly"])
    it(`has what the outbound Worker binds in environment ${env}, under the dispatcher's own name`, ({ expect }) => {
      const { services = [] } = configOf("outbound/wrangler.toml", env)
      const { name } = configOf("outbound/placeholder/wrangler.toml", env)
      expect(services).toEqual([{ binding: "EXCHANGE", service: name, entrypoint: "PassportExchange" }])
      expect(name).toBe(configOf("wrangler.toml", env).name)
    })

  it("exports that entrypoint and lets nobody in", ({ expect }) => {
    const source = readFileSync("outbound/placeholder/index.ts", "utf8")
    expect(source).toContain("export class PassportExchange extends WorkerEntrypoint")
    expect(source).toContain("status: 503")
  })
})
