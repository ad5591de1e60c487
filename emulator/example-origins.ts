/**
 * What stands behind the edge in the example of `npm start`, beside the cells: three object stores, the file upload service that decides between them, an old and a new
 * document service, the identity provider that people log in with, their mailbox, and the collector of traces. Started by emulator/start.ts; tests start the ones they need themselves.
 */

import { edgeRequest } from "./edge-request.ts"
import { type FileUploadServiceOptions, startFileUploadService } from "./origins/file-upload-service.ts"
import { type IdentityProvider, startIdentityProvider } from "./origins/identity-provider.ts"
import { startLegacyService } from "./origins/legacy-service.ts"
import { startMailbox } from "./origins/mailbox.ts"
import { startNewService } from "./origins/new-service.ts"
import { type OtlpReceiver, startOtlpReceiver } from "./origins/otlp-receiver.ts"
import { startAzureStore } from "./origins/stores/azure-store.ts"
import { startGcsStore } from "./origins/stores/gcs-store.ts"
import type { ObjectStore } from "./origins/stores/object-store.ts"
import { startS3Store } from "./origins/stores/s3-store.ts"
import type { Platform } from "./platform.ts"
import type { OriginPorts } from "./ports.ts"
import type { Secrets } from "./secrets.ts"

/** By this hostname the document services ask the edge for its key set. */
const KEY_SET_HOSTNAME = "app.procore.com"
const STORAGE_URL = "https://storage.procore.com"

/** On it people log in. */
export const LOGIN_HOSTNAME = "app.procore.com"
/** As which the login Worker is known to the identity provider. */
export const LOGIN_CLIENT_ID = "sallyport-login"

/** Origins, each `http://127.0.0.1:<port>`. */
export interface ExampleOrigins {
  readonly fileUpload: string
  readonly stores: Readonly<Record<ObjectStore["kind"], string>>
  readonly legacyService: string
  readonly newService: string
  readonly traces: string
  readonly identityProvider: {
    readonly issuer: string
    readonly jwks: Awaited<ReturnType<IdentityProvider["jwks"]>>
  }
  readonly mailbox: string
  /** Where browsers reach {@link LOGIN_HOSTNAME} of this platform. */
  readonly browserOrigin: string
}

interface Closable {
  close(): Promise<void>
}

type ExampleSecrets = Pick<Secrets, "uploadKeys" | "identityProviderKey" | "loginClientSecret">

/** Everything that needs no platform, so that it starts while the platform does. */
export interface StartedOrigins {
  /** Where every part of the platform sends its spans. */
  readonly traces: OtlpReceiver
  /** The rest, once the platform is there. */
  join(platform: Platform, secrets: ExampleSecrets): Promise<ExampleOrigins>
  /** Also of what is still starting. */
  stop(): Promise<void>
}

/** Rejects when the collector's port is taken; what else cannot start rejects `join`. */
export async function startExampleOrigins(ports: OriginPorts): Promise<StartedOrigins> {
  const traces = await startOtlpReceiver({ port: ports.traces })
  const running: Closable[] = [traces]
  const started = <T extends Closable>(origin: T): T => {
    running.push(origin)
    return origin
  }
  const stores = Promise.all([
    startS3Store({ port: ports.s3 }).then(started),
    startAzureStore({ port: ports.azure }).then(started),
    startGcsStore({ port: ports.gcs }).then(started),
  ])
  // Heard by `join`; without it a failure before would end the process.
  stores.catch(() => undefined)

  return {
    traces,
    join: async (platform, { uploadKeys, identityProviderKey, loginClientSecret }) => {
      const [s3, azure, gcs] = await stores
      const traced = { otlpEndpoint: traces.url }
      const verifier = {
        issuer: platform.passportIssuer,
        edgeUrl: platform.edgeUrl,
        hostname: KEY_SET_HOSTNAME,
        ...traced,
      }
      const uploads = uploadOptions(uploadKeys, { s3, azure, gcs })
      const fileUpload = started(await startFileUploadService({ ...uploads, ...traced, port: ports.fileUpload }))
      const legacyService = started(await startLegacyService({ ...verifier, port: ports.legacyService }))
      const newService = started(await startNewService({ ...verifier, port: ports.newService }))
      const browserOrigin = browserOriginOf(platform)
      const identityProvider = started(
        await startIdentityProvider({
          port: ports.identityProvider,
          privateJwk: identityProviderKey,
          client: { id: LOGIN_CLIENT_ID, secret: loginClientSecret },
          clientOrigins: [browserOrigin],
          backchannelUrl: `${browserOrigin}/login/backchannel-logout`,
          post: (url, form) => postToEdge(platform, url, form),
        }),
      )
      const mailbox = started(await startMailbox({ port: ports.mailbox }))
      return {
        identityProvider: { issuer: identityProvider.issuer, jwks: await identityProvider.jwks() },
        mailbox: mailbox.url,
        browserOrigin,
        fileUpload: fileUpload.url,
        stores: { s3: s3.origin, azure: azure.origin, gcs: gcs.origin },
        legacyService: legacyService.url,
        newService: newService.url,
        traces: traces.url,
      }
    },
    stop: async () => {
      await stores.catch(() => undefined)
      await Promise.all(running.map((origin) => origin.close()))
    },
  }
}

/** Browsers resolve `*.localhost` to this machine, and take cookies with `Secure` from it. */
export function browserOriginOf({ edgeUrl }: Pick<Platform, "edgeUrl">): string {
  return edgeUrl.replace("127.0.0.1", LOGIN_HOSTNAME.replace(/\.com$/, ".localhost"))
}

/** Node resolves no `*.localhost`. */
export function postToEdge({ edgeUrl }: Pick<Platform, "edgeUrl">, url: string, form: string): Promise<Response> {
  const headers = { "content-type": "application/x-www-form-urlencoded" }
  return edgeRequest(edgeUrl, url, { method: "POST", headers, body: form })
}

/** One service for all zones. The company decides the store: 200 has chosen Azure, 300 GCS, everybody else S3. */
function uploadOptions(
  keys: Secrets["uploadKeys"],
  stores: Readonly<Record<ObjectStore["kind"], ObjectStore>>,
): Omit<FileUploadServiceOptions, "port"> {
  const chosen: Readonly<Record<string, ObjectStore>> = { "200": stores.azure, "300": stores.gcs }
  return {
    storageUrl: STORAGE_URL,
    putKeys: [keys.put],
    getKeys: [keys.get],
    storeOf: (company) => chosen[company] ?? stores.s3,
  }
}
