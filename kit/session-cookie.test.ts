import { describe, expect, it } from "vitest"
import { handleOf, type SessionSeal } from "../contracts/session.ts"
import {
  clearedSessionCookie,
  MAX_SESSION_VALUE_LENGTH,
  openSession,
  sealSession,
  sessionCookie,
} from "./session-cookie.ts"

const KEYS = key(1)
const SEAL: SessionSeal = {
  idp: "example-idp",
  subject: "älice/1",
  scopes: ["files:read"],
  company: "9007199254740993",
  level: 1,
  authenticatedAtMs: 1_800_000_000_000,
  createdAtMs: 1_800_000_000_000,
  expiresAtMs: 1_800_036_000_000,
  idleS: 1800,
}

function key(fill: number, bytes = 32): string {
  return base64url(new Uint8Array(bytes).fill(fill))
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}

/** A genuine MAC over any two parts, as a holder of the key could make it. */
async function sealed(id: string, payload: string): Promise<string> {
  const raw = new Uint8Array(32).fill(1)
  const hmac = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
  const mac = await crypto.subtle.sign("HMAC", hmac, new TextEncoder().encode(`${id}.${payload}`))
  return `${id}.${payload}.${base64url(new Uint8Array(mac))}`
}

const payloadOf = (document: unknown) => base64url(new TextEncoder().encode(JSON.stringify(document)))

describe("the session cookie", () => {
  it("opens as it was sealed, under the handle of its id", async () => {
    const { id, handle, cookieValue } = await sealSession(SEAL, KEYS)
    expect(await openSession(cookieValue, KEYS)).toEqual({ handle, seal: SEAL })
    expect(handle).toBe(await handleOf(id))
    expect(cookieValue.startsWith(`${id}.`)).toBe(true)
    expect(cookieValue).not.toContain(handle)
  })

  it("takes its id from the randomness that it is given, 32 bytes of it", async () => {
    const { id } = await sealSession(SEAL, KEYS, (bytes) => bytes.fill(bytes.length))
    expect(id).toBe(key(32))
  })

  it("has another id each time", async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await sealSession(SEAL, KEYS)).id))
    expect(new Set(ids).size).toBe(20)
  })

  it("opens with any key of several, and is sealed with the first", async () => {
    const { cookieValue } = await sealSession(SEAL, `${key(1)} ${key(2)}`)
    expect(await openSession(cookieValue, `${key(3)} ${key(1)}`)).not.toBeNull()
    expect(await openSession(cookieValue, `${key(2)} ${key(3)}`)).toBeNull()
  })

  it("does not open when any one character is another", async () => {
    const { cookieValue } = await sealSession({ ...SEAL, subject: "a", scopes: [] }, KEYS)
    for (let at = 0; at < cookieValue.length; at++) {
      const other = cookieValue[at] === "A" ? "B" : "A"
      const changed = cookieValue.slice(0, at) + other + cookieValue.slice(at + 1)
      expect(await openSession(changed, KEYS), `position ${at}`).toBeNull()
    }
  })

  it("does not open with the parts of two", async () => {
    const [one, two] = await Promise.all([sealSession(SEAL, KEYS), sealSession({ ...SEAL, subject: "mallory" }, KEYS)])
    const [id, , mac] = one.cookieValue.split(".")
    const [, payload, otherMac] = two.cookieValue.split(".")
    expect(await openSession(`${id}.${payload}.${mac}`, KEYS)).toBeNull()
    expect(await openSession(`${id}.${payload}.${otherMac}`, KEYS)).toBeNull()
  })

  it.each<[string, (value: string) => string]>([
    ["padding", (value) => `${value}=`],
    ["a space before", (value) => ` ${value}`],
    ["a line feed behind", (value) => `${value}\n`],
    ["quotes", (value) => `"${value}"`],
    ["another spelling of the last character", (value) => value.slice(0, -1) + respelled(value.at(-1) ?? "")],
    ["a fourth part", (value) => `${value}.AAAA`],
    ["no MAC", (value) => value.slice(0, value.lastIndexOf(".") + 1)],
    ["a MAC cut short", (value) => value.slice(0, -22)],
    ["nothing", () => ""],
    ["dots", () => ".."],
    ["a giant", (value) => value.padEnd(100_000, "A")],
  ])("does not open with %s", async (_what, change) => {
    const { cookieValue } = await sealSession(SEAL, KEYS)
    expect(await openSession(change(cookieValue), KEYS)).toBeNull()
  })

  /** The same bits with one of the two left over set. */
  function respelled(character: string): string {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.indexOf(character) + 1] ?? ""
  }

  it("opens what whoever has the key made, and only in the shape of a seal", async () => {
    expect(await openSession(await sealed(key(5), payloadOf(SEAL)), KEYS)).toMatchObject({ seal: SEAL })
    for (const document of [
      null,
      [],
      {},
      { ...SEAL, admin: true },
      { ...SEAL, subject: "" },
      { ...SEAL, level: 4 },
      { ...SEAL, expiresAtMs: "never" },
      { ...SEAL, idleS: 1 },
    ]) {
      expect(await openSession(await sealed(key(5), payloadOf(document)), KEYS), JSON.stringify(document)).toBeNull()
    }
    expect(await openSession(await sealed(key(5), base64url(new Uint8Array([0xff, 0x7b]))), KEYS)).toBeNull()
  })

  it("does not open with an id of another length, though its MAC is genuine", async () => {
    for (const id of [key(5, 31), key(5, 33), "AA"]) {
      expect(await openSession(await sealed(id, payloadOf(SEAL)), KEYS)).toBeNull()
    }
  })

  it.each(["", "  ", key(1, 31), `${key(1)} !`, Array(5).fill(key(1)).join(" ")])(
    "neither seals nor opens with the keys %j",
    async (keys) => {
      const { cookieValue } = await sealSession(SEAL, KEYS)
      await expect(sealSession(SEAL, keys)).rejects.toThrow(TypeError)
      await expect(openSession(cookieValue, keys)).rejects.toThrow(TypeError)
    },
  )

  it("is not sealed for a seal of another shape, nor for one that browsers would drop", async () => {
    await expect(sealSession({ ...SEAL, level: 9 }, KEYS)).rejects.toThrow("contracts/session.ts")
    const scopes = Array.from({ length: 45 }, (_, index) => `${index}`.padStart(64, "x"))
    await expect(sealSession({ ...SEAL, scopes }, KEYS)).rejects.toThrow("too long")
    const { cookieValue } = await sealSession({ ...SEAL, scopes: scopes.slice(0, 38) }, KEYS)
    expect(cookieValue.length).toBeLessThanOrEqual(MAX_SESSION_VALUE_LENGTH)
    expect(await openSession(cookieValue, KEYS)).not.toBeNull()
  })
})

it("is set for this host alone, over TLS alone, out of reach of scripts, and cleared the same way", () => {
  expect(sessionCookie("v", 60.9)).toBe(
    "__Host-sallyport-session=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60",
  )
  expect(clearedSessionCookie()).toBe("__Host-sallyport-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
})
