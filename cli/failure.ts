/** How a command ends when it cannot do what was asked: what was wrong, where, what to do, and the request id to quote. */

/** 0: done. 1: not done. 2: done, and the answer wants attention (a broken chain, a change that is recorded or made and not known to be in force, an explanation that ends in a problem). */
export type ExitCode = 0 | 1 | 2

export interface FailureDetails {
  /** Such as `PUT http://127.0.0.1:8788/v1/teams/web`, or a file. */
  readonly where?: string
  readonly why?: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
  readonly fix: string
  /** Problem code, where the control plane gave one. */
  readonly code?: string
  readonly requestId?: string
  readonly exitCode?: ExitCode
}

export class Failure extends Error {
  override readonly name = "Failure"
  readonly details: FailureDetails

  constructor(what: string, details: FailureDetails) {
    super(what)
    this.details = details
  }

  get exitCode(): ExitCode {
    return this.details.exitCode ?? 1
  }
}

/** Several lines for a person, or one line of JSON. */
export function renderFailure({ message, details }: Failure, json: boolean): string {
  const { exitCode: _exitCode, ...rest } = details
  if (json) return `${JSON.stringify({ error: message, ...rest })}\n`
  const lines = [`error: ${message}${details.code === undefined ? "" : ` (${details.code})`}`]
  if (details.where !== undefined) lines.push(`  at          ${details.where}`)
  if (details.why !== undefined) lines.push(`  why         ${details.why}`)
  for (const { pointer, detail } of details.errors ?? []) lines.push(`  ${pointer || "/"}: ${detail}`)
  lines.push(`  do          ${details.fix}`)
  if (details.requestId !== undefined) lines.push(`  request id  ${details.requestId}`)
  return `${lines.map(printable).join("\n")}\n`
}

/** What was thrown, and why, as part of a sentence. Throws on what is no Failure: a bug is not to be waited for. */
export function inOneLine(thrown: unknown): string {
  if (!(thrown instanceof Failure)) throw thrown
  const { why } = thrown.details
  return why === undefined ? thrown.message : `${thrown.message} (${why})`
}

/** Text from elsewhere without what could steer the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "�")
}
