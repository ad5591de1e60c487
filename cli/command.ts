/** What all commands share: how one is declared, how it reaches the control plane, and the parsers of its options. */
import { Command, InvalidArgumentError } from "commander"
import type { z } from "zod"
import { ApiClient } from "./api-client.ts"
import { connection, originOf } from "./configuration.ts"
import type { Io } from "./io.ts"

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: true
}
export interface ListOptions extends CommonOptions {
  readonly limit: number
}
export interface ChangeOptions extends CommonOptions {
  readonly message?: string
}

/** A command with `--json` and, in its help, an example that can be pasted. */
export function commandOf(name: string, about: string, ...examples: string[]): Command {
  return new Command(name)
    .description(about)
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n${examples.map((each) => `  $ sallyport ${each}\n`).join("")}`)
}

export function listCommandOf(name: string, about: string, ...examples: string[]): Command {
  return commandOf(name, about, ...examples).option("--limit <n>", "at most so many", positive, 100)
}

/** A command whose change is kept in the audit with a reason. */
export function changeCommandOf(name: string, about: string, ...examples: string[]): Command {
  return commandOf(name, about, ...examples).option("-m, --message <text>", "why; kept in the audit")
}

export function apiOf(io: Io): ApiClient {
  return new ApiClient(connection(io.env), io.fetch)
}

/** The reason as the API wants it: absent rather than undefined. */
export function messageOf({ message }: ChangeOptions): { message?: string } {
  return message === undefined ? {} : { message }
}

export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("It must be a whole number from 1.")
  return value
}

/** The reason as the query of an operation without a body of its own: `?message=…`, or nothing. With `--dry-run`, that it is one. */
export function messageQuery({ message, dryRun }: ChangeOptions & { readonly dryRun?: true }): string {
  const query = new URLSearchParams(message === undefined ? {} : { message })
  if (dryRun) query.set("dry_run", "true")
  return query.size === 0 ? "" : `?${query}`
}

/** The first items, as many as `--limit` says. That there are more is said on standard error: beside the answer of a program, too. */
export async function listed<T>(
  path: string,
  item: z.ZodType<T>,
  { limit }: ListOptions,
  io: Io,
  more = (larger: number) => `More exist: --limit ${larger} shows more of them.`,
): Promise<T[]> {
  const { items, hasMore } = await apiOf(io).list(path, item, limit)
  if (hasMore) io.err(`${more(limit * 10)}\n`)
  return items
}

/** For options that may be given several times. `before` is false after the option that takes all away. */
export function collect(value: string, before: readonly string[] | boolean | undefined): string[] {
  return [...(Array.isArray(before) ? before : []), value]
}

/** One path segment, safe whatever the name holds. */
export function segment(name: string): string {
  return encodeURIComponent(name)
}

/** A change that `--wait` follows to the edge. */
export function waitCommandOf(name: string, about: string, ...examples: string[]): Command {
  return changeCommandOf(name, about, ...examples)
    .option("--wait", "wait until the edge has it in force")
    .option("--timeout <s>", "seconds to wait at most", positive, 30)
    .option("--edge <url>", "where the edge is, for --wait", (url: string) => originOf(url))
}

const DAY_S = 86_400

/** The part of a body that says how long something is valid; without a number nothing. */
export function validFor(days: number | undefined): { readonly expiresInS?: number } {
  return days === undefined ? {} : { expiresInS: days * DAY_S }
}
