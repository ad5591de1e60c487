import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { unstable_readConfig } from "wrangler"
import { BRAKE_PERIOD_S, BRAKE_REPORTS } from "./brake.ts"

const config = fileURLToPath(new URL("../../../wrangler.toml", import.meta.url))

it.each([undefined, "staging", "sandbox", "monthly"])("counts what the binding of environment %s counts", (env) => {
  const { ratelimits } = unstable_readConfig({ config, ...(env === undefined ? {} : { env }) }, { hideWarnings: true })
  expect(ratelimits).toMatchObject([{ name: "BRAKE", simple: { limit: BRAKE_REPORTS, period: BRAKE_PERIOD_S } }])
})
