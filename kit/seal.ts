/**
 * Seals a few bytes with AES-256-GCM, so that they may stand where many read: private keys of the passports in D1 and in the dispatch config. The seal is bound to
 * what it is for: bytes sealed for one purpose and name open for no other. Sealed by the control plane, opened by the dispatcher.
 * The secrets of uploads have a seal of their own (control-plane/src/upload/seal-secret.ts): theirs must give the same text each time, this one never does.
 * @see NIST SP 800-38D
 */
import { base64url } from "jose"

/** Bytes: one key of AES-256. */
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** The key in use, its successor and predecessors that still open. */
const MOST_KEYS = 4

export interface SealLabel {
  /** Such as `passport-key`; no NUL. */
  readonly purpose: string
  /** What of that purpose it is, such as a kid; no NUL. */
  readonly name: string
}

export interface Seal {
  /** base64url of nonce, ciphertext and tag; another text each time. */
  seal(bytes: Uint8Array<ArrayBuffer>, label: SealLabel): Promise<string>
  /** What was sealed under this label by one of the keys; null for anything else. */
  open(sealed: string, label: SealLabel): Promise<Uint8Array<ArrayBuffer> | null>
}

/** `keys`: one to four, separated by spaces, each 32 bytes in base64url without padding; the first seals, all open. Throws TypeError for anything else. */
export async function sealWith(keys: string): Promise<Seal> {
  const imported = await Promise.all(parseKeys(keys).map(importKey))
  const [first] = imported
  if (first === undefined) throw new TypeError("There is no key")

  return {
    async seal(bytes, label) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
      const sealed = await crypto.subtle.encrypt(algorithm(iv, label), first, bytes)
      return base64url.encode(new Uint8Array([...iv, ...new Uint8Array(sealed)]))
    },
    async open(sealed, label) {
      const bytes = toBytes(sealed)
      if (bytes === null || bytes.length < NONCE_BYTES + TAG_BYTES) return null
      const how = algorithm(bytes.slice(0, NONCE_BYTES), label)
      for (const key of imported) {
        const opened = await crypto.subtle.decrypt(how, key, bytes.slice(NONCE_BYTES)).catch(() => null)
        if (opened !== null) return new Uint8Array(opened)
      }
      return null
    },
  }
}

function parseKeys(text: string): readonly Uint8Array<ArrayBuffer>[] {
  const keys = text.split(/\s+/).filter((each) => each !== "")
  if (keys.length === 0 || keys.length > MOST_KEYS) throw new TypeError(`There must be 1–${MOST_KEYS} keys`)
  return keys.map((key) => {
    const bytes = toBytes(key)
    if (bytes?.length !== KEY_BYTES) throw new TypeError(`A key must be ${KEY_BYTES} bytes in base64url`)
    return bytes
  })
}

function importKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"])
}

/** Neither part of the label can hold a NUL, so two labels never give the same bytes. */
function algorithm(iv: Uint8Array<ArrayBuffer>, { purpose, name }: SealLabel) {
  if (`${purpose}${name}`.includes("\0")) throw new TypeError("A label holds no NUL")
  const additionalData = new TextEncoder().encode(`sallyport\0${purpose}\0${name}\0`) as Uint8Array<ArrayBuffer>
  return { name: "AES-GCM", iv, additionalData }
}

/** Null for what is not the one base64url spelling of some bytes. */
function toBytes(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) return null
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0))
  return base64url.encode(bytes) === text ? bytes : null
}
