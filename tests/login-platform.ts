/** A platform on which people log in: the login Worker as its team deploys it, the example's identity provider and mailbox, and routes that take sessions. */
import path from "node:path"
import { afterAll } from "vitest"
import { egressOf, LOGIN_IDP, loginIssuer, policyFor, TEAMS } from "../emulator/example-layout.ts"
import { browserOriginOf, type ExampleOrigins, LOGIN_CLIENT_ID, postToEdge } from "../emulator/example-origins.ts"
import { type IdentityProvider, startIdentityProvider } from "../emulator/origins/identity-provider.ts"
import { type Mailbox, startMailbox } from "../emulator/origins/mailbox.ts"
import { loadSecrets } from "../emulator/secrets.ts"
import { createDatabase } from "../emulator/seed.ts"
import type { TestPlatform } from "../emulator/testing.ts"
import { deployWithWrangler, loginArguments } from "../emulator/upload.ts"
import { ROOT, usePlatform } from "./harness.ts"

const TEAM = "identity"

export interface LoginStage {
  readonly provider: IdentityProvider
  readonly mailbox: Mailbox
  /** Where a browser finds app.procore.com. */
  readonly browserOrigin: string
}

/** Call the results inside tests only. */
export function useLoginPlatform(prepare: (platform: TestPlatform) => Promise<void> = async () => {}) {
  let stage: LoginStage | undefined
  const platform = usePlatform({}, async (running) => {
    stage = await setUp(running)
    await prepare(running)
    await running.waitForConfig()
  })
  afterAll(async () => {
    await stage?.provider.close()
    await stage?.mailbox.close()
  })
  return {
    platform,
    stage: () => {
      if (stage === undefined) throw new Error("The platform is up inside tests only")
      return stage
    },
  }
}

async function setUp(platform: TestPlatform): Promise<LoginStage> {
  const browserOrigin = browserOriginOf(platform)
  const { loginClientSecret } = await loadSecrets(platform.stateDir)
  const provider = await startIdentityProvider({
    port: 0,
    client: { id: LOGIN_CLIENT_ID, secret: loginClientSecret },
    clientOrigins: [browserOrigin],
    backchannelUrl: `${browserOrigin}/login/backchannel-logout`,
    post: (url, form) => postToEdge(platform, url, form),
  })
  const mailbox = await startMailbox({ port: 0 })
  const identityProvider = { issuer: provider.issuer, jwks: await provider.jwks() }
  const issuers = policyFor(platform).issuers as object
  await platform.api.put("/v1/policy/issuers", { ...issuers, [LOGIN_IDP]: loginIssuer(identityProvider) })

  const database = await createDatabase(platform, "logins")
  const origins = { traces: provider.issuer, identityProvider, mailbox: mailbox.url, browserOrigin } as ExampleOrigins
  const grants = [...TEAMS.identity, `resource:d1:${database}`]
  await platform.putTeam(TEAM, { grants, egress: egressOf(TEAM, origins) })
  await platform.api.put("/v1/scripts/login", { team: TEAM })
  const options = await loginArguments(platform.stateDir, database, origins)
  const token = await platform.tokenOf(TEAM)
  await deployWithWrangler(platform, token, path.join(ROOT, "user-workers/login"), options)
  await platform.api.put("/v1/hostnames/app.procore.com", { team: TEAM, open: true })
  return { provider, mailbox, browserOrigin }
}
