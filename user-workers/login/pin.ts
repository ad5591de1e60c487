/**
 * A second way in: a PIN by e-mail, for addresses that the settings name. Nobody learns from an answer, or from how long it takes, which those are.
 * Digits are few: five attempts, ten minutes, the browser that asked, and so many in an hour: per address and client, so that a stranger does not use up somebody's;
 * per address, so that whoever has many clients guesses 100 of 10^8; and per client.
 */
import { hashForKey } from "../../contracts/session.ts"
import { importHmacKeys, parseHmacKeys, signHmac, verifyHmac } from "../../kit/hmac-keys.ts"
import { refuse } from "../../kit/problem.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Env } from "./env.ts"
import { inStore, LOGIN_LIFETIME_MS, type Owner } from "./login-store.ts"
import type { WaitUntil } from "./provider-documents.ts"
import type { PinSubject, Settings } from "./settings.ts"

const DIGITS = 8
const MOST_TRIES = 5
const HOUR_MS = 3_600_000
const MOST_PER_HOUR = { addressAndClient: 5, address: 20, client: 30 } as const
const MAIL_TIMEOUT_MS = 10_000
const ADDRESS = /^[^\s@]{1,64}@[^\s@]{1,189}$/

type Store = Pick<Env, "LOGINS" | "SESSION_KEYS">

/** Notes a PIN and sends it, if anybody may log in by this address. Returns the id that belongs to it. Refuses `login.request-invalid`, `login.too-many-attempts`. */
export async function sendPin(
  env: Store,
  { mailUrl, pinAddresses }: Settings,
  written: string,
  owner: Owner,
  returnTo: string,
  waitUntil: WaitUntil,
): Promise<string> {
  const address = written.trim().toLowerCase()
  if (!ADDRESS.test(address)) throw refuse("login.request-invalid", { detail: "That is no e-mail address." })
  const id = crypto.randomUUID()
  const pin = randomPin()
  const isKnown = Object.hasOwn(pinAddresses, address)
  const mac = await macOf(env, id, isKnown ? pin : crypto.randomUUID())
  const [browser, client, addressHash] = await Promise.all(
    [owner.browser, owner.client, address].map((text) => hashForKey([text])),
  )
  const nowMs = Date.now()
  const [, noted] = await inStore(env.LOGINS, (db) =>
    db.batch<{ id: string }>([
      db.prepare("DELETE FROM pins WHERE asked_ms <= ?").bind(nowMs - HOUR_MS),
      db
        .prepare(
          "INSERT INTO pins (id, browser, client, address, asked_ms, tries, pin, return_to) SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6, ?7 " +
            "WHERE (SELECT COUNT(*) FROM pins WHERE address = ?4 AND client = ?3) < ?8 AND (SELECT COUNT(*) FROM pins WHERE address = ?4) < ?9 " +
            "AND (SELECT COUNT(*) FROM pins WHERE client = ?3) < ?10 RETURNING id",
        )
        .bind(
          id,
          browser,
          client,
          addressHash,
          nowMs,
          `${isKnown ? address : ""}\n${mac}`,
          returnTo,
          MOST_PER_HOUR.addressAndClient,
          MOST_PER_HOUR.address,
          MOST_PER_HOUR.client,
        ),
    ]),
  )
  if ((noted?.results.length ?? 0) === 0)
    throw refuse("login.too-many-attempts", { headers: { "retry-after": String(HOUR_MS / 1000) } })
  if (isKnown) waitUntil(mail(mailUrl, address, pin))
  return id
}

/** Whose PIN it is, once; null for a wrong one, and for one that is good no more. */
export async function redeemPin(
  env: Store,
  { pinAddresses }: Settings,
  id: string,
  pin: string,
  browserSecret: string,
): Promise<{ readonly who: PinSubject; readonly returnTo: string } | null> {
  const browser = await hashForKey([browserSecret])
  const row = await inStore(env.LOGINS, (db) =>
    db
      .prepare(
        "UPDATE pins SET tries = tries + 1 WHERE id = ? AND browser = ? AND asked_ms > ? AND tries < ? RETURNING pin, return_to",
      )
      .bind(id, browser, Date.now() - LOGIN_LIFETIME_MS, MOST_TRIES)
      .first<{ pin: string; return_to: string }>(),
  )
  const [address = "", mac = ""] = row?.pin.split("\n") ?? []
  const who = Object.hasOwn(pinAddresses, address) ? pinAddresses[address] : undefined
  if (row === null || who === undefined || !(await isMacOf(env, mac, id, pin))) return null
  const taken = await inStore(env.LOGINS, (db) =>
    db.prepare("UPDATE pins SET pin = '' WHERE id = ? AND pin = ? RETURNING id").bind(id, row.pin).first(),
  )
  return taken === null ? null : { who, returnTo: row.return_to }
}

/** Every PIN equally likely: what would favour the low ones is drawn again. */
function randomPin(): string {
  const most = 10 ** DIGITS
  for (;;) {
    const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1))
    if (drawn < Math.floor(2 ** 32 / most) * most) return String(drawn % most).padStart(DIGITS, "0")
  }
}

async function mail(url: string, to: string, pin: string): Promise<void> {
  const text = `Your PIN is ${pin}. It is good for ten minutes, in the browser that asked for it. If you did not ask, you need do nothing.`
  const sent = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ to, subject: "Your PIN to log in", text }),
    redirect: "manual",
    signal: AbortSignal.timeout(MAIL_TIMEOUT_MS),
  }).catch(() => null)
  if (sent?.ok !== true) writeLog(Object.assign({ event: "pin-not-sent" }, { status: sent?.status ?? null }))
}

/** With a key, for a million PINs are tried in no time by whoever reads the database. */
async function macOf({ SESSION_KEYS }: Store, id: string, pin: string): Promise<string> {
  const mac = await signHmac(await importHmacKeys(parseHmacKeys(SESSION_KEYS)), macText(id, pin))
  return btoa(String.fromCharCode(...new Uint8Array(mac)))
}

async function isMacOf({ SESSION_KEYS }: Store, mac: string, id: string, pin: string): Promise<boolean> {
  const bytes = Uint8Array.from(atob(mac), (char) => char.charCodeAt(0))
  return verifyHmac(await importHmacKeys(parseHmacKeys(SESSION_KEYS)), bytes, macText(id, pin))
}

/** A sealed session has no line break: the same keys never mean both. */
function macText(id: string, pin: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`login-pin\n${id}\n${pin}`) as Uint8Array<ArrayBuffer>
}
