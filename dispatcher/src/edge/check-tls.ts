/** The TLS floor, from what the platform says of the client's connection. */
import type { ScreenConfig } from "../../../contracts/dispatch-config.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

export interface TlsRules {
  /** Versions new enough. One that is not listed here, known or not, is too old. */
  readonly accepted: ReadonlySet<string>
  readonly refusesUnknown: boolean
}

export function compileTls(config: ScreenConfig["tls"]): TlsRules {
  const accepted = config.minimum === "TLSv1.3" ? ["TLSv1.3"] : ["TLSv1.2", "TLSv1.3"]
  return { accepted: new Set(accepted), refusesUnknown: config.whenUnknown === "refuse" }
}

/** `tls` is null when the platform did not say, `none` for a connection without TLS. */
export function checkTls(tls: string | null, rules: TlsRules): Refusal | null {
  const isFine = tls === null ? !rules.refusesUnknown : rules.accepted.has(tls)
  return isFine ? null : refuse("edge.tls-too-old", { log: { tls } })
}
