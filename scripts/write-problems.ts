/**
 * Writes docs/problems.md from the table of problem codes: `node scripts/write-problems.ts`. A test holds the file to what this makes.
 */
import { writeFileSync } from "node:fs"
import path from "node:path"
import { PROBLEMS } from "../contracts/problem-codes.ts"

/** What the first word of a code says about who answers, and about what. A code of another area fails here. */
const AREAS: Readonly<Record<string, string>> = {
  edge: "refused at the entrance, before anything is known of the caller",
  route: "no route, or a route that is switched off or taken",
  auth: "who calls, and what they may",
  session: "sessions, listed and ended",
  revocation: "what is to be accepted no longer",
  login: "the login Worker",
  dispatch: "what became of the request behind the dispatcher",
  zone: "where a company lives",
  company: "which company a request is for",
  cell: "a cell behind a user Worker",
  config: "the published configuration",
  platform: "what a Worker asked of the gateway through its `PLATFORM` binding",
  dependency: "a service that a Worker of a team needs",
  service: "a service behind a user Worker",
  egress: "a call that a Worker made to the outside",
  report: "reports that browsers send",
  api: "the control plane's API",
  team: "teams",
  hostname: "hostnames",
  script: "scripts and their names",
  version: "versions of a script",
  deployment: "deployments of a script",
  upload: "what a team uploaded",
  keys: "the key ring of the passports",
  cloudflare: "Cloudflare's API behind the control plane",
  internal: "a bug of ours",
}

/** The whole of docs/problems.md. Throws for a code whose area has no description. */
export function problemsDocument(): string {
  const codes = Object.entries(PROBLEMS)
  const areas = [...new Set(codes.map(([code]) => areaOf(code)))]
  const sections = areas.map((area) => {
    const about = AREAS[area]
    if (about === undefined) throw new Error(`scripts/write-problems.ts does not describe the area ${area}`)
    const rows = codes
      .filter(([code]) => areaOf(code) === area)
      .map(([code, { status, title, fix }]) => `| \`${code}\` | ${status} | ${cell(title)} | ${cell(fix)} |`)
    return `## ${area}: ${about}\n\n| code | status | what | what to do |\n|---|---|---|---|\n${rows.join("\n")}\n`
  })
  return `# Problems

Generated from \`contracts/problem-codes.ts\` by \`node scripts/write-problems.ts\`; change it there.

Every refusal and failure of the gateway and of the control plane's API is an \`application/problem+json\` document (RFC 9457):
\`type\`, \`title\`, \`status\`, \`detail\`, \`instance\`, and beyond the RFC \`code\`, \`requestId\`, \`traceId\` where the request has one and, for faults in what was sent, \`errors\`
(each a JSON pointer and a sentence; of what is in the way of a removal, its path below \`/v1\`). Match on \`code\`: it never changes its meaning. \`type\` is a path on the same host that describes the code.
The door for wrangler under \`/client/v4\` puts the same codes into Cloudflare's own envelope.

${sections.join("\n")}`
}

function areaOf(code: string): string {
  return code.split(".")[0] ?? code
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|")
}

if (import.meta.main) writeFileSync(path.join(import.meta.dirname, "..", "docs", "problems.md"), problemsDocument())
