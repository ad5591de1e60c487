/**
 * `npm run deploy -- --env staging`: the platform's own Workers to Cloudflare, by wrangler, in the order in which they need each other.
 * Teams' Workers are not deployed here: they go through the control plane. docs/deploy.md says what must exist before.
 */
import { parseArgs } from "node:util"
import { runStep, type Step } from "./steps.ts"

const ENVIRONMENTS = ["production", "staging", "sandbox", "monthly"] as const
type Environment = (typeof ENVIRONMENTS)[number]

const HELP = `Deploys the platform's Workers to Cloudflare.

  npm run deploy -- --env staging              revocations, outbound, dispatcher, database migrations, control plane
  npm run deploy -- --env production --dry-run bundle and check only; needs no account
  npm run deploy -- --dry-run                  the same for every environment

Environments: ${ENVIRONMENTS.join(", ")}. wrangler needs CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.`

const { values } = parseArgs({
  options: {
    env: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
})
const chosen = ENVIRONMENTS.filter((name) => values.env === name || (values.env === undefined && values["dry-run"]))
if (values.help || chosen.length === 0) {
  console.log(HELP)
  process.exit(values.help ? 0 : 2)
}
for (const environment of chosen) {
  for (const step of stepsOf(environment, values["dry-run"])) {
    console.log(`\n${step.name}`)
    // What comes later needs what failed.
    if ((await runStep(step)) !== 0) process.exit(1)
  }
}

function stepsOf(environment: Environment, dryRun: boolean): Step[] {
  // The top level of each wrangler.toml is production, which wrangler calls by the empty name.
  const env = `--env=${environment === "production" ? "" : environment}`
  const deploy = (name: string, config: string): Step => ({
    name: `${name} (${environment})`,
    command: ["wrangler", "deploy", "-c", config, env, ...(dryRun ? ["--dry-run"] : [])],
  })
  const migrate: Step = {
    name: `database migrations (${environment})`,
    command: ["wrangler", "d1", "migrations", "apply", "DB", "--remote", "-c", "control-plane/wrangler.toml", env],
  }
  return [
    deploy("revocations", "revocations/wrangler.toml"),
    deploy("outbound", "outbound/wrangler.toml"),
    deploy("dispatcher", "wrangler.toml"),
    ...(dryRun ? [] : [migrate]),
    deploy("control plane", "control-plane/wrangler.toml"),
  ]
}
