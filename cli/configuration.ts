/**
 * Where the control plane is and with which token: from the environment, else from the file that `sallyport login` wrote.
 * The stored token goes to the stored URL only, and neither crosses a network unencrypted.
 */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { z } from "zod"
import { Failure } from "./failure.ts"
import type { Io } from "./io.ts"

const stored = z.object({ url: z.string(), token: z.string(), edgeUrl: z.string().optional() })
export type StoredConfiguration = z.output<typeof stored>

export interface Connection {
  /** Origin of the control plane. */
  readonly url: string
  readonly token: string
  /** Origin of the edge, for `--wait`; undefined when nobody said. */
  readonly edgeUrl: string | undefined
}

export function configurationPath(env: Io["env"]): string {
  const base = env.XDG_CONFIG_HOME ?? join(env.HOME ?? homedir(), ".config")
  return env.SALLYPORT_CONFIG ?? join(base, "sallyport", "config.json")
}

/** Where to call and as whom. `SALLYPORT_API_URL`, `SALLYPORT_TOKEN` and `SALLYPORT_EDGE_URL` win over the file. */
export function connection(env: Io["env"]): Connection {
  const file = env.SALLYPORT_API_URL && env.SALLYPORT_TOKEN ? null : readStored(env)
  const url = env.SALLYPORT_API_URL ?? file?.url
  if (url === undefined)
    throw new Failure("No control plane is configured", {
      where: configurationPath(env),
      fix: "Run `sallyport login <url>`, or set SALLYPORT_API_URL and SALLYPORT_TOKEN.",
    })
  const origin = originOf(url)
  const token = env.SALLYPORT_TOKEN ?? (file !== null && originOf(file.url) === origin ? file.token : undefined)
  if (token === undefined)
    throw new Failure(`No token is known for ${origin}`, {
      why: "A stored token is sent only to the control plane that it was stored for.",
      fix: `Set SALLYPORT_TOKEN, or run \`sallyport login ${origin}\`.`,
    })
  const edgeUrl = env.SALLYPORT_EDGE_URL ?? file?.edgeUrl
  return {
    url: origin,
    token: requireToken(token, env.SALLYPORT_TOKEN === undefined ? configurationPath(env) : "SALLYPORT_TOKEN"),
    edgeUrl: edgeUrl === undefined ? undefined : originOf(edgeUrl),
  }
}

/** What can be sent in a header, and so could be a token. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,500}$/.test(text)
}

/** The token, held to its form: `fetch` shows a header that it refuses, and with it the token. `where` it came from. @throws Failure which does not show it. */
export function requireToken(token: string, where: string): string {
  if (isToken(token)) return token
  throw new Failure("That is not a token", {
    where,
    fix: "Give the token alone, as `sallyport tokens create` printed it.",
  })
}

/** The edge that was stored with this control plane; undefined when there was none, or the file is none of `login`'s. */
export function storedEdgeOf(origin: string, env: Io["env"]): string | undefined {
  try {
    const file = readStored(env)
    return file?.edgeUrl !== undefined && originOf(file.url) === origin ? originOf(file.edgeUrl) : undefined
  } catch {
    return undefined
  }
}

/** Writes the file, readable by its owner alone. Returns its path. @throws Failure when that cannot be. */
export function store(configuration: StoredConfiguration, env: Io["env"]): string {
  const path = configurationPath(env)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${JSON.stringify(configuration, null, 2)}\n`, { mode: 0o600 })
    // The mode above counts only for a new file.
    chmodSync(path, 0o600)
  } catch (thrown) {
    throw new Failure(`Cannot write ${path}`, {
      ...(thrown instanceof Error ? { why: thrown.message } : {}),
      fix: "Make the folder one that you may write to, or name another file in SALLYPORT_CONFIG.",
    })
  }
  return path
}

/** The origin of an http(s) URL; plain http for this machine only. */
export function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== "" ||
    url.pathname !== "/" ||
    url.search !== ""
  )
    throw new Failure(`Not the URL of a control plane or edge: ${text}`, {
      fix: "Give scheme, host and port only, such as https://control.example.com or http://127.0.0.1:8788.",
    })
  if (url.protocol === "http:" && !isThisMachine(url.hostname))
    throw new Failure(`Refusing to send a token to ${url.origin} unencrypted`, {
      fix: "Use https; http is for 127.0.0.1 and localhost.",
    })
  return url.origin
}

function isThisMachine(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\./.test(hostname)
}

function readStored(env: Io["env"]): StoredConfiguration | null {
  const path = configurationPath(env)
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch {
    return null
  }
  if (process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0)
    throw new Failure("Others on this machine can read the stored token", { where: path, fix: `chmod 600 ${path}` })
  const parsed = stored.safeParse(jsonOrNull(text))
  if (!parsed.success)
    throw new Failure("The configuration file is not as `sallyport login` writes it", {
      where: path,
      fix: "Run `sallyport login <url>` again.",
    })
  return parsed.data
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
