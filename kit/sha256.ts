/** SHA-256 as lower-case hex: the form in which digests and token hashes are kept everywhere. */
export async function sha256Hex(content: string | ArrayBuffer | Uint8Array): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)))
}

/** Two lower-case digits per byte. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
