/** The running platform with four isolates of the dispatcher, two at each of two locations, and a Worker behind them that revokes through its platform binding. */
import { readFile } from "node:fs/promises"
import path from "node:path"
import type { Revocation, RevocationTarget } from "../../contracts/revocation.ts"
import { SESSION_COOKIE } from "../../contracts/session.ts"
import { EXAMPLE_ISSUER_ID } from "../../emulator/cells/issuer.ts"
import { edgeRequest } from "../../emulator/edge-request.ts"
import { startTestPlatform, type TestPlatform } from "../../emulator/testing.ts"
import { sealSession } from "../../kit/session-cookie.ts"

export const COLOS = ["AMS", "AMS", "CDG", "CDG"] as const
export const BOUND_MS = 5_000
const HOSTNAME = "bench.example.com"
const TEAM = "bench-team"
const HOUR_MS = 3_600_000

/** Answers, and revokes what a POST says: by the isolate that the request came to. */
const WORKER = `export default {
  async fetch(request, env) {
    if (request.method !== "POST") return new Response("ok")
    return Response.json(await env.PLATFORM.revoke(await request.json()))
  },
}`

export interface Credential {
  readonly headers: Readonly<Record<string, string>>
  readonly target: RevocationTarget
}

export interface Arms extends AsyncDisposable {
  readonly platform: TestPlatform
  /** A credential of a person of this name, by a token or by a session, and what revokes it. */
  token(name: string): Credential
  session(name: string): Promise<Credential>
  /** What this isolate answers. */
  statusAt(edge: number, credential: Credential): Promise<number>
  /** Through the first isolate. */
  revoke(revocations: readonly Revocation[]): Promise<void>
}

/** All credentials of a person of the example identity provider. */
export function subject(name: string): RevocationTarget {
  return { kind: "subject", idp: EXAMPLE_ISSUER_ID, subject: name }
}

export async function startArms(): Promise<Arms> {
  const platform = await startTestPlatform({ edges: COLOS.length })
  try {
    await platform.putTeam(TEAM, { grants: ["revoke:subject", "revoke:session"] })
    await platform.uploadWorker({ source: WORKER, script: "bench", team: TEAM })
    await platform.putRoute("bench", { hostname: HOSTNAME, path: "/*", script: "bench", team: TEAM, auth: "required" })
    const auth = { mode: "required", issuers: [EXAMPLE_ISSUER_ID], scopes: [], accept: ["bearer", "session"] }
    await platform.api.put("/v1/routes/bench", { hostname: HOSTNAME, path: "/*", script: "bench", team: TEAM, auth })
    await platform.waitForConfig()
    const { sessionKeys } = JSON.parse(await readFile(path.join(platform.stateDir, "secrets.json"), "utf8")) as {
      sessionKeys: string
    }
    const ask = (edge: number, headers: Readonly<Record<string, string>>, body?: string) => {
      const cf = { "x-local-cf": JSON.stringify({ colo: COLOS[edge] }) }
      const init = body === undefined ? {} : { method: "POST", body }
      return edgeRequest(platform.edgeUrls[edge] ?? "", `https://${HOSTNAME}/`, {
        ...init,
        headers: { ...headers, ...cf },
      })
    }
    const token = (name: string): Credential => ({
      headers: { authorization: `Bearer ${platform.issueToken({ subject: name })}` },
      target: subject(name),
    })
    const arms: Arms = {
      platform,
      token,
      session: async (name) => {
        const now = Date.now()
        const times = { authenticatedAtMs: now, createdAtMs: now, expiresAtMs: now + HOUR_MS, idleS: 3_600 }
        const seal = { idp: EXAMPLE_ISSUER_ID, subject: name, scopes: [], company: null, level: 1, ...times }
        const { handle, cookieValue } = await sealSession(seal, sessionKeys)
        return {
          headers: { cookie: `${SESSION_COOKIE}=${cookieValue}` },
          target: { kind: "session", session: handle },
        }
      },
      statusAt: async (edge, { headers }) => {
        const response = await ask(edge, headers)
        await response.arrayBuffer()
        return response.status
      },
      revoke: async (revocations) => {
        const response = await ask(0, token("bench-ops").headers, JSON.stringify(revocations))
        const text = await response.text()
        if (!response.ok) throw new Error(`The revocation was answered ${response.status}: ${text.slice(0, 300)}`)
      },
      [Symbol.asyncDispose]: () => platform.dispose(),
    }
    await everyEdgeAnswers(arms)
    return arms
  } catch (thrown) {
    await platform.dispose()
    throw thrown
  }
}

/** Only the first isolate is told of a new config at once. */
async function everyEdgeAnswers(arms: Arms): Promise<void> {
  const until = performance.now() + 15_000
  for (const [edge] of COLOS.entries()) {
    for (;;) {
      const statuses = [
        await arms.statusAt(edge, arms.token("ready")),
        await arms.statusAt(edge, await arms.session("ready")),
      ]
      if (statuses.every((status) => status === 200)) break
      if (performance.now() > until) throw new Error(`Edge ${edge + 1} answers ${statuses.join(" and ")}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
