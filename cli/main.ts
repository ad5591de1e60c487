/**
 * All commands under one program, and the one place where a failure becomes text and an exit code. Knows no command's details:
 * each stands in a file of its own under commands/ and talks to the control plane through ApiClient alone.
 */
import { readFileSync } from "node:fs"
import { Command, CommanderError } from "commander"
import { auditList } from "./commands/audit-list.ts"
import { auditVerify } from "./commands/audit-verify.ts"
import { configHistory } from "./commands/config-history.ts"
import { configShow } from "./commands/config-show.ts"
import { deploymentsCreate } from "./commands/deployments-create.ts"
import { deploymentsList } from "./commands/deployments-list.ts"
import { deploymentsStatus } from "./commands/deployments-status.ts"
import { explain } from "./commands/explain.ts"
import { hostnamesDelete } from "./commands/hostnames-delete.ts"
import { hostnamesGet } from "./commands/hostnames-get.ts"
import { hostnamesList } from "./commands/hostnames-list.ts"
import { hostnamesSet } from "./commands/hostnames-set.ts"
import { init } from "./commands/init.ts"
import { keysList } from "./commands/keys-list.ts"
import { keysRollback } from "./commands/keys-rollback.ts"
import { keysRotate } from "./commands/keys-rotate.ts"
import { login } from "./commands/login.ts"
import { noticesList } from "./commands/notices-list.ts"
import { passportInspect } from "./commands/passport-inspect.ts"
import { ping } from "./commands/ping.ts"
import { pinsCreate } from "./commands/pins-create.ts"
import { policyGet } from "./commands/policy-get.ts"
import { policySet } from "./commands/policy-set.ts"
import { revocationsCreate } from "./commands/revocations-create.ts"
import { revocationsList } from "./commands/revocations-list.ts"
import { rollback } from "./commands/rollback.ts"
import { routesDelete } from "./commands/routes-delete.ts"
import { routesGet } from "./commands/routes-get.ts"
import { routesList } from "./commands/routes-list.ts"
import { routesSet } from "./commands/routes-set.ts"
import { scriptsDelete } from "./commands/scripts-delete.ts"
import { scriptsGet } from "./commands/scripts-get.ts"
import { scriptsList } from "./commands/scripts-list.ts"
import { scriptsSet } from "./commands/scripts-set.ts"
import { serviceAccountsDelete } from "./commands/service-accounts-delete.ts"
import { serviceAccountsGet } from "./commands/service-accounts-get.ts"
import { serviceAccountsCreateKey, serviceAccountsDeleteKey } from "./commands/service-accounts-keys.ts"
import { serviceAccountsList } from "./commands/service-accounts-list.ts"
import { serviceAccountsSet } from "./commands/service-accounts-set.ts"
import { status } from "./commands/status.ts"
import { teamsDelete } from "./commands/teams-delete.ts"
import { teamsGet } from "./commands/teams-get.ts"
import { teamsList } from "./commands/teams-list.ts"
import { teamsSet } from "./commands/teams-set.ts"
import { tokensCreate } from "./commands/tokens-create.ts"
import { tokensList } from "./commands/tokens-list.ts"
import { tokensRevoke } from "./commands/tokens-revoke.ts"
import { versionsList } from "./commands/versions-list.ts"
import { versionsUpload } from "./commands/versions-upload.ts"
import { versionsView } from "./commands/versions-view.ts"
import { whoami } from "./commands/whoami.ts"
import { type ExitCode, Failure, renderFailure } from "./failure.ts"
import type { Io } from "./io.ts"

/** Makes a command; `finish` lets it end with another code than 0. */
export type MakeCommand = (io: Io, finish: (code: ExitCode) => void) => Command

const SINGLE: readonly MakeCommand[] = [login, whoami, ping, status, init, explain, rollback]

const NOUNS: Readonly<Record<string, { about: string; verbs: readonly MakeCommand[] }>> = {
  teams: { about: "teams, their grants and where they may call", verbs: [teamsList, teamsGet, teamsSet, teamsDelete] },
  tokens: { about: "API tokens of teams and of ops", verbs: [tokensList, tokensCreate, tokensRevoke] },
  scripts: { about: "scripts and their settings", verbs: [scriptsList, scriptsGet, scriptsSet, scriptsDelete] },
  versions: { about: "immutable versions of a script", verbs: [versionsList, versionsView, versionsUpload] },
  deployments: {
    about: "which versions of a script receive traffic",
    verbs: [deploymentsList, deploymentsStatus, deploymentsCreate],
  },
  routes: {
    about: "which hostname and path lead to which script",
    verbs: [routesList, routesGet, routesSet, routesDelete],
  },
  notices: { about: "what is in force and may not be meant", verbs: [noticesList] },
  hostnames: {
    about: "hostnames and who may attach routes",
    verbs: [hostnamesList, hostnamesGet, hostnamesSet, hostnamesDelete],
  },
  policy: { about: "what ops decide for the whole edge", verbs: [policyGet, policySet] },
  pins: { about: "signed requests for one version", verbs: [pinsCreate] },
  keys: { about: "the keys that sign passports", verbs: [keysList, keysRotate, keysRollback] },
  passport: { about: "what the gateway says of a caller", verbs: [passportInspect] },
  revocations: { about: "what is refused although it has not expired", verbs: [revocationsList, revocationsCreate] },
  "service-accounts": {
    about: "what machines call with",
    verbs: [
      ...[serviceAccountsList, serviceAccountsGet, serviceAccountsSet, serviceAccountsDelete],
      ...[serviceAccountsCreateKey, serviceAccountsDeleteKey],
    ],
  },
  config: { about: "the published dispatch config", verbs: [configShow, configHistory] },
  audit: { about: "the record of every change", verbs: [auditList, auditVerify] },
}

/** Runs one command line; writes only through `io`. `argv` without node and script. */
export async function main(argv: readonly string[], io: Io): Promise<ExitCode> {
  let exitCode: ExitCode = 0
  const program = programOf(io, (code) => {
    exitCode = code
  })
  try {
    if (argv.length === 0) program.outputHelp()
    else await program.parseAsync(argv, { from: "user" })
    return exitCode
  } catch (thrown) {
    // Help and usage errors were written by commander itself.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 1
    if (!(thrown instanceof Failure)) throw thrown
    io.err(renderFailure(thrown, argv.includes("--json")))
    return thrown.exitCode
  }
}

function programOf(io: Io, finish: (code: ExitCode) => void): Command {
  const program = new Command("sallyport")
    .description("Publishes, deploys and routes Workers through a Sallyport control plane.")
    .version(versionOfPackage(), "-v, --version", "print the version")
  for (const make of SINGLE) program.addCommand(make(io, finish))
  for (const [noun, { about, verbs }] of Object.entries(NOUNS)) {
    const parent = new Command(noun).description(about)
    for (const make of verbs) parent.addCommand(make(io, finish))
    program.addCommand(parent)
  }
  program.addHelpText(
    "after",
    `
Environment: SALLYPORT_API_URL, SALLYPORT_TOKEN and SALLYPORT_EDGE_URL win over what \`sallyport login\` stored.
Exit codes:  0 done, 1 not done, 2 done but the answer wants attention.
`,
  )
  for (const command of everyCommand(program))
    command
      .exitOverride()
      .showHelpAfterError("(add --help for an example)")
      .configureOutput({
        writeOut: io.out,
        writeErr: io.err,
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
  return program
}

function versionOfPackage(): string {
  return String(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version)
}

/** Every command with all that lie below it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}
