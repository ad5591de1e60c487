import { describe, expect, it } from "vitest"
import { dispatchConfigSchema } from "../../contracts/dispatch-config.ts"
import { MAX_REVOCATIONS_PER_CALL, type Revocation } from "../../contracts/revocation.ts"
import { exampleConfig } from "./example-config.ts"
import { revokeFor } from "./revoke.ts"
import { testBed } from "./test-dependencies.ts"

const LOGIN = { script: "login", team: "identity" }
const session = { target: { kind: "session", session: "S".repeat(43) }, reason: "logged out" } satisfies Revocation
const subject = {
  target: { kind: "subject", idp: "example-idp", subject: "alice" },
  reason: "asked for",
} satisfies Revocation

describe("revokeFor", () => {
  it("has the log keep what a team may revoke, in the name of its script, and says the bound", async () => {
    const { answer, appended } = await revoke([session, session])
    expect(answer).toEqual({ seq: 7, boundMs: 5_000 })
    expect(appended).toEqual([[[session, session], "script:login"]])
  })

  it("hands on when a session would have ended: nobody has to remember its revocation for longer", async () => {
    const ending = { ...session, sessionExpiresAtMs: 1_000 }
    expect((await revoke([ending])).appended).toEqual([[[ending], "script:login"]])
  })

  const refused: [string, unknown, string][] = [
    ["a kind that the team was not granted", [subject], "platform.not-granted"],
    ["one such among others that it was", [session, subject], "platform.not-granted"],
    ["everything", [{ target: { kind: "everything" }, reason: "mischief" }], "platform.not-granted"],
    ["a kind that there is not", [{ ...session, target: { kind: "planet" } }], "platform.argument-invalid"],
    ["nothing", [], "platform.argument-invalid"],
    ["what is no list", session, "platform.argument-invalid"],
    ["too many at once", Array(MAX_REVOCATIONS_PER_CALL + 1).fill(session), "platform.argument-invalid"],
    [
      "a session by its id's shape and not a handle's",
      [{ ...session, target: { kind: "session", session: "a" } }],
      "platform.argument-invalid",
    ],
    ["one without a reason", [{ target: session.target }], "platform.argument-invalid"],
    ["one with an actor of its own choice", [{ ...session, actor: "ops:eve" }], "platform.argument-invalid"],
  ]
  it.for(refused)("refuses %s, with nothing revoked", async ([, asked, code]) => {
    const appended: unknown[] = []
    await expect(revoke(asked, { appended })).rejects.toMatchObject({ code })
    expect(appended).toEqual([])
  })

  it("refuses another team's script, whatever its name", async () => {
    await expect(revoke([session], { caller: { script: "login", team: "storage" } })).rejects.toMatchObject({
      code: "platform.not-granted",
    })
  })

  for (const [said, code] of [
    ["revocation.log-full", "revocation.log-full"],
    ["revocation.invalid", "platform.argument-invalid"],
  ] as const)
    it(`says ${code} when the log takes nothing for ${said}`, async () => {
      await expect(revoke([session], { append: () => Promise.reject(new Error(said)) })).rejects.toMatchObject({ code })
    })

  for (const [name, append] of [
    ["fails", async () => Promise.reject(new Error("no such Worker"))],
    ["never answers", () => new Promise<never>(() => undefined)],
  ] as const)
    it(`says that it does not know when the log ${name}`, async () => {
      await expect(revoke([session], { append })).rejects.toMatchObject({ code: "platform.unavailable" })
    })
})

interface Circumstances {
  readonly caller?: typeof LOGIN
  readonly appended?: unknown[]
  readonly append?: () => Promise<never>
}

async function revoke(asked: unknown, { caller = LOGIN, appended = [], append }: Circumstances = {}) {
  const base = exampleConfig()
  const teams = { ...base.teams, identity: { grants: ["revoke:session"] } }
  const { deps } = await testBed(dispatchConfigSchema.parse({ ...base, teams }))
  const config = await deps.config.current(() => undefined)
  const log = {
    append: async (...given: unknown[]) => {
      if (append !== undefined) return append()
      appended.push(given)
      return { seq: 7, atMs: 1 }
    },
  }
  return { answer: await revokeFor(asked, caller, config, log, 20), appended }
}
