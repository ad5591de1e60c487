/** Release weights as people write them: `12=90 13=10` in percent, or `12` alone for all traffic. */
import type { ReleaseWeight } from "../contracts/dispatch-config.ts"
import { Failure } from "./failure.ts"

const PERCENT_BPS = 100
const FULL_PERCENT = 100

/** @throws Failure naming the word that cannot be read, or a sum other than 100 %. */
export function parseReleases(words: readonly string[]): ReleaseWeight[] {
  const parsed = words.map(parseRelease)
  const [only] = parsed
  if (only !== undefined && parsed.length === 1 && only.percent === null)
    return [{ version: only.version, weightBps: FULL_PERCENT * PERCENT_BPS }]
  const releases = parsed.map(({ version, percent }, index) => {
    if (percent === null) throw unreadable(words[index] ?? "", "it has no weight")
    return { version, weightBps: percent }
  })
  const sum = releases.reduce((total, each) => total + each.weightBps, 0)
  if (sum !== FULL_PERCENT * PERCENT_BPS)
    throw new Failure(`The weights sum to ${sum / PERCENT_BPS} %, not 100 %`, {
      where: words.join(" "),
      fix: "Give percentages that sum to 100, such as 12=90 13=10.",
    })
  return releases
}

/** `12 90 %, 13 10 %`. */
export function releasesText(releases: readonly ReleaseWeight[] | null | undefined): string {
  if (releases === null || releases === undefined) return "none"
  return releases.map(({ version, weightBps }) => `v${version} ${weightBps / PERCENT_BPS} %`).join(", ")
}

/** `percent` in basis points; null when the word is a bare version. */
function parseRelease(word: string): { version: number; percent: number | null } {
  const match = /^v?([1-9][0-9]{0,8})(?:=([0-9]{1,3})(?:\.([0-9]{1,2}))?%?)?$/.exec(word)
  if (match === null) throw unreadable(word, "it is not version=percent")
  const [, version, whole, fraction = ""] = match
  const percent = whole === undefined ? null : Number(whole) * PERCENT_BPS + Number(fraction.padEnd(2, "0"))
  return { version: Number(version), percent }
}

function unreadable(word: string, why: string): Failure {
  return new Failure(`Cannot read the release "${word}"`, {
    why,
    fix: "Write version=percent with at most two decimals, such as 12=90 13=10, or one version alone.",
  })
}
