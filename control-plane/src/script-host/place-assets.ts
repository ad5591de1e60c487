/**
 * A version's static assets into the namespace, by Cloudflare's three steps: session, upload of what is missing, completion token.
 * Assets are shared by hash across a namespace, so the hash we name is salted with the team: nobody can claim a file by guessing its hash.
 */
import { z } from "zod"
import type { ManifestAsset } from "../../../contracts/manifest.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { CloudflareClient } from "./cloudflare-client.ts"
import { MultipartForm } from "./multipart-form.ts"

/** Of one request, all of whose files are held in memory; a file that is larger goes alone. */
const BATCH_BYTES = 8 * 1024 * 1024
/** Of one request. Each file is a read, and an invocation has a limit of them: what it brought in before it met that is not asked for again. */
const BATCH_FILES = 500

const session = z.object({ jwt: z.string(), buckets: z.array(z.array(z.string())).default([]) })
/** Null or without `jwt` until everything is in. */
const uploaded = z.object({ jwt: z.string().nullish() }).nullable()

/**
 * The completion token to place the script with. Safe to call again: what was uploaded before is not asked for.
 * `files` are the version's own and those it keeps of earlier ones, no path twice.
 */
export async function placeAssets(
  name: string,
  team: string,
  files: readonly ManifestAsset[],
  readBlob: (sha256: string) => Promise<ArrayBuffer>,
  client: CloudflareClient,
): Promise<string> {
  const byHash = new Map<string, ManifestAsset>()
  const manifest: Record<string, { hash: string; size: number }> = {}
  for (const file of files) {
    const hash = await saltedHash(team, file)
    byHash.set(hash, file)
    manifest[file.path] = { hash, size: file.sizeBytes }
  }
  const path = `${client.scriptPath(name)}/assets-upload-session`
  const { jwt, buckets } = await client.call("post", path, session, { body: { manifest } })
  // Of an upload of which nothing is missing the session's token is the completion token.
  let token = jwt
  const wanted = buckets.flat().flatMap((hash) => {
    const file = byHash.get(hash)
    return file === undefined ? [] : [{ hash, file }]
  })
  for (const batch of batchesOf(wanted)) {
    const options = { body: await formOf(batch, readBlob), bearer: jwt }
    const answer = await client.call("post", "/workers/assets/upload?base64=true", uploaded, options)
    token = answer?.jwt ?? token
  }
  return token
}

/** 32 hex digits, as Cloudflare wants. The served type is part of it, because it is stored with the file. */
async function saltedHash(team: string, { sha256, contentType }: ManifestAsset): Promise<string> {
  return (await sha256Hex(JSON.stringify([team, sha256, contentType]))).slice(0, 32)
}

interface Wanted {
  readonly hash: string
  readonly file: ManifestAsset
}

async function formOf(
  batch: readonly Wanted[],
  readBlob: (sha256: string) => Promise<ArrayBuffer>,
): Promise<MultipartForm> {
  const parts = batch.map(async ({ hash, file }) => ({
    name: hash,
    file: { name: hash, type: file.contentType ?? "application/null" },
    content: new Uint8Array(await readBlob(file.sha256)),
    base64: true,
  }))
  return new MultipartForm(await Promise.all(parts))
}

function batchesOf(files: readonly Wanted[]): Wanted[][] {
  const batches: Wanted[][] = []
  let room = 0
  for (const each of files) {
    const last = batches.at(-1)
    if (last !== undefined && each.file.sizeBytes <= room && last.length < BATCH_FILES) last.push(each)
    else {
      batches.push([each])
      room = BATCH_BYTES
    }
    room -= each.file.sizeBytes
  }
  return batches
}
