import { type Command, InvalidArgumentError } from "commander"
import { revocationsCreated } from "../../contracts/api-identity.ts"
import { type RevocationTarget, revocation } from "../../contracts/revocation.ts"
import { handleOf, SESSION_COOKIE, sessionHandle } from "../../contracts/session.ts"
import { toFaults } from "../../contracts/to-faults.ts"
import { apiOf, type ChangeOptions, changeCommandOf, commandOf } from "../command.ts"
import { refuseKeyThatSigns, slipIn } from "../doubtful-targets.ts"
import { Failure } from "../failure.ts"
import type { Io } from "../io.ts"
import { printJson } from "../print.ts"

interface Options extends ChangeOptions {
  readonly before?: number
  readonly dryRun?: true
  readonly yes?: true
}

/** One command per kind of target, since each is named in its own way. What is revoked stays so: there is no command that takes it back. */
export function revocationsCreate(io: Io): Command {
  const parent = commandOf(
    "create",
    "revoke, for ever; in force within seconds",
    "revocations create subject corp alice -m 'laptop lost, incident 42'",
  )
  const send = (target: RevocationTarget, options: Options) => revoke(target, { ...parent.opts(), ...options }, io)
  const example = (rest: string) => `revocations create ${rest} -m 'laptop lost, incident 42'`
  const kind = (name: string, about: string, ...examples: string[]) => {
    const command = changeCommandOf(name, about, ...examples).option("--dry-run", "check it, and revoke nothing")
    parent.addCommand(command)
    return command
  }
  const timed = (command: Command) =>
    command.option(
      "--before <time>",
      "what was made until then, such as 2026-11-20T10:00Z; without it, until now",
      time,
    )

  kind(
    "session",
    "one session, by its handle; by its cookie on standard input with -",
    example("session 1lTcq…"),
    "revocations create session - -m 'cookie in a log' < cookie.txt",
  )
    .argument("<handle>")
    .action(async (handle: string, options: Options) => {
      const session = handle === "-" ? await handleOfCookie(await io.readStdin()) : requireHandle(handle)
      await send({ kind: "session", session }, options)
    })
  timed(kind("subject", "all sessions and tokens of one subject", example("subject corp alice")))
    .argument("<idp>", "id of the identity provider among `policy get issuers`")
    .argument("<subject>", "the subject as the provider names it")
    .action((idp: string, subject: string, options: Options) => send({ kind: "subject", idp, subject }, options))
  timed(kind("company", "everything that is bound to one company", example("company 100")))
    .argument("<company>")
    .action((company: string, options: Options) => send({ kind: "company", company }, options))
  kind(
    "key",
    "whatever one key of an issuer signed; the issuer `passports` is the gateway itself",
    example("key corp 2026-11"),
  )
    .argument("<idp>")
    .argument("<kid>")
    .option("--yes", "although it is the key that signs")
    .action((idp: string, kid: string, options: Options) => send({ kind: "key", idp, kid }, options))
  timed(kind("everything", "every session and token of everybody", `${example("everything")} --yes`))
    .option("--yes", "really do it")
    .action(async (options: Options) => {
      if (options.yes !== true && options.dryRun !== true)
        throw new Failure(
          "Nothing was revoked: everybody would have to log in again, and every service get new tokens",
          {
            fix: "Add --yes to do it; `subject`, `company` and `key` revoke less.",
          },
        )
      await send({ kind: "everything" }, options)
    })
  return parent
}

async function revoke(target: RevocationTarget, options: Options, io: Io): Promise<void> {
  if (options.message === undefined)
    throw new Failure("Say why", {
      fix: "Add -m 'laptop lost, incident 42': it is kept with the revocation and in the audit, and never shown to who is meant.",
    })
  const before = options.before === undefined ? {} : { beforeMs: options.before }
  const parsed = revocation.safeParse({ target, reason: options.message, ...before })
  if (!parsed.success)
    throw new Failure(`That is not a ${target.kind} that can be revoked`, {
      errors: toFaults(parsed.error),
      fix: "Correct what is named; --help has an example.",
    })
  const path = `/v1/revocations${options.dryRun ? "?dry_run=true" : ""}`
  const api = apiOf(io)
  if (options.yes !== true) await refuseKeyThatSigns(target, api, io)
  const { value } = await api.postOnce(path, revocationsCreated, { body: [parsed.data] }, io.clock.sleep)
  const what = describe(target, options.before)
  if (options.json) printJson(io, value)
  else if (options.dryRun) io.out(`Would revoke ${what}\n`)
  else io.out(`Revoked ${what} (entry ${value.seq}); the edge refuses it within ${value.boundMs / 1000} s\n`)
  const slip = await slipIn(target, api, io)
  if (slip !== null) io.err(`${slip}\n`)
}

function describe(target: RevocationTarget, beforeMs: number | undefined): string {
  const until = beforeMs === undefined ? "" : `, what was made until ${new Date(beforeMs).toISOString()}`
  return `${Object.values(target).join(" ")}${until}`
}

/** The handle, from the cookie's value or the whole `name=value`: a leaked cookie can be revoked by who holds nothing else. It never leaves this machine. */
async function handleOfCookie(text: string): Promise<string> {
  const value = text.trim().replace(`${SESSION_COOKIE}=`, "")
  const [id = "", ...rest] = value.split(".")
  if (rest.length !== 2 || !sessionHandle.safeParse(id).success)
    throw new Failure("Standard input holds no session cookie", {
      fix: `Give the value of ${SESSION_COOKIE}: three parts with dots between.`,
    })
  return handleOf(id)
}

function requireHandle(text: string): string {
  if (sessionHandle.safeParse(text).success) return text
  throw new Failure("That is not the handle of a session", {
    ...(text.includes(".")
      ? { why: "It looks like the cookie itself, which is a secret; now it is in your shell's history." }
      : {}),
    fix: "A handle has 43 characters: it is the claim `sid` of a passport, and in the list of the sessions Worker. Give a cookie on standard input: `… session - < file`.",
  })
}

function time(text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  const day = text.slice(0, "2026-11-20".length)
  // Date.parse takes 31 February for 3 March, and what was made in between would be revoked.
  if (Number.isNaN(ms) || new Date(Date.parse(day)).toISOString().slice(0, day.length) !== day)
    throw new InvalidArgumentError("It must be a time with its zone, such as 2026-11-20T10:00:00Z.")
  return ms
}
