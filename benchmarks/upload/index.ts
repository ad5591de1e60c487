/**
 * What an upload costs through the gateway: one large PUT through dispatcher → files → store on the running platform, without a digest to check and with a SHA-256
 * that is checked in the stream, against the same PUT through one bare Worker that passes it on. Rounds interleave the three; `ratio_*` are medians of MB/s ratios,
 * `cpu_ratio_*` of workerd's CPU time for an upload, which says more on a machine that has other work.
 * `rss_growth_mb` is what the platform's workerd holds more after ten checked uploads than before them, `rss_peak_mb` the most above that while they ran.
 */
import type { Run } from "../benchmark.ts"
import { median, rounded, summarize } from "../statistics.ts"
import { type Arms, startArms, type Upload } from "./arms.ts"
import { contentSha256, send } from "./send.ts"
import { cpuMs, peakWhile, residentMb } from "./workerd-process.ts"

const SIZE_BYTES = 2 ** 30
const QUICK_SIZE_BYTES = 2 ** 26
const ROUNDS = 7
const QUICK_ROUNDS = 2
const MEMORY_UPLOADS = 10

type ArmName = "bare" | "plain" | "sha256"
interface Measured {
  /** MB (10^6) per second. */
  readonly mbps: number
  /** Of the arm's workerd for the whole upload; null where it cannot be read. */
  readonly cpuMs: number | null
}
type Round = Readonly<Record<ArmName, Measured>>

export const run: Run = async ({ quick, say }) => {
  const sizeBytes = quick ? QUICK_SIZE_BYTES : SIZE_BYTES
  const sha256 = await contentSha256(sizeBytes)
  await using arms = await startArms(sha256, say)
  const put = uploader(arms, sizeBytes, sha256)

  say("once through each arm, hashed at the store")
  for (const name of ["bare", "plain", "sha256"] as const) await put(name, true)

  const rounds: Round[] = []
  for (let index = 0; index < (quick ? QUICK_ROUNDS : ROUNDS); index++) {
    const round = await measureRound(put, index)
    rounds.push(round)
    say(`round ${index + 1}: bare ${shown(round.bare)}, plain ${shown(round.plain)}, sha256 ${shown(round.sha256)}`)
  }
  const memory = await memoryGrowth(arms, () => put("sha256", false))
  const ratios = { plain: ratiosOf(rounds, "plain"), sha256: ratiosOf(rounds, "sha256") }
  const figure = (name: ArmName) => rounded(median(rounds.map((round) => round[name].mbps)))
  return {
    figures: {
      ratio_plain: rounded(ratios.plain.mbps.median),
      ratio_sha256: rounded(ratios.sha256.mbps.median),
      ...(ratios.plain.cpu === null ? {} : { cpu_ratio_plain: rounded(ratios.plain.cpu.median) }),
      ...(ratios.sha256.cpu === null ? {} : { cpu_ratio_sha256: rounded(ratios.sha256.cpu.median) }),
      bare_mbps: figure("bare"),
      plain_mbps: figure("plain"),
      sha256_mbps: figure("sha256"),
      ...(memory === null ? {} : { rss_growth_mb: rounded(memory.growthMb), rss_peak_mb: rounded(memory.peakMb) }),
      // Every upload was held against the length that the store counted, and one per arm against the SHA-256 that it computed.
      sha256_right: 1,
      size_mib: sizeBytes / 2 ** 20,
      rounds: rounds.length,
    },
    detail: { rounds, ratios, memory, memoryUploads: MEMORY_UPLOADS },
  }
}

type Put = (name: ArmName, isHashed: boolean) => Promise<Measured>

function uploader(arms: Arms, sizeBytes: number, sha256: string): Put {
  return async (name, isHashed) => {
    const upload: Upload = { sizeBytes, isChecked: name === "sha256", isHashed }
    const sending = name === "bare" ? arms.bare(upload) : await arms.throughFiles(upload)
    const pid = name === "bare" ? arms.pids?.bare : arms.pids?.platform
    const cpuBeforeMs = pid === undefined ? null : cpuMs(pid)
    const mbps = await send(sending, `"${sizeBytes}-${isHashed ? sha256 : ""}"`)
    return { mbps, cpuMs: pid === undefined || cpuBeforeMs === null ? null : cpuMs(pid) - cpuBeforeMs }
  }
}

/** Each arm once; who comes first goes round. */
async function measureRound(put: Put, index: number): Promise<Round> {
  const names: readonly ArmName[] = ["bare", "plain", "sha256"]
  const measured: Partial<Record<ArmName, Measured>> = {}
  for (let turn = 0; turn < names.length; turn++) {
    const name = names[(index + turn) % names.length] ?? "bare"
    measured[name] = await put(name, false)
  }
  return measured as Round
}

/** Arm / bare, round by round. */
function ratiosOf(rounds: readonly Round[], name: ArmName) {
  const cpu = rounds.flatMap(({ bare, [name]: arm }) =>
    arm.cpuMs === null || bare.cpuMs === null ? [] : [arm.cpuMs / bare.cpuMs],
  )
  return {
    mbps: summarize(rounds.map(({ bare, [name]: arm }) => arm.mbps / bare.mbps)),
    cpu: cpu.length === 0 ? null : summarize(cpu),
  }
}

function shown({ mbps, cpuMs }: Measured): string {
  return `${mbps.toFixed(0)} MB/s${cpuMs === null ? "" : ` (${cpuMs.toFixed(0)} ms CPU)`}`
}

async function memoryGrowth({ pids }: Arms, upload: () => Promise<Measured>) {
  if (pids === null) return null
  const beforeMb = residentMb(pids.platform)
  const peakMb = await peakWhile(pids.platform, async () => {
    for (let count = 0; count < MEMORY_UPLOADS; count++) await upload()
  })
  return { beforeMb, growthMb: residentMb(pids.platform) - beforeMb, peakMb: peakMb - beforeMb }
}
