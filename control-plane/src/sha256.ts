/** SHA-256 as lower-case hex: the form in which digests and token hashes are kept everywhere. */
export async function sha256Hex(content: string | ArrayBuffer | Uint8Array): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()
}
