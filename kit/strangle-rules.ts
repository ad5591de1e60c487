/**
 * The rules of a strangler migration, and the choice between the legacy service and the new one that they make for a request. Pure: the rules are data
 * that someone else read, the choice is a hash of who calls. Carried out by strangle.ts.
 */
import { z } from "zod"
import { toFaults } from "../contracts/to-faults.ts"
import type { PointedError } from "./problem.ts"

export type Side = "legacy" | "new"

const MAX_RULES = 200
const MAX_COMPANIES = 1_000
/** Bytes of a body that may be held for comparison, at most; three are held at once. */
const MAX_COMPARED_BYTES = 1024 * 1024
const DEFAULT_COMPARED_BYTES = 128 * 1024
const DEFAULT_HEADERS = ["content-type", "cache-control", "location"]
const ALL_BPS = 10_000

const bps = z.int().min(0).max(ALL_BPS)
const ruleShape = z.strictObject({
  /** `/a/b` alone, or `/a/*`: `/a` and everything below; never `/apiary` for `/a`. */
  path: z
    .string()
    .max(512)
    .regex(/^\/(?:[^\s/*?#%\\;]+\/)*(?:\*|[^\s/*?#%\\;]*)$/, "must be /a/b or /a/*, without escapes"),
  /** `legacy` answers for everybody; `shadow` lets legacy answer and compares; `split` goes by `newBps`; `new` answers for everybody. */
  mode: z.enum(["legacy", "shadow", "split", "new"]),
  /** Share of the callers that `split` gives the new service, in 1/10 000. */
  newBps: bps.default(0),
  stickyBy: z.enum(["company", "subject"]).default("company"),
  /** What the hash is salted with; default `path`. Rules that share one move the same callers at the same share. */
  salt: z.string().min(1).max(64).optional(),
  cohorts: z
    .strictObject({
      /** Company ids that the new service answers in every mode but `legacy`. */
      companies: z
        .array(z.string().regex(/^[0-9]{1,20}$/, "must be a company id, as text"))
        .max(MAX_COMPANIES)
        .default([]),
    })
    .default({ companies: [] }),
  /** What is not compared: JSON pointers with `*` for an index (`/items/*`, with all below), names of fields at any depth, `header:<name>`, `:status`, `:body`. */
  ignore: z.array(z.string().min(1).max(256)).max(100).default([]),
  /** Response headers that are compared. */
  headers: z
    .array(z.string().regex(/^[a-z0-9-]{1,64}$/, "must be a header name in lower case"))
    .max(20)
    .default(DEFAULT_HEADERS),
  /** Longer bodies are compared by status and headers alone. */
  compareBytesMost: z.int().min(0).max(MAX_COMPARED_BYTES).default(DEFAULT_COMPARED_BYTES),
  /** Share of the requests that `shadow` compares, in 1/10 000. */
  sampleBps: bps.default(ALL_BPS),
  /** Comparisons are counted per path and round: raise it to begin at zero, after a correction, say. */
  round: z.int().min(1).max(1_000_000).default(1),
  /** When the legacy answers became deprecated (RFC 9745), and when they end (RFC 8594). */
  deprecation: z.iso.datetime().optional(),
  sunset: z.iso.datetime().optional(),
})
const ruleSetShape = z.strictObject({ rules: z.array(ruleShape).max(MAX_RULES) })

export interface StrangleRule extends Omit<z.output<typeof ruleShape>, "cohorts" | "salt" | "deprecation" | "sunset"> {
  readonly salt: string
  readonly companies: ReadonlySet<string>
  /** Milliseconds since the epoch, null when the rule names none. */
  readonly deprecationMs: number | null
  readonly sunsetMs: number | null
}

/** Rules by path, the most specific first. */
export type StrangleRules = readonly StrangleRule[]
/** In force when nobody wrote any: every request is the legacy service's. */
export const NO_RULES: StrangleRules = []

export type ParsedRules =
  | { readonly ok: true; readonly value: StrangleRules }
  | { readonly ok: false; readonly faults: readonly PointedError[] }

/** Reads `{ "rules": [...] }`, as JSON text. Nothing that is not understood is passed over: an unknown field is a fault like a wrong value. */
export function parseStrangleRules(text: string): ParsedRules {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return { ok: false, faults: [{ pointer: "", detail: "is not JSON" }] }
  }
  const parsed = ruleSetShape.safeParse(document)
  if (!parsed.success) return { ok: false, faults: toFaults(parsed.error) }
  const rules = parsed.data.rules.map(compile)
  const faults = rules.flatMap((rule, index) => crossFaults(rule, index, rules))
  if (faults.length > 0) return { ok: false, faults }
  return {
    ok: true,
    value: rules.sort((a, b) => prefixOf(b.path).length - prefixOf(a.path).length || exactFirst(a, b)),
  }
}

function compile({ cohorts, salt, deprecation, sunset, ...rule }: z.output<typeof ruleShape>): StrangleRule {
  return {
    ...rule,
    salt: salt ?? rule.path,
    companies: new Set(cohorts.companies),
    deprecationMs: deprecation === undefined ? null : Date.parse(deprecation),
    sunsetMs: sunset === undefined ? null : Date.parse(sunset),
  }
}

function crossFaults(rule: StrangleRule, index: number, rules: readonly StrangleRule[]): PointedError[] {
  const faults: PointedError[] = []
  if (rules.findIndex((each) => each.path === rule.path) !== index)
    faults.push({ pointer: `/rules/${index}/path`, detail: `another rule has ${rule.path}` })
  // RFC 9745 §4: a sunset before the deprecation says nothing that a client could act on.
  if (rule.deprecationMs !== null && rule.sunsetMs !== null && rule.sunsetMs < rule.deprecationMs)
    faults.push({ pointer: `/rules/${index}/sunset`, detail: "is before the deprecation" })
  return faults
}

/** `/a` for `/a/*` and for `/a`. */
function prefixOf(path: string): string {
  return path.endsWith("/*") ? path.slice(0, -2) : path
}

function exactFirst(a: StrangleRule, b: StrangleRule): number {
  return Number(a.path.endsWith("/*")) - Number(b.path.endsWith("/*"))
}

/**
 * The most specific rule for `path` (without query), or null. The path is compared decoded, once, as the edge read it;
 * one that cannot be decoded has no rule.
 */
export function ruleFor(rules: StrangleRules, path: string): StrangleRule | null {
  const plain = decoded(path)
  if (plain === null) return null
  for (const rule of rules) {
    const prefix = prefixOf(rule.path)
    if (plain === prefix || plain === rule.path) return rule
    if (rule.path.endsWith("/*") && plain.startsWith(`${prefix}/`)) return rule
  }
  return null
}

function decoded(path: string): string | null {
  if (!path.includes("%")) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return null
  }
}

/** Who calls, of what the passport vouches for before what the request merely names. */
export interface StrangleFacts {
  /** Company id as text. */
  readonly company: string | null
  /** Unique over all identity providers; null for anonymous callers. */
  readonly subject: string | null
}

/**
 * The side that answers. Monotone: a caller whom some `newBps` gives the new service keeps it at every larger one, in every isolate and after any
 * restart. Who has neither company nor subject has nothing to stick by and stays with legacy.
 */
export function chooseSide(rule: StrangleRule, facts: StrangleFacts): Side {
  if (rule.mode === "legacy") return "legacy"
  if (facts.company !== null && rule.companies.has(facts.company)) return "new"
  if (rule.mode !== "split") return rule.mode === "new" ? "new" : "legacy"
  const key = stickyKeyOf(rule.stickyBy, facts)
  return key !== null && bucketOf(`${rule.salt}\0${key}`) < rule.newBps ? "new" : "legacy"
}

/** Whether `shadow` compares this request: by its id, so that it is the same wherever it is asked, and says nothing of who calls. */
export function isSampled(rule: StrangleRule, requestId: string): boolean {
  return rule.mode === "shadow" && bucketOf(`sample\0${requestId}`) < rule.sampleBps
}

function stickyKeyOf(by: StrangleRule["stickyBy"], { company, subject }: StrangleFacts): string | null {
  const byCompany = company === null ? null : `company:${company}`
  const bySubject = subject === null ? null : `subject:${subject}`
  return by === "company" ? (byCompany ?? bySubject) : (bySubject ?? byCompany)
}

/** 0–9 999, uniform: FNV-1a over UTF-16 units, finished by MurmurHash3's mixer, as the dispatcher weighs releases. */
function bucketOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return Math.floor(((hash >>> 0) / 0x1_0000_0000) * ALL_BPS)
}
