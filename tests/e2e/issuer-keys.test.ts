/** An identity provider that changes its keys while requests come in: what the edge accepts, and from when on. Over real HTTP, in real time. */
import { createServer, type ServerResponse } from "node:http"
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { ECHO_WORKER } from "../../emulator/testing.ts"
import { usePlatform } from "../harness.ts"

const ISSUER = "https://rotating.example"
const URL_OF_ROUTE = "https://rotating.procore.com/x"
/** What is promised without an overlap. */
const BOUND_MS = 30_000

interface Pair {
  readonly kid: string
  readonly jwk: JWK
  token(): Promise<string>
}

async function pairOf(kid: string): Promise<Pair> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true })
  const token = () =>
    new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: "ES256", kid })
      .setIssuer(ISSUER)
      .setAudience("edge")
      .setSubject("alice")
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(privateKey)
  return { kid, jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" }, token }
}

/** What it answers, from now on; and how often it was asked. */
let answer: (response: ServerResponse) => void
let asked = 0
let running: RunningServer
const server = createServer((_request, response) => {
  asked++
  answer(response)
})
const say = (body: string) => {
  answer = (response) => void response.writeHead(200, { "content-type": "application/json" }).end(body)
}
const publish = (...pairs: readonly Pair[]) => say(JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) }))

const platform = usePlatform({}, async (running) => {
  await running.uploadWorker({ source: ECHO_WORKER, script: "echo" })
})
const [k1, k2, k3] = await Promise.all([pairOf("k1"), pairOf("k2"), pairOf("k3")])

beforeAll(async () => {
  running = await listen(server, 0)
  publish(k1)
  const before = await platform().api.get("/v1/policy/issuers")
  const rotating = {
    ...{ issuer: ISSUER, audiences: ["edge"], algorithms: ["ES256"] },
    ...{ jwks: { keys: [k1.jwk] }, jwksUri: `${running.url}/jwks` },
  }
  await platform().api.put("/v1/policy/issuers", { ...(before as object), rotating })
  await platform().api.put("/v1/hostnames/rotating.procore.com", { team: "test-team", open: false })
  await platform().api.put("/v1/routes/rotating", {
    ...{ hostname: "rotating.procore.com", path: "/*", script: "echo", team: "test-team" },
    auth: { mode: "required", issuers: ["rotating"] },
  })
  await platform().waitForConfig()
})
afterAll(async () => {
  await running.stop()
})

async function statusWith(pair: Pair): Promise<number> {
  const headers = { authorization: `Bearer ${await pair.token()}` }
  return (await platform().fetch(URL_OF_ROUTE, { headers })).status
}

/** Milliseconds until `isThere`; rejects after `limitMs`. */
async function until(isThere: () => boolean | Promise<boolean>, limitMs: number): Promise<number> {
  const begun = performance.now()
  while (!(await isThere())) {
    if (performance.now() - begun > limitMs) throw new Error(`not within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return performance.now() - begun
}

async function issuerStatus(): Promise<{ ageS: number | null; fault: string | null } | undefined> {
  const { issuers } = (await platform().api.get("/v1/status")) as {
    issuers: { id: string; ageS: number | null; fault: string | null }[]
  }
  return issuers.find(({ id }) => id === "rotating")
}

describe("keys of an issuer", () => {
  it("rotate with an overlap and no valid token is refused; without one, within 30 s; a garbage key set changes nothing", async () => {
    void platform().runSchedule()
    await until(async () => (await issuerStatus())?.fault === null, 5_000)
    expect(await statusWith(k1)).toBe(200)

    // Published before its use: the old one signs until the edge has seen the new one.
    publish(k1, k2)
    const askedBefore = asked
    void platform().runSchedule()
    let refused = 0
    const published = until(async () => {
      if ((await statusWith(k1)) !== 200) refused++
      return asked > askedBefore && (await statusWith(k2)) === 200
    }, BOUND_MS)
    await published
    expect([await statusWith(k1), await statusWith(k2), refused]).toEqual([200, 200, 0])

    // From one moment to the next: the first tokens come before anybody here has heard of the key.
    publish(k3)
    expect(await statusWith(k3)).toBe(401)
    const lagMs = await until(async () => (await statusWith(k3)) === 200, BOUND_MS)
    expect(lagMs).toBeLessThan(BOUND_MS)
    expect([await statusWith(k1), await statusWith(k2)]).toEqual([401, 401])

    // Whatever comes instead of keys.
    for (const garbage of ["<html>", '{"keys":[]}', JSON.stringify({ keys: [{ kty: "oct", kid: "k3", k: "AAAA" }] })]) {
      say(garbage)
      void platform().runSchedule()
      await until(async () => (await issuerStatus())?.fault !== null, 5_000)
      expect(await statusWith(k3)).toBe(200)
      publish(k3)
      void platform().runSchedule()
      await until(async () => (await issuerStatus())?.fault === null, 5_000)
    }
    // The figure, for the record.
    process.stdout.write(`rotation without overlap: accepted after ${Math.round(lagMs)} ms\n`)
  }, 180_000)

  it("are given up on when they do not come within 5 s, body included", async () => {
    answer = (response) => void response.writeHead(200, { "content-type": "application/json" }).write('{"keys":[')
    void platform().runSchedule()
    await until(async () => (await issuerStatus())?.fault === "gave no answer within 5 s", 10_000)
    expect(await statusWith(k3)).toBe(200)
    publish(k3)
    void platform().runSchedule()
    await until(async () => (await issuerStatus())?.fault === null, 5_000)
  }, 30_000)

  it("are fetched by nobody because of a token: a thousand unknown key ids cause no question", async () => {
    const strange = await pairOf("nobody")
    const before = asked
    const begun = performance.now()
    const answers: number[] = []
    let next = 0
    const ask = async () => {
      while (next < 1_000) {
        const token = (await strange.token()).split(".")
        token[0] = Buffer.from(JSON.stringify({ alg: "ES256", kid: `x${next++}` })).toString("base64url")
        const headers = { authorization: `Bearer ${token.join(".")}` }
        answers.push((await platform().fetch(URL_OF_ROUTE, { headers })).status)
      }
    }
    await Promise.all(Array.from({ length: 10 }, ask))
    expect(new Set(answers)).toEqual(new Set([401]))
    // The schedules alone ask, every 20 s each; a few of this file's are under way.
    expect(asked - before).toBeLessThanOrEqual(10 * Math.ceil((performance.now() - begun) / 20_000))
  }, 120_000)
})
