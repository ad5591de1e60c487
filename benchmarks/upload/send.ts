/** Starts sender-child.ts for one upload, and holds its outcome against what must have arrived. */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { promisify } from "node:util"
import { contentBlock, type Sending, type Sent } from "./protocol.ts"

/** Megabytes (10^6) per second. Rejects when the upload was refused, or something else was stored than what was sent. */
export async function send(sending: Sending, expectedEtag: string): Promise<number> {
  const child = join(import.meta.dirname, "sender-child.ts")
  const { stdout } = await promisify(execFile)(process.execPath, [child, JSON.stringify(sending)])
  const { status, etag, body, seconds } = JSON.parse(stdout) as Sent
  if (status !== 200 || etag !== expectedEtag)
    throw new Error(`an upload failed: ${JSON.stringify({ status, etag, body })}`)
  return sending.sizeBytes / 1_000_000 / seconds
}

/** SHA-256 of the content of this size, hex. */
export async function contentSha256(sizeBytes: number): Promise<string> {
  const block = await contentBlock()
  const digest = createHash("sha256")
  for (let left = sizeBytes; left > 0; left -= block.length)
    digest.update(block.subarray(0, Math.min(left, block.length)))
  return digest.digest("hex")
}
