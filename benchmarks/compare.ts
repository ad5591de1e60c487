/**
 * Measures two arms of one running workerd in interleaved pairs. The order alternates from pair to pair, so that neither arm always profits
 * from what the other warmed or suffers from what it left behind.
 */
import { type Load, load, type Measured } from "./load.ts"
import { median, type Summary, summarize } from "./statistics.ts"
import type { CpuMeter } from "./workerd-cpu.ts"

export interface Arm extends Measured {
  readonly requestsPerSecond: number
  /** Microseconds of workerd's CPU per request; null where it cannot be read. */
  readonly cpuUs: number | null
}
export interface Pair {
  readonly baseline: Arm
  readonly candidate: Arm
}

export interface Comparison {
  readonly pairs: readonly Pair[]
  /** candidate / baseline, requests per second: 1 is as fast. */
  readonly ratio: Summary
  /** candidate / baseline, CPU per request: 1 is as cheap. */
  readonly cpuRatio: Summary | null
}

export interface CompareOptions {
  readonly baseline: Load
  readonly candidate: Load
  readonly pairs: number
  readonly cpu: CpuMeter | null
  readonly onPair: (pair: Pair, index: number) => void
}

export async function compare({ baseline, candidate, pairs, cpu, onPair }: CompareOptions): Promise<Comparison> {
  const measured: Pair[] = []
  for (let index = 0; index < pairs; index++) {
    const candidateFirst = index % 2 === 1
    const first = await measure(candidateFirst ? candidate : baseline, cpu)
    const second = await measure(candidateFirst ? baseline : candidate, cpu)
    const pair = candidateFirst ? { baseline: second, candidate: first } : { baseline: first, candidate: second }
    measured.push(pair)
    onPair(pair, index)
  }
  return summarizePairs(measured)
}

export function summarizePairs(pairs: readonly Pair[]): Comparison {
  const cpuRatios = pairs.flatMap(({ baseline, candidate }) =>
    baseline.cpuUs === null || candidate.cpuUs === null ? [] : [candidate.cpuUs / baseline.cpuUs],
  )
  return {
    pairs,
    ratio: summarize(pairs.map((pair) => pair.candidate.requestsPerSecond / pair.baseline.requestsPerSecond)),
    cpuRatio: cpuRatios.length === 0 ? null : summarize(cpuRatios),
  }
}

/** Median over all pairs of one figure of one arm. */
export function armMedian(pairs: readonly Pair[], arm: keyof Pair, figure: (arm: Arm) => number | null): number | null {
  const values = pairs.flatMap((pair) => figure(pair[arm]) ?? [])
  return values.length === 0 ? null : median(values)
}

async function measure(burst: Load, cpu: CpuMeter | null): Promise<Arm> {
  const before = cpu?.read()
  const measured = await load(burst)
  const after = cpu?.read()
  return {
    ...measured,
    requestsPerSecond: measured.requests / measured.seconds,
    cpuUs: before === undefined || after === undefined ? null : (after - before) / measured.requests,
  }
}
