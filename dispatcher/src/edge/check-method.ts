/** Methods: those of the allow-list. `log` mode lets the other ordinary ones pass with a finding, and never what no Worker should ever see. */
import type { ScreenConfig } from "../../../contracts/dispatch-config.ts"
import type { Finding } from "../../../contracts/trip.ts"
import { type Refusal, refuse } from "../../../kit/problem.ts"

/** RFC 9110 §9.3 and RFC 5789, without CONNECT, which asks for a tunnel, and TRACE, which echoes credentials. */
const ORDINARY: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
const NEVER: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"])

export interface MethodRules {
  readonly mode: Finding["mode"]
  readonly allowed: ReadonlySet<string>
  /** The Allow header of the refusal. */
  readonly allowText: string
}

/** CONNECT and TRACE do not become acceptable by being listed. */
export function compileMethods(config: ScreenConfig["methods"]): MethodRules {
  const allowed = config.allow.filter((method) => !NEVER.has(method))
  return { mode: config.mode, allowed: new Set(allowed), allowText: allowed.join(", ") }
}

/** Methods are case-sensitive (RFC 9110 §9.1): `get` is not GET. */
export function checkMethod(method: string, rules: MethodRules): Refusal | null {
  if (rules.allowed.has(method)) return null
  return refuse("edge.method-not-allowed", { headers: { allow: rules.allowText } })
}

/** The config's mode for ordinary methods; TRACE, CONNECT and unknown ones are refused in every mode. */
export function modeForMethod(method: string, rules: MethodRules): Finding["mode"] {
  return rules.mode === "enforce" || ORDINARY.has(method) ? rules.mode : "enforce"
}
