/** Weights, stickiness and pins, over real requests through the dispatcher. */
import { beforeAll, describe, expect, it } from "vitest"
import { counted, load, textWorker, usePlatform } from "../harness.ts"

/** The hash is fixed, so a number of companies always gives the same share; release.test.ts asks it for 20,000, and so does `npm run bench -- full-size` here. */
const COMPANIES = Number(process.env.SALLYPORT_CANARY_COMPANIES ?? 6_000)
const LANES = 32
/** Company ids are as long as real ones: beyond what a number holds exactly. */
const FIRST_COMPANY = 562_949_953_421_312n

const platform = usePlatform()
const route = { hostname: "canary.example.com", script: "canary", stickyBy: "company" } as const
const split = (canaryBps: number) => [
  { version: 1, weightBps: 10_000 - canaryBps },
  { version: 2, weightBps: canaryBps },
]

beforeAll(async () => {
  await platform().uploadWorker({ source: textWorker("1"), script: "canary" })
  await platform().uploadWorker({ source: textWorker("2"), script: "canary" })
  await platform().putRoute("ten-percent", { ...route, path: "/ten/*", releases: split(1_000) })
  await platform().putRoute("half", { ...route, path: "/half/*", releases: split(5_000) })
})

/** The version that each company gets, by index. */
async function versionsAt(path: string, companies = COMPANIES): Promise<string[]> {
  const answers = await load(companies, LANES, (index) =>
    platform().fetch(
      `https://canary.example.com${path}`,
      {},
      { subject: `user-${index % 7}`, company: String(FIRST_COMPANY + BigInt(index)) },
    ),
  )
  expect(answers.filter((answer) => answer.status !== 200)).toEqual([])
  return answers.map((answer) => answer.body)
}
const shareOf = (versions: readonly string[]) => versions.filter((version) => version === "2").length / versions.length

describe("a canary by company", { timeout: 300_000 }, () => {
  let atTen: string[] = []

  it("gets its share within one point", async () => {
    atTen = await versionsAt("/ten/x")
    expect(Math.abs(shareOf(atTen) - 0.1)).toBeLessThan(0.01)
  })

  it("gives a company the same version on every request and path, whoever asks", async () => {
    expect(await versionsAt("/ten/another/path", 500)).toEqual(atTen.slice(0, 500))
  })

  it("holds other weights on another route of the same script", async () => {
    const atHalf = await versionsAt("/half/x")
    expect(Math.abs(shareOf(atHalf) - 0.5)).toBeLessThan(0.01)
  })

  it("moves no company back when the weight grows to 30 %", async ({ task }) => {
    await platform().putRoute("ten-percent", { ...route, path: "/ten/*", releases: split(3_000) })
    const atThirty = await versionsAt("/ten/x")
    const movedBack = atTen.flatMap((version, index) => (version === "2" && atThirty[index] !== "2" ? [index] : []))
    counted(task, "canary", { companies: atThirty.length, moved_back: movedBack.length })
    expect(movedBack).toEqual([])
    expect(Math.abs(shareOf(atThirty) - 0.3)).toBeLessThan(0.01)
  })
})

describe("a pin", () => {
  const url = "https://canary.example.com/pinned"
  const versionWith = async (headers: Record<string, string>) =>
    (await platform().fetch(url, { headers }, { subject: "alice", company: "100" })).text()

  beforeAll(() => platform().putRoute("pinned", { ...route, path: "/pinned", releases: split(0) }))

  it("gets its version whatever the weights say, when the control plane signed it", async () => {
    const { pin, header } = await platform().api.post<{ pin: string; header: string }>("/v1/scripts/canary/pins", {
      version: 2,
    })
    expect(await versionWith({})).toBe("1")
    expect(await versionWith({ [header]: pin })).toBe("2")
    const response = await platform().fetch(url, { headers: { [header]: pin } })
    expect((await platform().tripOf(response)).releasedBy).toBe("pin")
  })

  it("is ignored when it is unsigned, tampered with, or for another script", async () => {
    const { pin, header } = await platform().api.post<{ pin: string; header: string }>("/v1/scripts/canary/pins", {
      version: 2,
    })
    const [head = "", body = "", signature = ""] = pin.split(".")
    const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "release-pin+jwt" })).toString("base64url")
    await platform().uploadWorker({ source: textWorker("other"), script: "other" })
    const other = await platform().api.post<{ pin: string }>("/v1/scripts/other/pins", { version: 1 })
    for (const wrong of ["2", "canary--v2", `${head}.${body}.${flipped}`, `${none}.${body}.`, other.pin])
      expect(await versionWith({ [header]: wrong }), wrong).toBe("1")
  })
})

it("follows the script's own deployment on a route without weights of its own", async () => {
  await platform().putRoute("plain", { ...route, path: "/plain" })
  await platform().api.post("/v1/scripts/canary/deployments", { releases: split(10_000).slice(1) })
  await platform().waitForConfig()
  expect(await (await platform().fetch("https://canary.example.com/plain")).text()).toBe("2")
  await platform().api.post("/v1/scripts/canary/deployments", { releases: [{ version: 1, weightBps: 10_000 }] })
  await platform().waitForConfig()
  expect(await (await platform().fetch("https://canary.example.com/plain")).text()).toBe("1")
})
