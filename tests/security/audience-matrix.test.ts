/**
 * Every passport at every verifier, on the running platform: what was made for one receiver is worth nothing at any other. The scripts are the example's own, each uploaded by
 * wrangler behind an entry that shows it the passport a request names: no request can do that, since the dispatcher takes the header off and a sibling dispatch replaces it.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import path from "node:path"
import { createRemoteJWKSet, customFetch, decodeJwt, jwtVerify } from "jose"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { experimental_readRawConfig } from "wrangler"
import { EXAMPLE_ISSUER_ID } from "../../emulator/cells/issuer.ts"
import { edgeRequest } from "../../emulator/edge-request.ts"
import { policyFor, SCRIPTS } from "../../emulator/example-layout.ts"
import { listen, type RunningServer } from "../../emulator/listen.ts"
import { startLegacyService } from "../../emulator/origins/legacy-service.ts"
import { startNewService } from "../../emulator/origins/new-service.ts"
import { ZONES } from "../../emulator/platform.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { load, ROOT } from "../harness.ts"

const TEAM = "matrix"
const ALICE = { subject: "alice", company: "100" }
const SCRIPT_NAMES = Object.keys(SCRIPTS)
/** Where a script checks its passport, when that is not everywhere. */
const CHECKED_AT: Readonly<Record<string, { readonly method: string; readonly path: string }>> = {
  pages: { method: "GET", path: "/webclients/request.json" },
}
const TXN_AUDIENCES = ["txn:billing", "txn:reports"]
const AUDIENCES = [
  ...ZONES.flatMap((zone) => [`cell:${zone}`, `fus:${zone}`]),
  ...["ecrion:legacy", "ecrion:new", ...TXN_AUDIENCES],
]

/** Gives away its passport, and shows one, its own or another's, where its own belongs: on a call that is going out, or to a sibling. */
const PROBER = `export default { async fetch(request, env) {
  if (request.method === "GET") return new Response(request.headers.get("x-passport"))
  const { audience, url, shown, sibling } = await request.json()
  const passport = shown ?? request.headers.get("x-passport")
  if (sibling) return env.PLATFORM.dispatch(sibling, new Request("https://any.example/", { headers: { "x-passport": passport } }))
  return fetch(url, { headers: { "x-passport": passport, "x-sallyport-audience": audience } })
} }`

interface Verifier {
  readonly name: string
  /** Whose passports it takes; null: nobody's. */
  readonly audience: string | null
  readonly accepts: (token: string) => Promise<boolean>
}

let platform: TestPlatform
let folder: string
const servers: RunningServer[] = []
const closing: (() => Promise<unknown>)[] = []
/** By audience, as the receiver got it. */
const captured = new Map<string, string>()
const verifiers: Verifier[] = []

beforeAll(async () => {
  platform = await startTestPlatform()
  const verifying = { issuer: platform.passportIssuer, edgeUrl: platform.edgeUrl, hostname: "api.procore.com", port: 0 }
  const services = {
    "ecrion:legacy": await startLegacyService(verifying),
    "ecrion:new": await startNewService(verifying),
  }
  closing.push(...Object.values(services).map((service) => () => service.close()))
  const recorder = await listening((audience, headers) => {
    const header = TXN_AUDIENCES.includes(audience) ? "txn-token" : "x-passport"
    if (!captured.has(audience)) captured.set(audience, String(headers[header]))
  })
  // All of one origin: the call says for which of them it is.
  const audiences = AUDIENCES.map((name) => [
    name,
    { origins: [recorder], ...(TXN_AUDIENCES.includes(name) ? { profile: "txn-token" } : {}) },
  ])
  const known = policyFor(platform).audiences as object
  await platform.api.put("/v1/policy/audiences", { ...known, ...Object.fromEntries(audiences) })
  const grants = [...AUDIENCES.map((name) => `audience:${name}`), ...SCRIPT_NAMES.map((name) => `dispatch:${name}`)]
  await platform.putTeam(TEAM, { grants })

  mkdirSync(path.join(ROOT, ".sallyport"), { recursive: true })
  folder = mkdtempSync(path.join(ROOT, ".sallyport", "matrix-"))
  for (const script of SCRIPT_NAMES) {
    const directory = writeWorker(script)
    // Some names are reserved: ops give them out.
    await platform.api.put(`/v1/scripts/${script}`, { team: TEAM })
    await platform.uploadWorker({ directory, team: TEAM, route: `https://${script}.example.com/*` })
  }
  await platform.uploadWorker({ source: PROBER, script: "prober", team: TEAM, route: "https://prober.example.com/*" })

  for (const script of SCRIPT_NAMES) verifiers.push(scriptVerifier(script))
  for (const zone of ZONES) verifiers.push(originVerifier(`cell:${zone}`, `${platform.cells[zone]}/a`))
  for (const [name, { url }] of Object.entries(services)) verifiers.push(originVerifier(name, `${url}/documents/1`))
  for (const name of TXN_AUDIENCES) verifiers.push(txnTokenVerifier(name))
  verifiers.push(...gatewayVerifiers(recorder), ...takersOfNone())
  await capture(recorder)
})

afterAll(async () => {
  await platform?.dispose()
  for (const close of closing) await close()
  for (const server of servers) await server.stop()
  if (folder !== undefined) rmSync(folder, { recursive: true })
})

describe("every passport at every verifier", () => {
  it("was captured at every receiver, made for that receiver and for the same subject", () => {
    expect([...captured.keys()].toSorted()).toEqual(
      [...AUDIENCES, ...[...SCRIPT_NAMES, "prober"].map((name) => `script:${name}`)].toSorted(),
    )
    for (const [audience, token] of captured)
      expect(decodeJwt(token)).toMatchObject({ aud: audience, sub: subjectFor(audience) })
    expect(new Set(captured.values()).size).toBe(captured.size)
  })

  it("is accepted where it was made for, and nowhere else", async () => {
    const cells = verifiers.flatMap((verifier) =>
      [...captured].map(([audience, token]) => ({ verifier, audience, token })),
    )
    const accepted: string[] = []
    await load(cells.length, 8, async (index) => {
      const cell = cells[index]
      if (cell !== undefined && (await cell.verifier.accepts(cell.token)))
        accepted.push(`${cell.audience} at ${cell.verifier.name}`)
      return new Response()
    })
    const diagonal = verifiers.flatMap(({ name, audience }) => (audience === null ? [] : [`${audience} at ${name}`]))
    expect(accepted.toSorted()).toEqual(diagonal.toSorted())
    expect(captured.size).toBeGreaterThanOrEqual(17)
    expect(verifiers.length).toBeGreaterThanOrEqual(17)
  })
})

/** A folder with the example script behind the entry below; without its bindings, which it needs only for whom it has let in. */
function writeWorker(script: string): string {
  const directory = path.join(folder, script)
  mkdirSync(directory)
  const source = path.join(ROOT, "user-workers", script)
  const { rawConfig } = experimental_readRawConfig({ config: path.join(source, "wrangler.toml") })
  const config = {
    name: script,
    main: "entry.ts",
    compatibility_date: rawConfig.compatibility_date,
    compatibility_flags: rawConfig.compatibility_flags ?? [],
    vars: rawConfig.vars ?? {},
  }
  writeFileSync(path.join(directory, "wrangler.json"), JSON.stringify(config))
  const real = JSON.stringify(path.relative(directory, path.join(source, "index.ts")))
  writeFileSync(
    path.join(directory, "entry.ts"),
    `import real from ${real}
     export default { fetch(request, env, context) {
       const shown = request.headers.get("x-shown")
       if (shown === null) return new Response(request.headers.get("x-passport"))
       const headers = new Headers(request.headers)
       headers.set("x-passport", shown)
       return real.fetch(new Request(request, { headers }), env, context)
     } }`,
  )
  return directory
}

async function listening(hear: (audience: string, headers: Record<string, unknown>) => void): Promise<string> {
  const server = createServer((request, response) => {
    hear(decodeURIComponent((request.url ?? "").slice(1)), request.headers)
    response.end("heard")
  })
  const running = await listen(server, 0)
  servers.push(running)
  return running.url
}

/** The passports that a request of alice brings each receiver. */
async function capture(recorder: string): Promise<void> {
  for (const script of [...SCRIPT_NAMES, "prober"]) {
    const response = await platform.fetch(`https://${script}.example.com/`, {}, ALICE)
    captured.set(`script:${script}`, await response.text())
  }
  for (const audience of AUDIENCES) {
    const response = await probe({ audience, url: `${recorder}/${audience}` })
    expect([audience, await response.text()]).toEqual([audience, "heard"])
  }
}

function probe(call: Readonly<Record<string, unknown>>): Promise<Response> {
  const init = { method: "POST", body: JSON.stringify(call) }
  return platform.fetch("https://prober.example.com/", init, ALICE)
}

/** Accepts: whatever it answers, if it is not that the passport is none. */
function scriptVerifier(script: string): Verifier {
  const { method, path: at } = CHECKED_AT[script] ?? { method: "PUT", path: "/matrix" }
  return {
    name: `script ${script}`,
    audience: `script:${script}`,
    accepts: async (token) => {
      const headers = { "x-shown": token }
      const response = await platform.fetch(`https://${script}.example.com${at}`, { method, headers }, ALICE)
      return (await codeOf(response)) !== "platform.passport-required"
    },
  }
}

function originVerifier(audience: string, url: string): Verifier {
  const accepts = async (token: string) => (await fetch(url, { headers: { "x-passport": token } })).status === 200
  return { name: `origin of ${audience}`, audience, accepts }
}

/** A Transaction Token names the provider with the subject. */
function subjectFor(audience: string): string {
  return TXN_AUDIENCES.includes(audience) ? `${EXAMPLE_ISSUER_ID}/${ALICE.subject}` : ALICE.subject
}

function txnTokenVerifier(audience: string): Verifier {
  const keys = createRemoteJWKSet(new URL("https://api.procore.com/.well-known/jwks.json"), {
    cooldownDuration: 0,
    [customFetch]: (url) => edgeRequest(platform.edgeUrl, url.toString()),
  })
  const options = { audience, issuer: platform.passportIssuer, typ: "txntoken+jwt", algorithms: ["ES256"] }
  const accepts = (token: string) =>
    jwtVerify(token, keys, options).then(
      () => true,
      () => false,
    )
  return { name: `receiver of ${audience}`, audience, accepts }
}

/** The dispatcher, where a script shows it the passport that it received: for a sibling, and on the way out for another. */
function gatewayVerifiers(recorder: string): Verifier[] {
  const [sibling] = SCRIPT_NAMES
  const audience = "script:prober"
  return [
    {
      name: "sibling dispatch by prober",
      audience,
      accepts: async (token) => (await probe({ shown: token, sibling })).status === 200,
    },
    {
      name: "passport exchange for prober",
      audience,
      accepts: async (token) => {
        const response = await probe({ shown: token, audience: "cell:us01", url: `${recorder}/cell:us01` })
        return (await response.text()) === "heard"
      },
    },
  ]
}

/** Who takes credentials of other kinds. */
function takersOfNone(): Verifier[] {
  const showAt = (ask: (headers: Record<string, string>) => Promise<Response>) => async (token: string) =>
    (await ask({ authorization: `Bearer ${token}` })).status === 200
  return [
    {
      name: "control plane",
      audience: null,
      accepts: showAt((headers) => fetch(`${platform.controlPlaneUrl}/v1/whoami`, { headers })),
    },
    {
      name: "dispatcher",
      audience: null,
      accepts: showAt((headers) => platform.fetch("https://prober.example.com/", { headers })),
    },
  ]
}

async function codeOf(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return (JSON.parse(text) as { code?: unknown }).code
  } catch {
    return undefined
  }
}
