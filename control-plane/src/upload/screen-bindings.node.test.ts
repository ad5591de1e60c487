/** Every kind of binding that Cloudflare documents, from its own schema: a kind that is new there is refused here until someone lists it. */
import { describe, expect, it } from "vitest"
import { Refusal } from "../../../kit/problem.ts"
import { readCorpus } from "../../../tests/security/corpora.ts"
import { ALLOWED_KINDS } from "./screen-bindings.ts"
import { screenMetadata } from "./screen-metadata.ts"

const text = readCorpus("cloudflare-openapi-dispatch.json")

interface Schema {
  readonly example?: unknown
  readonly enum?: readonly unknown[]
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
}
interface Document {
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema & { discriminator?: { mapping: Record<string, string> } }>>
  }
}

const document: Document | null = text === null ? null : JSON.parse(text)
const mapping = document?.components.schemas.workers_binding_item?.discriminator?.mapping ?? {}

/** A binding of that kind with every documented field filled in from its example. */
function exampleOf(kind: string): Record<string, unknown> {
  const schema = document?.components.schemas[mapping[kind]?.split("/").at(-1) ?? ""]
  const fields = Object.entries(schema?.properties ?? {}).map(([name, each]) => [
    name,
    each.example ?? each.enum?.[0] ?? "x",
  ])
  return { ...Object.fromEntries(fields), type: kind, name: "BINDING" }
}

function faultsOf(bindings: readonly unknown[], grants: readonly string[] = []): readonly string[] {
  try {
    screenMetadata(
      { main_module: "index.js", compatibility_date: "2026-01-01", bindings },
      { grants, today: "2026-11-01" },
    )
    return []
  } catch (failure) {
    if (!(failure instanceof Refusal) || failure.code !== "upload.metadata-refused") throw failure
    return (failure.options.errors ?? []).map((each) => `${each.pointer}: ${each.detail}`)
  }
}

describe.skipIf(text === null)("binding kinds of Cloudflare's schema", () => {
  it("finds Cloudflare's list, the allowed kinds among it", () => {
    expect(Object.keys(mapping).length).toBeGreaterThanOrEqual(36)
    expect(ALLOWED_KINDS.filter((kind) => !(kind in mapping))).toEqual([])
  })

  it.each(Object.keys(mapping).filter((kind) => !ALLOWED_KINDS.includes(kind)))(
    "refuses %s, whatever the team was granted",
    (kind) => {
      const example = exampleOf(kind)
      const grants = Object.values(example).map((value) => `resource:${kind}:${String(value)}`)
      const faults = faultsOf([example], grants)
      expect(faults).toHaveLength(1)
      expect(faults[0]).toMatch(new RegExp(`^/bindings/0/type: ${kind} is refused: `))
    },
  )

  it.each(ALLOWED_KINDS)("refuses %s with a field that nobody listed", (kind) => {
    const extra = { ...exampleOf(kind), script_name: "other" }
    expect(faultsOf([extra]).join()).toContain("/bindings/0/script_name: is not accepted")
  })
})
