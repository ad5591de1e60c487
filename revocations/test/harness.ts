/** What the tests here share: the door, the objects behind it, and entries as an isolate would read them. */

import { createExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { ENTRY_BYTES, type RevocationsApi, type RevocationTarget } from "../../contracts/revocation.ts"
import { Revocations } from "../src/entrypoint.ts"
import type { Env } from "../src/env.ts"

export const bindings = env as unknown as Env
export const NOON = Date.parse("2026-11-20T12:00:00.000Z")

export const door: RevocationsApi = new Revocations(createExecutionContext() as never, bindings)
export const log = () => bindings.LOG.getByName("log")
export const relay = (name = "AMS") => bindings.RELAYS.getByName(name)

export function sessionTarget(n: number): RevocationTarget {
  return { kind: "session", session: String(n).padStart(43, "s") }
}

export function sessions(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => ({ target: sessionTarget(from + index), reason: "test" }))
}

export interface Entry {
  readonly hash: string
  readonly beforeMs: number
  readonly keptUntilS: number
}

export function entriesOf(bytes: Uint8Array): Entry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.byteLength / ENTRY_BYTES }, (_, index) => {
    const at = index * ENTRY_BYTES
    return {
      hash: hex(bytes.subarray(at, at + 8)),
      beforeMs: view.getFloat64(at + 8, true),
      keptUntilS: view.getUint32(at + 16, true),
    }
  })
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** The message of what `work` is refused with, or `done`. */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (thrown: Error) => thrown.message,
  )
}
