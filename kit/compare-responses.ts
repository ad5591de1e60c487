/**
 * Compares what two services answered to the same request, and takes out what the first one does not answer twice alike: a second answer of its own
 * shows which fields are noise (the idea of Diffy). Says names, types and lengths, never a value. Called in the background; the client's answer is gone by then.
 * Long because capturing, reading and comparing share one notion of what a field is; nothing outside uses a part of it.
 */

/** JSON deeper than this is compared as bytes. */
const MAX_DEPTH = 64
/** Characters of a canonical text; a longer one gets a number. */
const MAX_CANONICAL = 64
/** Members by which items of an array are the same item, in the order in which they are tried. */
const IDENTITIES = ["id", "uuid", "guid", "key", "code"] as const
/** A member's name as a programmer writes it. Others (ids, addresses, sentences) are data: their maps are one field, `{key}`. */
const NAME = /^[A-Za-z_$@][A-Za-z0-9_$.:-]{0,63}$/
const LOOKS_LIKE_AN_ID = /\d{4}|.@|^[0-9a-f-]{16,}$/i
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i

/** `order`: the same items in another sequence. `length`: more or fewer items. `missing`, `added`: seen from the first answer. */
export type DifferenceKind = "value" | "type" | "missing" | "added" | "order" | "length"

export interface Difference {
  /** `status`, `header:<name>`, `body`, or a JSON pointer with `*` for an array's index and `{key}` for a key that is data. */
  readonly field: string
  readonly kind: DifferenceKind
  /** Types and lengths of both: `string(12)`, `array(3)`, `absent`; for `status` the number. */
  readonly first: string
  readonly other: string
}

export interface CaptureOptions {
  readonly method: string
  /** Longer bodies are not read to their end, and not compared. */
  readonly bytesMost: number
  /** Names of headers to compare, lower case. */
  readonly headers: readonly string[]
  /** Ends the reading; {@link capture} then rejects. */
  readonly signal: AbortSignal
}

/** As it came: parsed it is many times as large, and others are still waited for. */
type Body =
  | { readonly kind: "none" | "too-large" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly saysJson: boolean }
/** A body while it is compared; `not-looked-at` where another was too large. */
type Content =
  | { readonly kind: "none" | "too-large" | "not-looked-at" }
  | { readonly kind: "json"; readonly value: Json }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }

/** What is kept of an answer for comparison. */
export interface Captured {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Body
}
interface Opened extends Omit<Captured, "body"> {
  readonly body: Content
}

/** A service that gave no answer at all. */
export const NO_ANSWER: Captured = { status: 0, headers: new Map(), body: { kind: "none" } }

/** Numbers that a double cannot hold exactly are bigint. */
type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [name: string]: Json }

/** Reads `response`, at most `bytesMost` of its body; the rest is cancelled unread. */
export async function capture(response: Response, options: CaptureOptions): Promise<Captured> {
  const headers = new Map<string, string>()
  for (const name of options.headers) {
    const value = response.headers.get(name)
    if (value !== null) headers.set(name, value.trim())
  }
  return { status: response.status, headers, body: await captureBody(response, options) }
}

async function captureBody(response: Response, { method, bytesMost, signal }: CaptureOptions): Promise<Body> {
  if (method === "HEAD") return { kind: "none" }
  if (Number(response.headers.get("content-length") ?? 0) > bytesMost) {
    await response.body?.cancel()
    return { kind: "too-large" }
  }
  if (response.body === null) return { kind: "none" }
  const bytes = await readAtMost(response.body, bytesMost, signal)
  if (bytes === null) return { kind: "too-large" }
  if (bytes.length === 0) return { kind: "none" }
  return { kind: "bytes", bytes, saysJson: JSON_TYPE.test(response.headers.get("content-type") ?? "") }
}

function opened(captured: Captured): Opened {
  const { body } = captured
  const value = body.kind === "bytes" && body.saysJson ? parseJson(body.bytes) : undefined
  return { ...captured, body: value === undefined ? body : { kind: "json", value } }
}

/** Null when there is more than `bytesMost`. */
async function readAtMost(body: ReadableStream, bytesMost: number, signal: AbortSignal): Promise<Uint8Array | null> {
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  const cancel = () => void reader.cancel(signal.reason).catch(() => {})
  signal.addEventListener("abort", cancel)
  try {
    const chunks: Uint8Array[] = []
    let sizeBytes = 0
    for (;;) {
      if (signal.aborted) throw signal.reason
      const { done, value } = await reader.read()
      if (done) break
      sizeBytes += value.length
      if (sizeBytes > bytesMost) {
        cancel()
        return null
      }
      chunks.push(value)
    }
    // A cancelled stream ends like a complete one.
    if (signal.aborted) throw signal.reason
    return joined(chunks, sizeBytes)
  } finally {
    signal.removeEventListener("abort", cancel)
  }
}

function joined(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const all = new Uint8Array(sizeBytes)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

/** Undefined for what is no JSON, or too deep to walk. */
function parseJson(bytes: Uint8Array): Json | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes)
    const value = (JSON.parse as (text: string, reviver: unknown) => Json)(text, exactNumber)
    return depthOf(value, MAX_DEPTH) ? value : undefined
  } catch {
    return undefined
  }
}

/** Ids exceed 53 bits: two that differ must not become one double. */
function exactNumber(_name: string, value: unknown, { source }: { readonly source?: string } = {}): unknown {
  if (typeof value !== "number" || source === undefined || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value
  return /^-?\d+$/.test(source) ? BigInt(source) : value
}

function depthOf(value: Json, most: number): boolean {
  if (typeof value !== "object" || value === null) return true
  if (most === 0) return false
  return Object.values(value).every((each) => depthOf(each, most - 1))
}

/** What is not compared, made once per rule by {@link ignoring}. */
export interface Ignored {
  readonly pointers: ReadonlySet<string>
  readonly names: ReadonlySet<string>
}

/** `entries`: JSON pointers (with all below), names of members at any depth, `header:<name>`, and `:status` and `:body` for what is no member of a document. */
export function ignoring(entries: readonly string[]): Ignored {
  return {
    pointers: new Set(entries.filter((each) => each.startsWith("/"))),
    names: new Set(entries.filter((each) => !each.startsWith("/"))),
  }
}

/**
 * All that differs between two answers, each field and kind once. Where the statuses differ, nothing else is looked at: the bodies mean different things.
 * Two bodies that are both longer than what is captured differ in nothing; see {@link isBodyCompared}.
 */
export function differencesOf(first: Captured, other: Captured, ignored: Ignored): Difference[] {
  return differencesOfOpened(opened(first), opened(other), ignored)
}

function differencesOfOpened(first: Opened, other: Opened, ignored: Ignored): Difference[] {
  const walk = new Walk(ignored)
  if (first.status !== other.status && !ignored.names.has(":status")) {
    return [{ field: "status", kind: "value", first: describeStatus(first), other: describeStatus(other) }]
  }
  for (const name of new Set([...first.headers.keys(), ...other.headers.keys()])) {
    const field = `header:${name}`
    if (!ignored.names.has(field)) walk.member(field, first.headers.get(name), other.headers.get(name))
  }
  if (!ignored.names.has(":body")) compareBodies(first.body, other.body, walk)
  return [...walk.found.values()]
}

/** Whether status and headers were not all that could be compared. */
export function isBodyCompared(...answers: readonly Captured[]): boolean {
  return answers.every(({ body }) => body.kind !== "too-large")
}

function compareBodies(first: Content, other: Content, walk: Walk): void {
  if (first.kind === "json" && other.kind === "json") walk.values("", first.value, other.value)
  else if (first.kind === "bytes" && other.kind === "bytes") {
    if (!isSameBytes(first.bytes, other.bytes)) walk.add("body", "value", describeBody(first), describeBody(other))
  } else if (first.kind !== other.kind) {
    walk.add("body", kindOfBodies(first.kind, other.kind), describeBody(first), describeBody(other))
  }
}

function kindOfBodies(first: Content["kind"], other: Content["kind"]): DifferenceKind {
  if (first === "too-large" || other === "too-large") return "length"
  if (other === "none") return "missing"
  return first === "none" ? "added" : "type"
}

function isSameBytes(first: Uint8Array, other: Uint8Array): boolean {
  return first.length === other.length && first.every((byte, index) => byte === other[index])
}

class Walk {
  readonly found = new Map<string, Difference>()
  readonly #ignored: Ignored
  readonly #canonicals = new WeakMap<object, string>()
  readonly #numbers = new Map<string, string>()

  constructor(ignored: Ignored) {
    this.#ignored = ignored
  }

  add(field: string, kind: DifferenceKind, first: string, other: string): void {
    const key = `${kind} ${field}`
    if (!this.found.has(key)) this.found.set(key, { field: field === "" ? "/" : field, kind, first, other })
  }

  /** One that either side may lack. */
  member(field: string, first: Json | undefined, other: Json | undefined): void {
    if (first !== undefined && other !== undefined) this.values(field, first, other)
    else if (first !== undefined) this.add(field, "missing", describe(first), "absent")
    else if (other !== undefined) this.add(field, "added", "absent", describe(other))
  }

  values(field: string, first: Json, other: Json): void {
    if (this.#ignored.pointers.has(field)) return
    if (typeOf(first) !== typeOf(other)) this.add(field, "type", describe(first), describe(other))
    else if (Array.isArray(first) && Array.isArray(other)) this.arrays(field, first, other)
    else if (isObject(first) && isObject(other)) this.objects(field, first, other)
    // `1` is not `1n`: one was written so that a double cannot hold it.
    else if (first !== other) this.add(field, "value", describe(first), describe(other))
  }

  objects(field: string, first: JsonObject, other: JsonObject): void {
    for (const name of new Set([...Object.keys(first), ...Object.keys(other)])) {
      const at = `${field}/${tokenOf(name)}`
      if (this.#ignored.names.has(name) || this.#ignored.pointers.has(at)) continue
      this.member(at, own(first, name), own(other, name))
    }
  }

  arrays(field: string, first: readonly Json[], other: readonly Json[]): void {
    if (this.#ignored.pointers.has(`${field}/*`)) return
    if (first.length !== other.length) this.add(field, "length", describe(first), describe(other))
    const identity = IDENTITIES.find((name) => identifies(name, first) && identifies(name, other))
    if (identity !== undefined) this.identified(field, byIdentity(first, identity), byIdentity(other, identity))
    // Items without a name of their own: which of them is missing, nobody can say.
    else if (first.length === other.length) this.anonymous(field, first, other)
  }

  anonymous(field: string, first: readonly Json[], other: readonly Json[]): void {
    const items = `${field}/*`
    const firstTexts = first.map((each) => this.#canonical(each, items))
    const otherTexts = other.map((each) => this.#canonical(each, items))
    if (firstTexts.every((each, index) => each === otherTexts[index])) return
    if (isSameBag(firstTexts, otherTexts)) this.add(field, "order", describe(first), describe(other))
    else for (const [index, each] of first.entries()) this.values(items, each, other[index] ?? null)
  }

  /** Items that both have are compared with each other wherever they stand; the sequence is a difference of its own. */
  identified(field: string, first: ReadonlyMap<string, Json>, other: ReadonlyMap<string, Json>): void {
    const items = `${field}/*`
    for (const [id, item] of first) this.member(items, item, other.get(id))
    for (const [id, item] of other) if (!first.has(id)) this.member(items, undefined, item)
    const common = [...first.keys()].filter((id) => other.has(id))
    const sequence = [...other.keys()].filter((id) => first.has(id))
    if (common.some((id, index) => id !== sequence[index]))
      this.add(field, "order", `array(${first.size})`, `array(${other.size})`)
  }

  /**
   * A text that is the same for what is the same but for the order of members and for what is ignored. Short, and made once per value,
   * so that a nest of arrays is not written out again at each of its levels.
   */
  #canonical(value: Json, field: string): string {
    if (this.#ignored.pointers.has(field)) return ""
    if (typeof value === "bigint") return String(value)
    if (typeof value !== "object" || value === null) return JSON.stringify(value)
    const known = this.#canonicals.get(value)
    if (known !== undefined) return known
    const text = Array.isArray(value)
      ? `[${value.map((each) => this.#canonical(each, `${field}/*`)).join(",")}]`
      : this.#canonicalMembers(value as JsonObject, field)
    if (text.length <= MAX_CANONICAL) return text
    const short = this.#numbers.get(text) ?? `#${this.#numbers.size}`
    this.#numbers.set(text, short)
    this.#canonicals.set(value, short)
    return short
  }

  #canonicalMembers(value: JsonObject, field: string): string {
    const members = Object.keys(value)
      .filter((name) => !this.#ignored.names.has(name))
      .sort()
      .map((name) => `${JSON.stringify(name)}:${this.#canonical(value[name] ?? null, `${field}/${tokenOf(name)}`)}`)
    return `{${members.join(",")}}`
  }
}

type JsonObject = { readonly [name: string]: Json }

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function identifies(name: string, items: readonly Json[]): boolean {
  const seen = new Set<string>()
  for (const item of items) {
    const value = isObject(item) ? own(item, name) : undefined
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return false
    seen.add(String(value))
  }
  return items.length > 0 && seen.size === items.length
}

function byIdentity(items: readonly Json[], name: string): Map<string, Json> {
  return new Map(items.map((item) => [String(isObject(item) ? own(item, name) : ""), item]))
}

function isSameBag(first: readonly string[], other: readonly string[]): boolean {
  const sorted = [...other].sort()
  return [...first].sort().every((each, index) => each === sorted[index])
}

/** RFC 6901 §3; a key that is data becomes `{key}`. */
function tokenOf(name: string): string {
  if (!NAME.test(name) || LOOKS_LIKE_AN_ID.test(name)) return "{key}"
  return name
}

function typeOf(value: Json): string {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return typeof value === "bigint" ? "number" : typeof value
}

function describe(value: Json | undefined): string {
  if (value === undefined) return "absent"
  if (typeof value === "string") return `string(${value.length})`
  if (Array.isArray(value)) return `array(${value.length})`
  return isObject(value) ? `object(${Object.keys(value).length})` : typeOf(value)
}

function describeStatus({ status }: Opened): string {
  return status === 0 ? "no answer" : String(status)
}

function describeBody(body: Content): string {
  if (body.kind === "json") return describe(body.value)
  if (body.kind === "bytes") return `bytes(${body.bytes.length})`
  return body.kind === "none" ? "absent" : body.kind === "too-large" ? "over the cap" : "below the cap"
}

/** One field of a comparison of three answers. */
export interface NoisyDifference extends Difference {
  /** Where it is not as in the first answer: only in the new service's, only in the second of the first's own (pure noise), or in both. */
  readonly seenIn: "new" | "again" | "both"
}

/**
 * `first` and `again` are the legacy service's two answers, `candidate` the new one's, asked for in the order first, candidate, again: whatever moves with
 * time between the first two then moves before the third as well, and is seen as noise. By chance a noisy field may be the same in two of them:
 * that is for whoever counts (see scoreboard.ts), which works because both sides are treated alike here.
 */
export function compareThree(
  first: Captured,
  candidate: Captured,
  again: Captured,
  ignored: Ignored,
): NoisyDifference[] {
  const isWhole = isBodyCompared(first, candidate, again)
  const seen = (each: Captured) => (isWhole ? opened(each) : unopened(each))
  const asFirst = seen(first)
  const toNew = keyed(differencesOfOpened(asFirst, seen(candidate), ignored))
  const toAgain = keyed(differencesOfOpened(asFirst, seen(again), ignored))
  const hiddenInNew = hiding(toNew.values())
  const hiddenInAgain = hiding(toAgain.values())
  const found: NoisyDifference[] = []
  for (const [key, each] of toNew)
    if (toAgain.has(key)) found.push({ ...each, seenIn: "both" })
    else if (!hiddenInAgain(each)) found.push({ ...each, seenIn: "new" })
  for (const [key, each] of toAgain) if (!toNew.has(key) && !hiddenInNew(each)) found.push({ ...each, seenIn: "again" })
  return found
}

/** Of its body nothing is left but whether it was too large. */
function unopened(captured: Captured): Opened {
  return { ...captured, body: { kind: captured.body.kind === "too-large" ? "too-large" : "not-looked-at" } }
}

function keyed(differences: readonly Difference[]): Map<string, Difference> {
  return new Map(differences.map((each) => [`${each.kind} ${each.field}`, each]))
}

/** Tells what could not be seen in a pair of answers because something above it was not there, or was something else: no evidence for or against. */
function hiding(differences: Iterable<Difference>): (each: Difference) => boolean {
  const absent = new Set<string>()
  for (const { field, kind } of differences)
    if (field === "status" || kind === "missing" || kind === "added" || kind === "type") absent.add(field)
  return ({ field }) => {
    if (absent.size === 0) return false
    if (absent.has(field) || absent.has("status")) return true
    if (!field.startsWith("/")) return false
    if (absent.has("body") || absent.has("/")) return true
    for (let at = field.indexOf("/", 1); at !== -1; at = field.indexOf("/", at + 1))
      if (absent.has(field.slice(0, at))) return true
    return false
  }
}
