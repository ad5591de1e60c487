/**
 * Production's limit on the size of a Worker: 10 MiB compressed on a paid plan, 64 MiB before compression. Source maps do not count.
 * @see https://developers.cloudflare.com/workers/platform/limits/#worker-size
 */
import { fail } from "../envelope.ts"
import type { UploadedModule } from "./read-upload.ts"

const COMPRESSED_BYTES = 10 * 1024 * 1024
const RAW_BYTES = 64 * 1024 * 1024

/** @throws ApiFailure tooLarge */
export async function checkSize(modules: readonly UploadedModule[]): Promise<void> {
  const counted = modules.filter(({ type }) => type !== "application/source-map")
  const rawBytes = counted.reduce((sum, { body }) => sum + body.byteLength, 0)
  if (rawBytes > RAW_BYTES) throw fail("tooLarge")
  // Gzip never saves less than nothing: what is small raw need not be compressed to know.
  if (rawBytes > COMPRESSED_BYTES && (await compressedBytes(counted)) > COMPRESSED_BYTES) throw fail("tooLarge")
}

async function compressedBytes(modules: readonly UploadedModule[]): Promise<number> {
  const compressor = new CompressionStream("gzip")
  const writer = compressor.writable.getWriter()
  const written = (async () => {
    for (const { body } of modules) await writer.write(body)
    await writer.close()
  })()
  let total = 0
  for await (const chunk of compressor.readable) total += (chunk as Uint8Array).byteLength
  await written
  return total
}
