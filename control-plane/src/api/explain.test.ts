import { beforeEach, describe, it } from "vitest"
import type { ExplainRequest, Explanation } from "../../../contracts/platform.ts"
import { startControlPlane, type TestControlPlane } from "../../test/harness.ts"

let platform: TestControlPlane
let web: string
let answer: Explanation
let asked: ExplainRequest[]
beforeEach(async () => {
  asked = []
  platform = await startControlPlane(() => ({
    edge: {
      explain: async (request) => {
        asked.push(request)
        return answer
      },
    },
  }))
  web = await platform.team("web")
  await platform.send("PUT /v1/hostnames/open.example", { body: { team: null, open: true } })
})

const ask = (fields: Readonly<Record<string, unknown>> = {}, token: string | null = web) =>
  platform.send("POST /v1/explain", {
    body: { url: "https://open.example/x", ...fields },
    ...(token === null ? {} : { token }),
  })

/** What the edge says of a request that the first of `teams` gets, as their routes lie above one another. */
function explanationOf(...teams: readonly string[]): Explanation {
  const considered = teams.map((team) => ({ id: `${team}-route`, path: "/x/*", script: `${team}-script`, team }))
  return {
    configRevision: 3,
    steps: [
      { stage: "screen", says: "No check objects.", facts: {} },
      { stage: "route", says: `${teams[0]}-route (/x/*) is the most specific.`, facts: { considered } },
      { stage: "authenticate", says: "Refused.", facts: { issuers: ["secret-idp"] } },
      { stage: "release", says: `${teams[0]}-script--v7: chosen.`, facts: { releases: [{ version: 7 }] } },
    ],
    outcome: { kind: "dispatch", placedName: `${teams[0]}-script--v7`, audience: `script:${teams[0]}-script` },
  }
}

describe("explain: works", () => {
  it("shows a team all of its own route, and none of the others that would match", async ({ expect }) => {
    answer = explanationOf("web", "other")
    const { body } = await ask()
    expect(body.steps.map((step: { stage: string }) => step.stage)).toEqual(answer.steps.map((step) => step.stage))
    expect(body.outcome).toEqual(answer.outcome)
    expect(body.steps[1].facts.considered).toMatchObject([{ id: "web-route" }])
    expect(JSON.stringify(body)).not.toContain("other")
  })

  it("shows ops everything", async ({ expect }) => {
    answer = explanationOf("other", "web")
    expect((await ask({}, null)).body).toEqual(answer)
  })

  it("tells a team when no route matches", async ({ expect }) => {
    const outcome = { kind: "problem", code: "route.not-found", status: 404 } as const
    answer = {
      configRevision: 3,
      steps: [{ stage: "route", says: "No route matches.", facts: { considered: [] } }],
      outcome,
    }
    expect((await ask()).body).toEqual(answer)
  })
})

describe("explain: refuses", () => {
  for (const [pointer, fields] of Object.entries({
    "/headers/a b": { headers: { "a b": "x" } },
    "/headers/": { headers: { "": "x" } },
    "/headers/x~1y": { headers: { "x/y": "x" } },
    "/headers/accept": { headers: { "x-fine": "x", accept: "a\r\nb: c" } },
    "/method": { method: "CONNECT" },
  }))
    it(`refuses what cannot be sent, at ${pointer}, and asks the edge nothing`, async ({ expect }) => {
      const sent = await ask(fields)
      expect([sent.status, sent.body.code]).toEqual([400, "api.body-invalid"])
      expect(sent.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer])
      expect(asked).toEqual([])
    })

  for (const [name, [wrong, right]] of Object.entries({
    ip: ["nonsense", "2001:db8::1"],
    country: ["gb", "GB"],
    colo: ["", "LHR"],
    asn: [-1.5, 64_500],
    tls: ["1.3", "TLSv1.2"],
    bot: [1000, 99],
  }))
    it(`assumes no ${name} that there cannot be, and passes on one that there can`, async ({ expect }) => {
      answer = explanationOf("web")
      const refused = await ask({ facts: { [name]: wrong } })
      expect([refused.status, refused.body.errors[0].pointer, asked]).toEqual([400, `/facts/${name}`, []])
      expect((await ask({ facts: { [name]: right } })).status).toBe(200)
      expect(asked[0]?.facts).toEqual({ [name]: right })
    })

  it("asks about every usual method and header", async ({ expect }) => {
    answer = explanationOf("web")
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
      expect((await ask({ method, headers: { authorization: "Bearer x", "x-a_b": "ü" } })).status).toBe(200)
  })
})

describe("explain: security", () => {
  it("tells a team of another team's route nothing but that it is one", async ({ expect }) => {
    answer = explanationOf("other", "web")
    const { body } = await ask()
    expect(body.outcome.kind).toBe("withheld")
    expect(body.steps.map((step: { stage: string }) => step.stage)).toEqual(["screen", "route"])
    expect(JSON.stringify(body)).not.toMatch(/other-|secret-idp|v7|web-route/)
  })

  it("withholds what it cannot tell whose it is", async ({ expect }) => {
    const [screen, route] = explanationOf("other").steps
    if (screen === undefined || route === undefined) throw new Error("no step")
    answer = { ...explanationOf("other"), steps: [screen, { ...route, facts: {} }] }
    expect((await ask()).body.outcome.kind).toBe("withheld")
  })
})
