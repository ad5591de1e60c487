/**
 * The passports' keys change while requests flow: rotated twice, rolled back, rotated again. Nobody who is valid is refused, neither by the dispatcher, which checks the passport
 * of whoever dispatches to a sibling, nor by a backend, which knows the gateway by its key set alone. Times are short here; contracts/passport-keys.test.ts holds the long ones.
 * SALLYPORT_ROTATION_REQUESTS says how many (default 3000; `npm run bench -- full-size` sends 100000).
 */
import { describe, expect, it } from "vitest"
import type { KeyRing } from "../../contracts/api.ts"
import { passportVerifier } from "../../emulator/cells/verify-passport.ts"
import { edgeRequest } from "../../emulator/edge-request.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
import { counted, eventually, sallyport, usePlatform } from "../harness.ts"

const REQUESTS = Number(process.env.SALLYPORT_ROTATION_REQUESTS ?? 3_000)
const LANES = 16
const TIMEOUT_MS = 120_000 + 20 * REQUESTS
/** Seconds that a key is published before it signs. */
const LEAD_S = 3
/** Many, so that there are always passports to make, and few enough that most are handed out again. */
const SUBJECTS = 40

/** Sends on to the sibling, which answers with what it received. */
const RELAY = `export default {
  fetch(request, env) {
    return env.PLATFORM.dispatch("echo", request)
  },
}
`
const URL = "https://app.example.com/relay"

const platform = usePlatform({ vars: { controlPlane: { PASSPORT_KEY_LEAD_S: String(LEAD_S) } } }, async (started) => {
  await started.putTeam("relay-team", { grants: ["dispatch:echo"] })
  await started.uploadWorker({ source: ECHO_WORKER, script: "echo", team: "echo-team" })
  await started.uploadWorker({ source: RELAY, script: "relay", team: "relay-team", route: URL })
})

const keys = async (): Promise<KeyRing["keys"]> => (await platform().api.get<KeyRing>("/v1/keys")).keys
const current = async () => (await keys()).find((key) => key.state === "current")?.kid
const kidOf = (passport: string) => JSON.parse(Buffer.from(passport.split(".")[0] ?? "", "base64url").toString()).kid
const cli = (...line: string[]) => sallyport(platform(), platform().opsToken, ...line)

/** The kid with which the edge signs now. */
async function signing(): Promise<string> {
  const response = await edgeRequest(platform().edgeUrl, "https://app.example.com/.sallyport/version")
  return ((await response.json()) as { passportKeys: { signing: string } }).passportKeys.signing
}

/** The kids of the key set. */
async function published(): Promise<string[]> {
  const response = await edgeRequest(platform().edgeUrl, "https://app.example.com/.well-known/jwks.json")
  return ((await response.json()) as { keys: { kid: string }[] }).keys.map((key) => key.kid)
}

describe("the keys of the passports", () => {
  it(
    `change four times during ${REQUESTS} requests without one that is refused, at the edge or by a backend`,
    async ({ task }) => {
      const verify = backend()
      const tokens = Array.from({ length: SUBJECTS }, (_, index) => platform().issueToken({ subject: `s${index}` }))
      const wrong: string[] = []
      const signed = new Map<string, number>()
      let sent = 0
      let isOver = false
      const lane = async () => {
        while (sent < REQUESTS || !isOver) {
          const authorization = `Bearer ${tokens[sent++ % SUBJECTS]}`
          const response = await edgeRequest(platform().edgeUrl, URL, { headers: { authorization } })
          const text = await response.text()
          const passport = response.status === 200 ? String(JSON.parse(text).headers["x-passport"]) : ""
          const verdict = passport === "" ? null : await verify({ "x-passport": passport })
          if (verdict?.ok !== true) wrong.push(`${response.status} ${verdict === null ? text : verdict.reason}`)
          else signed.set(kidOf(passport), (signed.get(kidOf(passport)) ?? 0) + 1)
        }
      }
      const lanes = Promise.all(Array.from({ length: LANES }, lane))
      const steps = await changes(() => sent).finally(() => {
        isOver = true
      })
      await lanes

      counted(task, "rotation", { requests: sent, refused: wrong.length, keys: signed.size })
      expect(wrong).toEqual([])
      expect([...signed.keys()].toSorted()).toEqual([...new Set(steps)].toSorted())
      for (const count of signed.values()) expect(count).toBeGreaterThan(LANES)
    },
    TIMEOUT_MS,
  )

  it("are changed by the command line, which shows the ring and the edge's part in it", async () => {
    const before = await current()
    const rotated = await cli("keys", "rotate", "-m", "by hand")
    expect([rotated.code, rotated.stderr]).toEqual([0, ""])
    expect(rotated.stdout).toMatch(/is published and signs from/)
    const taken = await cli("keys", "rollback")
    expect(taken.stdout).toContain("taken-back")
    const listed = await cli("keys", "list")
    expect(listed.stdout).toContain(`${before}  current`)
    expect(listed.stdout).not.toContain("cannot open")
    expect(await signing()).toBe(before)
  })

  it("sign at once in an emergency, a backend of the verify kit goes along, and the leaked key leaves the key set when it is revoked", async () => {
    const verify = backend()
    const before = await current()
    const done = await cli("keys", "rotate", "--immediately", "--yes", "-m", "leaked")
    expect([done.code, done.stderr]).toEqual([0, ""])
    const after = await current()
    expect(after).not.toBe(before)
    await eventually(10_000, async () => ((await signing()) === after ? true : null))
    const { headers } = (await (await platform().fetch(URL, {}, { subject: "zoe" })).json()) as {
      headers: Record<string, string>
    }
    expect(kidOf(headers["x-passport"] ?? "")).toBe(after)
    expect(await verify({ "x-passport": headers["x-passport"] ?? "" })).toMatchObject({ ok: true })

    expect(await published()).toContain(before)
    const revoked = await cli("revocations", "create", "key", "passports", before ?? "", "-m", "leaked")
    expect([revoked.code, revoked.stderr]).toEqual([0, ""])
    await eventually(10_000, async () => ((await published()).includes(before ?? "") ? null : true))
    expect((await platform().fetch(URL, {}, { subject: "zoe" })).status).toBe(200)
  })
})

/** A backend of the sibling's audience, which has just started. */
function backend() {
  const { passportIssuer, edgeUrl } = platform()
  return passportVerifier({ issuer: passportIssuer, audience: "script:echo", edgeUrl, hostname: "app.example.com" })
}

/** Gives the kid that signs after each step; each goes on for a share of the requests. */
async function changes(sent: () => number): Promise<string[]> {
  const seen = [await signing()]
  const step = async (change: () => Promise<unknown>) => {
    const before = seen.at(-1)
    await change()
    seen.push(await eventually(30_000, async () => ((await signing()) === before ? null : signing())))
    const until = sent() + REQUESTS / 5
    await eventually(TIMEOUT_MS, async () => (sent() >= until ? true : null))
  }
  const rotate = () => platform().api.post("/v1/keys/rotate", {})
  await step(rotate)
  await step(rotate)
  await step(() => platform().api.post("/v1/keys/rollback", {}))
  expect(seen[3]).toBe(seen[1])
  await step(rotate)
  return seen
}
