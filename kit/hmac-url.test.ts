import fc from "fast-check"
import { describe, it } from "vitest"
import { type HmacUrlOptions, hmacUrl } from "./hmac-url.ts"

const NOW_S = 1_800_000_000
const OLD = "b2xkLWtleS1vZi1leGFjdGx5LXRoaXJ0eS10d28tYnl0ZXM"
const NEW = "bmV3LWtleS1vZi1leGFjdGx5LXRoaXJ0eS10d28tYnl0ZXM"
const OTHER = "b3RoZXIga2V5IG9mIG1vcmUgdGhhbiAzMiBieXRlcyB0b28"
const PLACE = "https://storage.procore.com/rest/v2.1/companies/9007199254740993/uploads/01JEXAMPLE/parts/1"
const parameters = { expires_at: String(NOW_S + 600), user_id: "1234" }

const links = make()
const signed = await links.sign("PUT", PLACE, parameters)

function make(changes: Partial<HmacUrlOptions> = {}) {
  const clock = { now: () => NOW_S * 1000 }
  return hmacUrl({ keys: OLD, parameters: ["expires_at", "user_id"], clock, ...changes })
}

describe("hmacUrl", () => {
  it("accepts what it signed, and hands out the parameters", async ({ expect }) => {
    expect(await links.verify("PUT", signed)).toEqual({ ok: true, parameters })
  })

  it("signs method, host, path and query by HMAC-SHA256, as anybody can recompute", async ({ expect }) => {
    const raw = Uint8Array.from(atob(OLD), (char) => char.charCodeAt(0))
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
    const url = new URL(signed)
    const text = `PUT\n${url.host}\n${url.pathname}\nexpires_at=${parameters.expires_at}&user_id=1234`
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)))
    expect(url.searchParams.get("sig")).toBe(Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(""))
  })

  it("refuses the URL with any one bit changed, but for the scheme", async ({ expect }) => {
    const bytes = new TextEncoder().encode(signed)
    const accepted: string[] = []
    for (let at = "https://".length; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        const url = String.fromCharCode(...changed)
        if ((await links.verify("PUT", url)).ok) accepted.push(url)
      }
    expect(accepted).toEqual([])
  })

  it("refuses whatever else a URL is turned into", async () => {
    const edit = fc.record({
      at: fc.nat(signed.length),
      remove: fc.nat(5),
      insert: fc.oneof(
        fc.string({ maxLength: 5 }),
        fc.constantFrom("&", "=", "%2F", "/..", "?", "#", "&sig=", "\n", "0"),
      ),
    })
    await fc.assert(
      fc.asyncProperty(edit, async ({ at, remove, insert }) => {
        const changed = signed.slice(0, at) + insert + signed.slice(at + remove)
        const isSame = changed.replace(/^http:/, "https:") === signed
        return (await links.verify("PUT", changed)).ok === isSame
      }),
      { numRuns: 2000 },
    )
  })

  for (const method of ["GET", "POST", "put", "PUT ", ""])
    it(`refuses it for method "${method}"`, async ({ expect }) => {
      expect(await links.verify(method, signed)).toEqual({ ok: false, reason: "forged" })
    })

  const [base = "", query = ""] = signed.split("?")
  const [expiry = "", user = "", sig = ""] = query.split("&")
  const malformed: Record<string, string> = {
    "without query": base,
    "without sig": `${base}?${expiry}&${user}`,
    "with nothing but sig": `${base}?${sig}`,
    "with sig twice": `${signed}&${sig}`,
    "with another sig before": `${base}?sig=${"0".repeat(64)}&${query}`,
    "with sig in front": `${base}?${sig}&${expiry}&${user}`,
    "with sig in capitals": signed.replace(sig, sig.toUpperCase().replace("SIG", "sig")),
    "with half a sig": signed.slice(0, -32),
    "with a sig shorter by a byte": signed.slice(0, -2),
    "with a longer sig": `${signed}00`,
    "with an empty sig": `${base}?${expiry}&${user}&sig=`,
    "with parameters in another order": `${base}?${user}&${expiry}&${sig}`,
    "with a parameter twice": `${base}?${expiry}&${expiry}&${user}&${sig}`,
    "with a parameter more": `${base}?${expiry}&${user}&a=1&${sig}`,
    "with a parameter less": `${base}?${expiry}&${sig}`,
    "with an escaped name": signed.replace("user_id", "user%5Fid"),
    "with an escaped value": signed.replace("1234", "%31234"),
    "with an escaped path": signed.replace("uploads", "%75ploads"),
    "with an empty segment": signed.replace("/uploads", "//uploads"),
    "with a slash at the end": signed.replace("?", "/?"),
    "with a dot segment": signed.replace("/uploads", "/x/../uploads"),
    "on a host in capitals": signed.replace("storage", "Storage"),
    "on another host": signed.replace("storage.", "storage2."),
    "on another port": signed.replace(".com/", ".com:8443/"),
    "with userinfo": signed.replace("https://", "https://a@"),
    "with a fragment": `${signed}#a`,
    "with a second question mark": signed.replace("?", "??"),
    "that is too long": `${signed.replace("1234", "1".repeat(5000))}`,
    "that is none": "",
  }
  for (const [name, url] of Object.entries(malformed))
    it(`refuses a URL ${name}`, async ({ expect }) => {
      expect(await links.verify("PUT", url)).toEqual({ ok: false, reason: "forged" })
    })
})

describe("hmacUrl: a URL that the same key signed for another purpose", () => {
  for (const names of [
    ["user_id", "expires_at"],
    ["expires_at", "team_id"],
    ["expires_at"],
    ["expires_at", "user_id", "claim"],
  ])
    it(`with the parameters ${names.join(", ")} is refused`, async ({ expect }) => {
      const others = make({ parameters: names })
      const values = names.map((name) => [name, name === "expires_at" ? parameters.expires_at : "1234"])
      const url = await others.sign("PUT", PLACE, Object.fromEntries(values))
      expect((await others.verify("PUT", url)).ok).toBe(true)
      expect(await links.verify("PUT", url)).toEqual({ ok: false, reason: "forged" })
    })
})

describe("hmacUrl: expiry", () => {
  const at = (seconds: number, skewS = 30) => make({ clock: { now: () => seconds * 1000 }, skewS })
  const end = NOW_S + 600

  it("takes a URL until the tolerated skew after its end, and no longer", async ({ expect }) => {
    expect((await at(end + 29.999).verify("PUT", signed)).ok).toBe(true)
    expect(await at(end + 30).verify("PUT", signed)).toEqual({ ok: false, reason: "expired" })
    expect(await at(end, 0).verify("PUT", signed)).toEqual({ ok: false, reason: "expired" })
  })

  it("says of no forged URL that it has expired", async ({ expect }) => {
    expect(await at(end + 99).verify("PUT", signed.replace("1234", "1235"))).toEqual({ ok: false, reason: "forged" })
  })

  for (const expires_at of ["", "0", "-1", "1e10", "1800000000.5", "01800000000", "0x6b49d200", "NaN", "9".repeat(13)])
    it(`signs no expiry of "${expires_at}"`, async ({ expect }) => {
      await expect(links.sign("PUT", PLACE, { ...parameters, expires_at })).rejects.toThrow(TypeError)
    })
})

describe("hmacUrl: keys", () => {
  it("verify together while they overlap, and the first one signs", async ({ expect }) => {
    const both = make({ keys: `${NEW}, ${OLD}` })
    expect((await both.verify("PUT", signed)).ok).toBe(true)
    const renewed = await both.sign("PUT", PLACE, parameters)
    expect((await make({ keys: NEW }).verify("PUT", renewed)).ok).toBe(true)
    expect((await links.verify("PUT", renewed)).ok).toBe(false)
  })

  it("mean nothing once they are taken away", async ({ expect }) => {
    expect(await make({ keys: `${NEW} ${OTHER}` }).verify("PUT", signed)).toEqual({ ok: false, reason: "forged" })
  })

  for (const [name, keys] of Object.entries({
    "no key": " , ",
    "a short key": btoa("x".repeat(31)).replaceAll("=", ""),
    "a short key beside a good one": `${OLD},${btoa("short")}`,
    "a key cut short": OLD.slice(0, -2),
    "a padded key": `${OLD}=`,
    "five keys": [OLD, NEW, OTHER, OLD, NEW].join(","),
  }))
    it(`are refused when there is ${name}`, ({ expect }) => {
      expect(() => make({ keys })).toThrow(TypeError)
    })
})

describe("hmacUrl: what it will not be made for, or sign", () => {
  for (const wrong of [[], ["user_id"], ["expires_at", "sig"], ["expires_at", "expires_at"], ["expires_at", "A"]])
    it(`parameters ${JSON.stringify(wrong)}`, ({ expect }) => {
      expect(() => make({ parameters: wrong })).toThrow(TypeError)
    })

  for (const skewS of [-1, 31, 0.5, Number.NaN])
    it(`a skew of ${skewS} s`, ({ expect }) => {
      expect(() => make({ skewS })).toThrow(TypeError)
    })

  for (const url of [`${PLACE}/`, `${PLACE}?a=1`, `${PLACE}/%41`, `${PLACE}/..`, "ftp://a/b", "https://a", "/a/b"])
    it(`the URL ${url}`, async ({ expect }) => {
      await expect(links.sign("PUT", url, parameters)).rejects.toThrow(TypeError)
    })

  const values: Record<string, Record<string, string>> = {
    "a value with &": { ...parameters, user_id: "1&sig=2" },
    "an empty value": { ...parameters, user_id: "" },
    "a missing parameter": { expires_at: parameters.expires_at },
    "an additional parameter": { ...parameters, more: "1" },
  }
  for (const [name, wrong] of Object.entries(values))
    it(name, async ({ expect }) => {
      await expect(links.sign("PUT", PLACE, wrong)).rejects.toThrow(TypeError)
    })
})
