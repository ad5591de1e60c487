/**
 * What is compared: the running platform with the files Worker as its team uploads it, and one bare Worker that passes each PUT on, in a workerd of its own.
 * Both lead to the same store.
 */
import { fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { join } from "node:path"
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare"
import { ROOT } from "../../emulator/build.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { hmacUrl } from "../../kit/hmac-url.ts"
import type { OriginsReady, Sending } from "./protocol.ts"
import { workerdPids } from "./workerd-process.ts"

const HOSTNAME = "storage.procore.com"
const TEAM = "file-storage"
const COMPANY = "100"
const ZONE = "us01"
const LINK_LIFETIME_S = 3_600
const UPLOAD_TIMEOUT_MS = 300_000

export interface Upload {
  readonly sizeBytes: number
  /** Whether the upload service announces the digest; without one nothing looks at the bytes. */
  readonly isChecked: boolean
  /** The store hashes what it gets. */
  readonly isHashed: boolean
}

export interface Arms extends AsyncDisposable {
  /** Process ids of the workerd of each; null where they cannot be read. */
  readonly pids: { readonly platform: number; readonly bare: number } | null
  /** Dispatcher → files → store. */
  throughFiles(upload: Upload): Promise<Sending>
  /** Bare Worker → store. */
  bare(upload: Upload): Sending
}

const BARE_WORKER = `export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url)
    return fetch(new Request(env.STORE + pathname, request))
  },
}`

/** `sha256` of the content of all uploads, hex. */
export async function startArms(sha256: string, say: (line: string) => void): Promise<Arms> {
  await using started = new AsyncDisposableStack()
  const origin = await startOrigins(started, sha256)
  const platform = started.use(asDisposable(await startTestPlatform({ onProgress: say })))
  const [platformPid] = workerdPids()
  const clientKeys = randomBytes(32).toString("base64url")
  await deployFiles(platform, origin, clientKeys)
  const bareOrigin = await startBare(started, origin)
  const barePid = workerdPids().find((pid) => pid !== platformPid)
  const links = hmacUrl({ keys: clientKeys, parameters: ["expires_at", "user_id"] })
  const resources = started.move()
  let count = 0
  const nameOf = ({ sizeBytes, isChecked, isHashed }: Upload) =>
    `${isHashed ? "hash" : "count"}-${isChecked ? "sha256" : "plain"}-${sizeBytes}-${++count}`
  return {
    pids: platformPid === undefined || barePid === undefined ? null : { platform: platformPid, bare: barePid },
    throughFiles: async (upload) => {
      const url = `https://${HOSTNAME}/rest/v2.1/companies/${COMPANY}/uploads/${nameOf(upload)}`
      const expiresAt = String(Math.floor(Date.now() / 1000) + LINK_LIFETIME_S)
      const { pathname, search } = new URL(await links.sign("PUT", url, { expires_at: expiresAt, user_id: "42" }))
      return { origin: platform.edgeUrl, hostname: HOSTNAME, target: pathname + search, sizeBytes: upload.sizeBytes }
    },
    bare: (upload) => ({
      origin: bareOrigin,
      hostname: HOSTNAME,
      target: `/store/${nameOf(upload)}`,
      sizeBytes: upload.sizeBytes,
    }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function asDisposable(platform: TestPlatform): TestPlatform & AsyncDisposable {
  return { ...platform, [Symbol.asyncDispose]: () => platform.dispose() }
}

async function startOrigins(started: AsyncDisposableStack, sha256: string): Promise<string> {
  const child = fork(join(import.meta.dirname, "origins-child.ts"), [sha256])
  started.defer(async () => {
    child.disconnect()
    await once(child, "exit")
  })
  const [ready] = (await once(child, "message")) as [OriginsReady]
  return ready.origin
}

async function startBare(started: AsyncDisposableStack, store: string): Promise<string> {
  const options = {
    host: "127.0.0.1",
    port: 0,
    // Otherwise Miniflare asks the internet for an example of `request.cf`.
    cf: false,
    name: "bare",
    modules: true,
    script: BARE_WORKER,
    compatibilityDate: "2026-10-01",
    bindings: { STORE: store },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  }
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions(options as V4MiniflareOptions),
    log: new Log(LogLevel.ERROR),
  })
  started.defer(() => miniflare.dispose())
  return (await miniflare.unsafeGetDirectURL("bare")).origin
}

/** As its team deploys it: wrangler, with the secrets in a file. */
async function deployFiles(platform: TestPlatform, origin: string, clientKeys: string): Promise<void> {
  const grants = ["zones:read", `audience:fus:${ZONE}`]
  const { audiences, screen } = await policyOf(platform)
  await platform.api.put("/v1/policy/audiences", { ...audiences, [`fus:${ZONE}`]: { origins: [origin] } })
  const size = { mode: "enforce", bodyBytes: 2 ** 31 }
  await platform.api.put("/v1/policy/screen", { ...screen, size })
  await platform.putTeam(TEAM, { grants, egress: [origin] })
  const serviceKeys = randomBytes(32).toString("base64url")
  const path = "/rest/v2.1/companies/*"
  await platform.uploadWorker({
    directory: join(ROOT, "user-workers/files"),
    team: TEAM,
    vars: { STORE_ORIGINS: origin },
    secrets: { URI_INTEGRITY_V2_1_PUT_DECRYPT: clientKeys, URI_INTEGRITY_V2_1_GET_ENCRYPT: serviceKeys },
    route: { hostname: HOSTNAME, path, auth: "none", timeoutMs: UPLOAD_TIMEOUT_MS },
  })
}

async function policyOf(platform: TestPlatform): Promise<Record<"audiences" | "screen", object>> {
  const { policyFor } = await import("../../emulator/example-layout.ts")
  return policyFor(platform) as Record<"audiences" | "screen", object>
}
