/** The scoreboard for people: one page without a script. Names of fields come from the services' answers, so everything is escaped. */
import { html, raw } from "hono/html"
import type { FieldScore, RuleScore } from "./scoreboard.ts"

const STYLE = `body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%}caption{text-align:left;padding:.5rem 0}th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #ccc;vertical-align:top}
td.number{text-align:right;font-variant-numeric:tabular-nums}.scroll{overflow-x:auto}code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}th,td{border-color:#555}}`

/** The page as a response, under a policy that lets nothing in but its own style, which the digest names. */
export async function scoreboardPage(rules: readonly RuleScore[]): Promise<Response> {
  const page = await html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Strangler scoreboard</title><style>${raw(STYLE)}</style></head>
<body><main><h1>Strangler scoreboard</h1>
${rules.length === 0 ? html`<p>Nothing has been compared yet.</p>` : rules.map(section)}
</main></body></html>`
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(STYLE)))
  const style = `'sha256-${btoa(String.fromCharCode(...digest))}'`
  return new Response(String(page), {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; style-src ${style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  })
}

function section(rule: RuleScore) {
  const share = (percent: number | null) => (percent === null ? "–" : `${percent} %`)
  return html`<section><h2><code>${rule.path}</code>, round ${rule.round}</h2>
<p>${rule.compared} compared, ${share(rule.matchPercent)} match, <strong>${share(rule.noiseAdjustedMatchPercent)} without noise</strong>;
${rule.comparedWithoutBody} without body (over the cap), ${rule.skipped} skipped, ${rule.fallbacks} answered by fallback. Last seen <time>${rule.seenAt}</time>.</p>
${rule.areFieldsFull ? html`<p>No more fields are kept: others may differ.</p>` : ""}
${rule.fields.length === 0 ? html`<p>No field differed.</p>` : table(rule)}</section>`
}

function table({ path, fields }: RuleScore) {
  return html`<div class="scroll" role="region" aria-label="Fields of ${path}" tabindex="0"><table><caption>Fields that were not always as in the legacy answer</caption>
<thead><tr><th scope="col">Field</th><th scope="col">Difference</th><th scope="col">Verdict</th><th scope="col">Match</th><th scope="col">Without noise</th><th scope="col">Last example: legacy, new, request</th></tr></thead>
<tbody>${fields.map(row)}</tbody></table></div>`
}

function row({ field, kind, verdict, matchPercent, noiseAdjustedMatchPercent, examples: [example] }: FieldScore) {
  const last = example === undefined ? "–" : `${example.legacy}, ${example.new}, ${example.requestId}`
  return html`<tr><th scope="row"><code>${field}</code></th><td>${kind}</td><td>${verdict}</td><td class="number">${matchPercent} %</td><td class="number">${noiseAdjustedMatchPercent} %</td><td>${last}</td></tr>`
}
