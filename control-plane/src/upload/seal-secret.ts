/**
 * Secrets in stored manifests: encrypted, because manifests are read by more people and programs than secrets may be.
 * Deterministic on purpose (the nonce is derived from the secret itself, as in SIV modes): the same upload seals to the same text and so is the same version.
 * What that reveals is only whether one binding of one script kept its value.
 */
import { base64url } from "jose"
import type { ManifestBinding } from "../../../contracts/manifest.ts"
import { refuse } from "../../../kit/problem.ts"

export interface SecretSeal {
  /** A `secret_text` binding with `sealed` in place of `text`; other bindings, and one that is sealed already, as they are. Throws `upload.metadata-refused` when no key is configured. */
  seal(script: string, binding: ManifestBinding): Promise<ManifestBinding>
  /** The reverse. Throws when the text was sealed for another script or binding, or under another key. */
  open(script: string, binding: ManifestBinding): Promise<ManifestBinding>
}

/** `key` is 32 bytes, base64url; null means that uploads with secrets are refused. */
export function secretSeal(key: string | null): SecretSeal {
  let derived: Promise<Keys> | null = null
  const keysOrNull = () => {
    if (key !== null) derived ??= deriveKeys(key)
    return derived
  }
  return {
    async seal(script, binding) {
      if (binding.type !== "secret_text" || "sealed" in binding) return binding
      const keys = await keysOrNull()
      if (keys === null)
        throw refuse("upload.metadata-refused", {
          errors: [
            {
              pointer: "/bindings",
              detail: `${binding.name}: this installation has no ARTIFACT_KEY to keep secrets under`,
            },
          ],
        })
      const { encrypt, nonce } = keys
      const label = labelOf(script, binding.name)
      const text = new TextEncoder().encode(String(binding.text))
      const iv = (await mac(nonce, label, text)).slice(0, 12)
      const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: label }, encrypt, text)
      const bytes = new Uint8Array([...iv, ...new Uint8Array(sealed)])
      return { type: binding.type, name: binding.name, sealed: base64url.encode(bytes) }
    },
    async open(script, binding) {
      if (binding.type !== "secret_text") return binding
      const keys = await keysOrNull()
      if (keys === null) throw new Error("a sealed secret and no ARTIFACT_KEY to open it with")
      const bytes = new Uint8Array(base64url.decode(String(binding.sealed)))
      const { encrypt } = keys
      const label = labelOf(script, binding.name)
      const opened = await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData: label },
        encrypt,
        bytes.slice(12),
      )
      return { type: binding.type, name: binding.name, text: new TextDecoder().decode(opened) }
    },
  }
}

interface Keys {
  readonly encrypt: CryptoKey
  readonly nonce: CryptoKey
}

async function deriveKeys(key: string): Promise<Keys> {
  const bytes = new Uint8Array(base64url.decode(key))
  if (bytes.length !== 32) throw new Error("ARTIFACT_KEY must be 32 bytes, base64url")
  const root = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"])
  const derive = (use: string, algorithm: SubtleCryptoImportKeyAlgorithm, usages: string[]) =>
    crypto.subtle.deriveKey(
      {
        name: "HKDF",
        hash: "SHA-256",
        salt: new Uint8Array(),
        info: new TextEncoder().encode(`sallyport ${use}`),
      },
      root,
      algorithm,
      false,
      usages,
    )
  return {
    encrypt: await derive("secret encryption", { name: "AES-GCM", length: 256 }, ["encrypt", "decrypt"]),
    nonce: await derive("secret nonce", { name: "HMAC", hash: "SHA-256", length: 256 }, ["sign"]),
  }
}

/** Neither part can hold a NUL. */
function labelOf(script: string, name: string): Uint8Array {
  return new TextEncoder().encode(`${script}\0${name}\0`)
}

async function mac(key: CryptoKey, label: Uint8Array, text: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array([...label, ...text])))
}
