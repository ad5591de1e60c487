/** A small SVG of a comparison: one dot per pair and the median as a line, so that the spread is seen and not only named. */

import type { Result } from "./benchmark.ts"
import type { Comparison } from "./compare.ts"

const WIDTH = 640
const HEIGHT = 200
const MARGIN = 48

/** Null when the result holds no comparison. */
export function plotOf(name: string, { detail }: Result): string | null {
  const comparison = detail.comparison as Comparison | undefined
  if (comparison === undefined) return null
  const ratios = comparison.pairs.map(
    ({ baseline, candidate }) => candidate.requestsPerSecond / baseline.requestsPerSecond,
  )
  const top = Math.max(1, ...ratios) * 1.05
  const x = (index: number) => MARGIN + ((index + 0.5) * (WIDTH - 2 * MARGIN)) / ratios.length
  const y = (value: number) => HEIGHT - MARGIN + ((2 * MARGIN - HEIGHT) * value) / top
  const line = (value: number, colour: string, dash: string) =>
    `<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${y(value)}" y2="${y(value)}" stroke="${colour}" stroke-dasharray="${dash}"/>`
  const label = (value: number, text: string) => `<text x="4" y="${y(value) + 4}">${text}</text>`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
<text x="${MARGIN}" y="20" font-size="13">${name}: requests per second, ratio per pair; median ${comparison.ratio.median.toFixed(3)}</text>
${line(1, "#bbb", "4 3")}${label(1, "1.0")}${line(0, "#333", "")}${label(0, "0")}
${line(comparison.ratio.median, "#c33", "")}
${ratios.map((ratio, index) => `<circle cx="${x(index).toFixed(1)}" cy="${y(ratio).toFixed(1)}" r="4" fill="#258"><title>pair ${index + 1}: ${ratio.toFixed(3)}</title></circle>`).join("\n")}
<text x="${MARGIN}" y="${HEIGHT - 16}">${ratios.length} interleaved pairs</text>
</svg>
`
}
