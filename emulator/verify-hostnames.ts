/** One request per example route through the running edge, and proof from the other end that the passport was accepted there. */
import type { CellEcho } from "./cells/cell.ts"
import { edgeRequest } from "./edge-request.ts"
import { ALICE } from "./example-layout.ts"
import type { Platform } from "./platform.ts"

/** An example request, as the printed curl commands make it. */
export interface Example {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Company of the token that it needs; null for none. */
  readonly company: string | null
}

export const EXAMPLES: readonly Example[] = [
  {
    url: "https://api.procore.com/rest/v1.0/projects",
    headers: { "procore-company-id": "100" },
    company: "100",
  },
  { url: "https://app.procore.com/projects", headers: {}, company: "100" },
  { url: "https://app.procore.com/webclients/", headers: {}, company: null },
  { url: "https://storage.procore.com/rest/v2.1/uploads/health", headers: {}, company: null },
  { url: "https://us02.procore.com/projects", headers: {}, company: "200" },
  { url: "https://app.uk01.procore.com/projects", headers: {}, company: "300" },
]

export interface VerifiedRow {
  readonly hostname: string
  readonly path: string
  readonly script: string
  readonly version: string
  /** Of the cell that answered; empty where no cell is involved. */
  readonly zone: string
  readonly status: number
  /** Wall-clock milliseconds of the second of two requests: the first also loads the Worker. */
  readonly ms: number
  /** Null when all is as it should be. */
  readonly fault: string | null
}

/** Sends every example twice and looks at the second answer. */
export async function verifyHostnames(platform: Platform): Promise<VerifiedRow[]> {
  const rows: VerifiedRow[] = []
  for (const example of EXAMPLES) {
    const { company } = example
    const credential = company === null ? {} : { authorization: `Bearer ${platform.issueToken({ ...ALICE, company })}` }
    const headers = { ...example.headers, ...credential }
    const first = await edgeRequest(platform.edgeUrl, example.url, { headers })
    await first.arrayBuffer()
    const startedAt = performance.now()
    const response = await edgeRequest(platform.edgeUrl, example.url, { headers })
    const text = await response.text()
    rows.push(rowOf(example, response, text, performance.now() - startedAt))
  }
  return rows
}

function rowOf(example: Example, response: Response, text: string, ms: number): VerifiedRow {
  const { hostname, pathname } = new URL(example.url)
  const [script = "", version = ""] = (response.headers.get("x-sallyport-release") ?? "").split("--")
  const echo = example.company === null ? null : readEcho(text)
  return {
    hostname,
    path: pathname,
    script,
    version,
    zone: echo?.cell ?? "",
    status: response.status,
    ms,
    fault: faultOf(example, response, text, echo),
  }
}

function faultOf(example: Example, response: Response, text: string, echo: CellEcho | null): string | null {
  if (response.status !== 200) return text.slice(0, 300)
  if (example.company === null) return null
  if (echo === null) return "the answer is not a cell's"
  if (echo.passport.aud !== `cell:${echo.cell}` || echo.passport.sub !== ALICE.subject)
    return "the cell saw another passport"
  return null
}

function readEcho(text: string): CellEcho | null {
  try {
    const value = JSON.parse(text) as CellEcho
    return typeof value.cell === "string" && typeof value.passport === "object" ? value : null
  } catch {
    return null
  }
}
