/** What ecrion answers itself: its scoreboard, and the rules that its team reads and writes. Both end any route that leads here, and are for those with a scope. */
import { boundedText } from "../../kit/bounded-text.ts"
import { refuse } from "../../kit/problem.ts"
import type { Scoreboard } from "../../kit/scoreboard.ts"
import { scoreboardPage } from "../../kit/scoreboard-page.ts"
import type { StoredDocument } from "../../kit/stored-document.ts"
import { parseStrangleRules, type StrangleRules } from "../../kit/strangle-rules.ts"
import { writeLog } from "../../kit/write-log.ts"
import type { Call } from "./env.ts"

/** `/documents/.strangler/scoreboard` on a route `/documents/*`. */
export const SCOREBOARD_PATH = "/.strangler/scoreboard"
export const RULES_PATH = "/.strangler/rules"
/** Bytes. */
const MAX_RULES_TEXT = 256 * 1024

export async function answerScoreboard(c: Call, scoreboard: Scoreboard): Promise<Response> {
  requireScope(c, c.env.SCOREBOARD_SCOPE)
  requireMethod(c, "GET, HEAD")
  const rules = await scoreboard.read(c.env.DB)
  const wantsPage = c.req.header("accept")?.includes("text/html") === true
  const response = wantsPage ? await scoreboardPage(rules) : Response.json({ rules })
  response.headers.set("cache-control", "no-store")
  response.headers.set("vary", "accept")
  return response
}

/**
 * `GET`: the newest rule set as it was written, its revision as ETag. `PUT` with that ETag in `If-Match`: refuses a set that does not parse
 * (`api.body-invalid`), one that is longer than 256 KiB or not UTF-8 (`api.too-large`), and one that is not on top of the newest (`api.precondition-failed`).
 */
export async function answerRules(c: Call, stored: StoredDocument<StrangleRules>): Promise<Response> {
  requireScope(c, c.env.RULES_SCOPE)
  requireMethod(c, "GET, HEAD, PUT")
  if (c.req.method === "PUT") return changeRules(c, stored)
  const newest = await stored.read(c.env.DB)
  const etag = `"${newest?.revision ?? 0}"`
  const headers = { "content-type": "application/json", "cache-control": "no-store", etag }
  return new Response(newest?.text ?? '{"rules":[]}', { headers })
}

async function changeRules(c: Call, stored: StoredDocument<StrangleRules>): Promise<Response> {
  if (!/^application\/json\b/i.test(c.req.header("content-type") ?? "")) throw refuse("api.media-type")
  const expected = /^"(0|[1-9][0-9]{0,14})"$/.exec(c.req.header("if-match") ?? "")?.[1]
  if (expected === undefined) throw refuse("api.precondition-failed")
  const text = await boundedText(c.req.raw, MAX_RULES_TEXT)
  if (text === null) throw refuse("api.too-large", { detail: "Send JSON in UTF-8, at most 256 KiB." })
  const parsed = parseStrangleRules(text)
  if (!parsed.ok) throw refuse("api.body-invalid", { errors: parsed.faults })
  const { idp = "", sub } = c.var.passport
  const revision = await stored.write(c.env.DB, text, Number(expected), `${idp}|${sub}`)
  if (revision === null) throw refuse("api.precondition-failed")
  const record = { event: "rules-changed", revision }
  writeLog(record)
  return new Response(null, { status: 204, headers: { etag: `"${revision}"` } })
}

function requireScope(c: Call, scope: string): void {
  const { kind, scope: held = "" } = c.var.passport
  if (kind === "anonymous" || scope === "" || !held.split(" ").includes(scope)) throw refuse("auth.not-allowed")
}

function requireMethod(c: Call, allow: string): void {
  if (!allow.split(", ").includes(c.req.raw.method)) throw refuse("edge.method-not-allowed", { headers: { allow } })
}
