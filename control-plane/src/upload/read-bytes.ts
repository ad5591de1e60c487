/** Bodies into memory, once: what is read piece by piece and joined stands there twice, and an isolate has 128 MB for all that it does at a time. */

/** As a body or a decoder gives them. */
export type Chunks = AsyncIterable<Uint8Array>

export interface ReadBytes {
  /** The first `size` bytes; fewer when there were fewer. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** How many there were. */
  readonly sizeBytes: number
}

/** All of `chunks`, of which `size` bytes are expected and no more are kept. Throws `tooLarge` when there are more than `limitBytes`. */
export async function readBytes(
  chunks: Chunks,
  size: number,
  limitBytes: number,
  tooLarge: () => Error,
): Promise<ReadBytes> {
  const bytes = new Uint8Array(size)
  let sizeBytes = 0
  for await (const chunk of chunks) {
    const room = size - sizeBytes
    if (room > 0) bytes.set(chunk.byteLength > room ? chunk.subarray(0, room) : chunk, sizeBytes)
    sizeBytes += chunk.byteLength
    if (sizeBytes > limitBytes) throw tooLarge()
  }
  return { bytes: sizeBytes < size ? bytes.subarray(0, sizeBytes) : bytes, sizeBytes }
}
