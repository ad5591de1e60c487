/**
 * The key ring of the passports (secret PASSPORT_KEYS), changed by hand: reads a ring from standard input, writes the changed one to standard output.
 * docs/runbooks/key-rotation.md says when to do which step and how long to wait in between.
 */
import { generateKeyPairSync, type JsonWebKey } from "node:crypto"
import { text } from "node:stream/consumers"

export interface KeyRing {
  /** `kid` of the key that signs. */
  readonly current: string
  /** Private EC P-256 JWKs; the public halves of all are published. */
  readonly keys: readonly (JsonWebKey & { readonly kid: string })[]
}

/** As many as the dispatcher takes. */
const MOST_KEYS = 5

export function newRing(kid: string): KeyRing {
  return { current: kid, keys: [makeKey(kid)] }
}

/** Publishes a new key; the current one goes on signing. Throws when the kid is taken or the ring is full. */
export function addKey(ring: KeyRing, kid: string): KeyRing {
  if (ring.keys.some((key) => key.kid === kid)) throw new Error(`the ring has a key ${kid} already`)
  if (ring.keys.length >= MOST_KEYS) throw new Error(`the ring holds ${MOST_KEYS} keys; drop one first`)
  return { ...ring, keys: [...ring.keys, makeKey(kid)] }
}

/** Signs with another key of the ring from now on. Throws when the ring has no such key. */
export function useKey(ring: KeyRing, kid: string): KeyRing {
  if (!ring.keys.some((key) => key.kid === kid)) throw new Error(`the ring has no key ${kid}; add it first`)
  return { ...ring, current: kid }
}

/** Takes a key away: what it signed is refused from then on. Throws for the current key. */
export function dropKey(ring: KeyRing, kid: string): KeyRing {
  if (ring.current === kid) throw new Error(`${kid} signs; use another key first`)
  if (!ring.keys.some((key) => key.kid === kid)) throw new Error(`the ring has no key ${kid}`)
  return { ...ring, keys: ring.keys.filter((key) => key.kid !== kid) }
}

function makeKey(kid: string): JsonWebKey & { kid: string } {
  if (!/^[\w.-]{1,100}$/.test(kid)) throw new Error(`not a key id: ${kid}; write something like 2026-11-26`)
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { ...privateKey.export({ format: "jwk" }), kid }
}

const STEPS: Readonly<Record<string, (ring: KeyRing, kid: string) => KeyRing>> = {
  add: addKey,
  use: useKey,
  drop: dropKey,
}

if (import.meta.main) {
  const [step = "", kid = ""] = process.argv.slice(2)
  const change = STEPS[step]
  if (change === undefined || kid === "") {
    console.error("node scripts/passport-keys.ts add|use|drop <kid> < ring.json > changed.json")
    process.exitCode = 1
  } else
    try {
      process.stdout.write(JSON.stringify(change(JSON.parse(await text(process.stdin)) as KeyRing, kid)))
    } catch (thrown) {
      console.error(`error: ${thrown instanceof Error ? thrown.message : thrown}`)
      process.exitCode = 1
    }
}
