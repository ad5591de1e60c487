import { describe, expect, it } from "vitest"
import { applyMigrations, reconcileExports } from "./durable-classes.ts"

const fresh = { classes: [], tag: null }

describe("applyMigrations", () => {
  it("adds, renames and deletes classes step by step, and keeps the tag", () => {
    const steps = [
      { new_sqlite_classes: ["A", "B"] },
      { renamed_classes: [{ from: "A", to: "C" }], deleted_classes: ["B"] },
    ]
    expect(applyMigrations(fresh, { new_tag: "v2", steps })).toEqual({ classes: ["C"], tag: "v2" })
  })

  it("applies a single step without a list", () => {
    expect(applyMigrations(fresh, { new_tag: "v1", new_classes: ["A"] })).toEqual({ classes: ["A"], tag: "v1" })
  })

  it("changes nothing without migrations", () => {
    const state = { classes: ["A"], tag: "v1" }
    expect(applyMigrations(state, undefined)).toEqual(state)
  })

  it("refuses an old tag that is not the current one", () => {
    const apply = () => applyMigrations({ classes: [], tag: "v1" }, { new_tag: "v2", steps: [] })
    expect(apply).toThrow("Actor migration tag precondition failed, got tag '' when expected tag is 'v1'.")
  })
})

describe("reconcileExports", () => {
  const declared = { Counter: { type: "durable-object", storage: "sqlite" } }

  it("creates what is declared and answers what it did", () => {
    const reconciled = reconcileExports([], declared, ["Counter"])
    expect(reconciled?.classes).toEqual(["Counter"])
    expect(reconciled?.reconciliation).toMatchObject({ created: ["Counter"], deleted: [], renamed: [] })
    expect(reconcileExports(["Counter"], declared, ["Counter"])?.reconciliation.created).toEqual([])
  })

  it("follows tombstones", () => {
    const exports = {
      Old: { type: "durable-object", state: "renamed", renamed_to: "Counter" },
      Gone: { type: "durable-object", state: "deleted" },
      ...declared,
    }
    const reconciled = reconcileExports(["Old", "Gone"], exports, ["Counter"])
    expect(reconciled?.classes).toEqual(["Counter"])
    expect(reconciled?.reconciliation).toMatchObject({
      created: [],
      deleted: ["Gone"],
      renamed: [{ from: "Old", to: "Counter" }],
    })
  })

  it("refuses a declared class that the code does not export", () => {
    expect(() => reconcileExports([], declared, ["Other"])).toThrow(
      expect.objectContaining({ kind: "exportsUnreconciled" }),
    )
  })
})
