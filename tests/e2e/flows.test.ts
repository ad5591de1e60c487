/**
 * The five ways a request takes through the example of `npm start`, with real clients, the Workers as wrangler deploys them, and every origin: what arrives is right,
 * and the trace of each is one connected tree, from the dispatcher to the origin.
 */
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type EdgeRequestInit, edgeRequest } from "../../emulator/edge-request.ts"
import { ALICE } from "../../emulator/example-layout.ts"
import { type ExampleOrigins, type StartedOrigins, startExampleOrigins } from "../../emulator/example-origins.ts"
import type { SpanTree } from "../../emulator/origins/otlp-receiver.ts"
import { type Platform, startPlatform } from "../../emulator/platform.ts"
import { loadSecrets } from "../../emulator/secrets.ts"
import { seedPolicy, seedRoutes } from "../../emulator/seed.ts"
import { uploadExamples } from "../../emulator/upload.ts"
import { anyPorts } from "../harness.ts"

let stateDir: string
let started: StartedOrigins
let platform: Platform
let origins: ExampleOrigins

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), "sallyport-flows-"))
  const ports = await anyPorts()
  started = await startExampleOrigins(ports)
  platform = await startPlatform({ stateDir, ports, otlpEndpoint: started.traces.url })
  origins = await started.join(platform, await loadSecrets(stateDir))
  const seeded = await seedPolicy(platform, origins)
  await uploadExamples(platform, seeded, origins, () => undefined)
  await seedRoutes(platform)
})
afterAll(async () => {
  await platform?.dispose()
  await started?.stop()
  await rm(stateDir, { recursive: true, force: true, maxRetries: 3 })
})

/** As alice, unless there is a credential of no kind to be shown. */
async function send(
  url: string,
  init: EdgeRequestInit & { readonly anonymous?: boolean; readonly company?: string } = {},
) {
  const { anonymous = false, company = ALICE.company, headers = {}, ...rest } = init
  const credential = anonymous ? {} : { authorization: `Bearer ${platform.issueToken({ ...ALICE, company })}` }
  const sent = { ...(headers as Record<string, string>), ...credential }
  return edgeRequest(platform.edgeUrl, url, { ...rest, headers: sent })
}

/** `service kind` of each span, the children of each indented below it, once there are `count`. */
async function treeOf(response: Response, count: number): Promise<string[]> {
  const [trip] = await platform.trips({ requestId: response.headers.get("x-request-id") ?? "" })
  const traceId = trip?.traceId ?? ""
  await started.traces.arrived(traceId, count)
  const lines = ({ span, children }: SpanTree, level: number): string[] => [
    `${"  ".repeat(level)}${span.service} ${span.kind}`,
    ...children.flatMap((child) => lines(child, level + 1)),
  ]
  return lines(started.traces.tree(traceId), 0)
}

describe("a flow", () => {
  it("of an API client goes by router and gateway to the cell of its company", async () => {
    const response = await send("https://api.procore.com/rest/v1.0/projects?secret=canary", {
      headers: { "procore-company-id": "100" },
    })
    expect(await response.json()).toMatchObject({ cell: "us01", passport: { aud: "cell:us01", sub: "alice" } })
    expect(await treeOf(response, 7)).toEqual([
      "sallyport-dispatcher server",
      "  router server",
      "    router client",
      "      sallyport-dispatcher server",
      "        gateway server",
      "          gateway client",
      "            cell-us01 server",
    ])
  })

  it("of a web client goes by the gateway to its cell", async () => {
    const response = await send("https://us02.procore.com/projects", { company: "200" })
    expect(await response.json()).toMatchObject({ cell: "us02", passport: { aud: "cell:us02" } })
    expect(await treeOf(response, 4)).toEqual([
      "sallyport-dispatcher server",
      "  gateway server",
      "    gateway client",
      "      cell-us02 server",
    ])
  })

  it("of a browser gets a single-page application from pages", async () => {
    const response = await send("https://app.procore.com/webclients/projects/", { anonymous: true })
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(await response.text()).toContain("<!doctype html>")
    expect(await treeOf(response, 2)).toEqual(["sallyport-dispatcher server", "  pages server"])
  })

  it.each(["100", "200", "300"])(
    "of an upload for company %s asks the service and streams to its store",
    async (company) => {
      const content = randomBytes(2 * 1024 * 1024 + 3)
      const sha256 = createHash("sha256").update(content).digest("hex")
      const created = await fetch(`${origins.fileUpload}/rest/v2.1/companies/${company}/uploads`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ file_name: "plan.pdf", file_size: content.length, sha256 }),
      })
      const { data } = (await created.json()) as {
        data: { segments: [{ url: string; headers: Record<string, string> }] }
      }
      const [{ url, headers }] = data.segments
      const response = await send(url, { method: "PUT", headers, body: content, anonymous: true })
      expect(response.status, await response.clone().text()).toBe(200)
      expect(response.headers.get("etag")).toMatch(/\S/)
      expect(await treeOf(response, 7)).toEqual([
        "sallyport-dispatcher server",
        "  files server",
        "    files client",
        "      file-upload-service server",
        "    files client",
        "    files client",
        "      file-upload-service server",
      ])
    },
  )

  it("through the strangler is answered by the old service while the new one is compared", async () => {
    const operator = platform.issueToken({ ...ALICE, subject: "olga", scope: "ecrion:read ecrion:write" })
    const asOperator = { authorization: `Bearer ${operator}` }
    const ops = (url: string, init: EdgeRequestInit = {}) =>
      edgeRequest(platform.edgeUrl, url, { ...init, headers: { ...(init.headers as object), ...asOperator } })
    const rules = "https://app.procore.com/documents/.strangler/rules"
    const before = await ops(rules)
    const put = await ops(rules, {
      method: "PUT",
      headers: { "content-type": "application/json", "if-match": before.headers.get("etag") ?? "" },
      body: JSON.stringify({ rules: [{ path: "/documents/*", mode: "shadow" }] }),
    })
    expect(put.status, await put.clone().text()).toBe(204)
    const response = await send("https://app.procore.com/documents/7")
    expect(response.headers.get("x-strangler")).toBe("legacy")
    expect(await response.json()).toMatchObject({ id: 7 })
    const tree = await treeOf(response, 8)
    expect(tree.slice(0, 2)).toEqual(["sallyport-dispatcher server", "  ecrion server"])
    const called = tree.filter((line) => line.endsWith("-service server")).map((line) => line.trim())
    expect(called.sort()).toEqual(["legacy-service server", "legacy-service server", "new-service server"])
  })
})

it("leaves no query, credential or passport in any exported byte", () => {
  const exported = started.traces.payloads().map((payload) => payload.toString("latin1"))
  expect(exported.length).toBeGreaterThan(10)
  for (const text of exported) {
    expect(text).not.toContain("canary")
    expect(text).not.toMatch(/[Ss]ig(?:nature)?=|eyJ[A-Za-z0-9_-]{10}|Bearer/)
  }
})
