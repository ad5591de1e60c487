/**
 * Checks the key of a service account, `spsa_<name>_<43 base64url characters>`. The config holds hashes, so that whoever reads it can call as nobody.
 * A key costs one hash per isolate and no I/O; what is remembered of it counts only while the account is as it was.
 */

import { SERVICE_ACCOUNTS_IDP, type ServiceAccountConfig } from "../../../contracts/dispatch-config.ts"
import { serviceKeyEndsMs } from "../../../contracts/service-account.ts"
import { BoundedCache } from "../../../kit/bounded-cache.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { KeptSubject } from "./subject.ts"

export const SERVICE_KEY_PREFIX = "spsa_"
const SERVICE_KEY = /^spsa_([a-z][a-z0-9-]{0,62})_[A-Za-z0-9_-]{43}$/
/** By which the clocks of the control plane and an edge may differ, milliseconds. */
const MAX_SKEW_MS = 60_000
/** Keys remembered per isolate: two generations of this many. Usually about 3 KB each; 9 KB and 4 MB at the very worst (README.md). */
const CACHED_KEYS = 200

export type ServiceAccounts = Readonly<Record<string, ServiceAccountConfig>>
export type ServiceKeyFault = "malformed" | "account-unknown" | "key-unknown" | "not-yet" | "expired"
export type ServiceKeyResult =
  | { readonly ok: true; readonly subject: KeptSubject }
  | { readonly ok: false; readonly fault: ServiceKeyFault }

interface Known {
  account: ServiceAccountConfig
  readonly expiresAtMs: number
  readonly subject: KeptSubject
}

/** What this isolate knows of the keys that came. */
export class ServiceKeys {
  readonly #known = new BoundedCache<Known>(CACHED_KEYS)

  /** At once when the key came before and its account did not change. Never throws. */
  verify(key: string, accounts: ServiceAccounts, nowMs: number): ServiceKeyResult | Promise<ServiceKeyResult> {
    const known = this.#known.get(key)
    if (known === undefined || !isStill(known, accounts)) return this.#check(key, accounts, nowMs)
    return nowMs >= known.expiresAtMs ? { ok: false, fault: "expired" } : { ok: true, subject: known.subject }
  }

  async #check(key: string, accounts: ServiceAccounts, nowMs: number): Promise<ServiceKeyResult> {
    const name = SERVICE_KEY.exec(key)?.[1]
    if (name === undefined) return { ok: false, fault: "malformed" }
    const account = Object.hasOwn(accounts, name) ? accounts[name] : undefined
    if (account === undefined) return { ok: false, fault: "account-unknown" }
    const hash = await sha256Hex(key)
    const found = account.keys.find((each) => each.hash === hash)
    if (found === undefined) return { ok: false, fault: "key-unknown" }
    const createdAtMs = Date.parse(found.createdAt)
    // One made in the future would escape every revocation until then.
    if (createdAtMs >= nowMs + MAX_SKEW_MS) return { ok: false, fault: "not-yet" }
    const expiresAtMs = serviceKeyEndsMs(found)
    const subject = new KeptSubject({
      kind: "service",
      id: name,
      idp: SERVICE_ACCOUNTS_IDP,
      scopes: account.scopes,
      company: account.company ?? null,
      sid: null,
      authTimeMs: createdAtMs,
      level: 0,
      kid: `${name}/${found.id}`,
    })
    this.#known.set(key, { account, expiresAtMs, subject })
    return nowMs >= expiresAtMs ? { ok: false, fault: "expired" } : { ok: true, subject }
  }
}

/** Each revision of the config is another object, whatever changed in it. */
function isStill(known: Known, accounts: ServiceAccounts): boolean {
  const { id } = known.subject.facts
  const account = Object.hasOwn(accounts, id) ? accounts[id] : undefined
  if (account === known.account) return true
  if (account === undefined || JSON.stringify(account) !== JSON.stringify(known.account)) return false
  known.account = account
  return true
}
