/**
 * Azure Blob Storage: the real Azurite in a process and a temporary folder of its own, reached by SAS URLs that Azure's own library makes.
 * A SAS covers the blob, the permissions and the time, not the method's other headers, and Azure knows MD5 but no SHA-256.
 */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import {
  BlobSASPermissions,
  BlobServiceClient,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob"
import type { ObjectStore, StoreOptions } from "./object-store.ts"
import { startUploadFront } from "./upload-front.ts"

const ACCOUNT = "sallyport"
const CONTAINER = "uploads"
const AZURITE = createRequire(import.meta.url).resolve("azurite/dist/src/blob/main.js")
/** Azurite itself would go on for ever when whoever started it is killed outright: the end of its input tells, and nobody else is left to take its folder away. It is no reason to stay, either. */
const UNTIL_PARENT_ENDS = `
const end = () => {
  require("node:fs").rmSync(process.cwd(), { recursive: true, force: true })
  process.exit()
}
process.stdin.resume().once("end", end).unref()
require(${JSON.stringify(AZURITE)})
`

/** Starts Azurite behind a port of 127.0.0.1, without telemetry; takes some seconds. Rejects when it ends before it listens. */
export async function startAzureStore({ port = 0, now = Date.now }: StoreOptions = {}): Promise<ObjectStore> {
  const folder = await mkdtemp(path.join(tmpdir(), "sallyport-azure-"))
  const key = randomBytes(32).toString("base64")
  const azurite = spawnAzurite(folder, key)
  const stop = async () => {
    if (azurite.exitCode === null && azurite.kill()) await once(azurite, "exit")
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    const target = await listening(azurite)
    const front = await startUploadFront(target, port)
    const credential = new StorageSharedKeyCredential(ACCOUNT, key)
    const container = new BlobServiceClient(`${target}/${ACCOUNT}`, credential).getContainerClient(CONTAINER)
    await container.create()
    const close = () => front.close().then(stop)
    return {
      kind: "azure",
      origin: front.origin,
      presignPut: async (blobName, { contentLength, contentType, md5, expiresS }) => {
        const permissions = BlobSASPermissions.from({ create: true, write: true })
        const startsOn = new Date(now())
        const expiresOn = new Date(now() + expiresS * 1000)
        const values = { containerName: CONTAINER, blobName, permissions, startsOn, expiresOn }
        const sas = generateBlobSASQueryParameters(values, credential)
        const blobPath = blobName.split("/").map(encodeURIComponent).join("/")
        return {
          url: `${front.origin}/${ACCOUNT}/${CONTAINER}/${blobPath}?${sas}`,
          method: "PUT",
          headers: {
            "content-length": String(contentLength),
            "content-type": contentType,
            "x-ms-blob-type": "BlockBlob",
            ...(md5 === null ? {} : { "content-md5": Buffer.from(md5, "hex").toString("base64") }),
          },
        }
      },
      read: async (blobName) => {
        const blob = container.getBlobClient(blobName)
        return (await blob.exists()) ? new Uint8Array(await blob.downloadToBuffer()) : null
      },
      keys: async () => {
        const names: string[] = []
        for await (const { name } of container.listBlobsFlat()) names.push(name)
        return names.sort()
      },
      openUploads: front.openUploads,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

type Azurite = ReturnType<typeof spawnAzurite>

function spawnAzurite(folder: string, key: string) {
  const flags = ["--silent", "--disableTelemetry", "--disableProductStyleUrl", "--skipApiVersionCheck"]
  const place = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--location", folder]
  return spawn(process.execPath, ["-e", UNTIL_PARENT_ENDS, "--", "azurite", ...place, ...flags], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", AZURITE_ACCOUNTS: `${ACCOUNT}:${key}` },
    stdio: ["pipe", "pipe", "pipe"],
  })
}

/** The origin that Azurite names once it listens. */
async function listening(azurite: Azurite): Promise<string> {
  let said = ""
  azurite.stderr.on("data", (chunk) => {
    said += chunk
  })
  for await (const line of createInterface(azurite.stdout)) {
    const origin = /successfully listens on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (origin !== undefined) {
      azurite.stdout.resume()
      return origin
    }
    said += `${line}\n`
  }
  throw new Error(`Azurite ended before it listened: ${said}`)
}
