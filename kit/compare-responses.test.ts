import { describe, it, vi } from "vitest"
import {
  type Captured,
  type CaptureOptions,
  capture,
  compareThree,
  differencesOf,
  ignoring,
  isBodyCompared,
  NO_ANSWER,
} from "./compare-responses.ts"

const none = ignoring([])
const OPTIONS = {
  method: "GET",
  bytesMost: 4_096,
  headers: ["content-type", "cache-control"],
  signal: new AbortController().signal,
}

function captured(
  body: BodyInit | null,
  init: ResponseInit = {},
  options: Partial<CaptureOptions> = {},
): Promise<Captured> {
  return capture(new Response(body, init), { ...OPTIONS, ...options })
}
function json(value: unknown, init: ResponseInit = {}): Promise<Captured> {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return captured(text, { ...init, headers: { "content-type": "application/json", ...init.headers } })
}
async function between(first: unknown, other: unknown, ignore: readonly string[] = []): Promise<string[]> {
  const found = differencesOf(await json(first), await json(other), ignoring(ignore))
  return found.map(({ field, kind }) => `${kind} ${field}`).sort()
}

describe("differencesOf: JSON field by field", () => {
  for (const [name, first, other, found] of [
    ["a changed value", { a: { b: 1 } }, { a: { b: 2 } }, ["value /a/b"]],
    ["a missing field", { a: 1, b: 2 }, { a: 1 }, ["missing /b"]],
    ["an added field", { a: 1 }, { a: 1, b: null }, ["added /b"]],
    ["a changed type", { a: "1" }, { a: 1 }, ["type /a"]],
    ["null for a text", { a: "1" }, { a: null }, ["type /a"]],
    ["an array for an object", { a: {} }, { a: [] }, ["type /a"]],
    ["another kind of document", [1], { a: 1 }, ["type /"]],
    ["the order of texts", { a: ["x", "y"] }, { a: ["y", "x"] }, ["order /a"]],
    [
      "the order of objects with ids",
      [
        { id: 1, n: 1 },
        { id: 2, n: 2 },
      ],
      [
        { id: 2, n: 2 },
        { id: 1, n: 1 },
      ],
      ["order "],
    ],
    [
      "a change inside reordered items",
      [
        { id: 1, n: 1 },
        { id: 2, n: 2 },
      ],
      [
        { id: 2, n: 3 },
        { id: 1, n: 1 },
      ],
      ["order ", "value /*/n"],
    ],
    ["an item less", [{ id: 1 }, { id: 2 }], [{ id: 1 }], ["length ", "missing /*"]],
    ["an item more, without ids", { a: [1] }, { a: [1, 2] }, ["length /a"]],
    ["an item for another", { a: [1, 2] }, { a: [1, 3] }, ["value /a/*"]],
    ["indices as one field", { a: [{ n: 1 }, { n: 1 }] }, { a: [{ n: 2 }, { n: 3 }] }, ["value /a/*/n"]],
    ["ids beyond 53 bits", '{"id":9007199254740993}', '{"id":9007199254740992}', ["value /id"]],
  ] as const)
    it(`finds ${name}`, async ({ expect }) => {
      expect(await between(first, other)).toEqual(found.map((each) => (each.endsWith(" ") ? `${each}/` : each)))
    })

  for (const [name, first, other] of [
    ["the order of members", { a: 1, b: { c: 1, d: 2 } }, { b: { d: 2, c: 1 }, a: 1 }],
    ["white space", '{"a": 1}', '{"a":1}'],
    ["another spelling of a number", '{"a":1.0}', '{"a":1}'],
    ["members named like those of every object", '{"__proto__":1,"toString":2}', '{"toString":2,"__proto__":1}'],
  ] as const)
    it(`takes ${name} for no difference`, async ({ expect }) => {
      expect(await between(first, other)).toEqual([])
    })

  it("tells apart what lacks a member from what inherits one of the name", async ({ expect }) => {
    expect(await between('{"toString":1}', "{}")).toEqual(["missing /toString"])
  })

  it("ignores by pointer with all below, by name at any depth, and nothing that is merely similar", async ({
    expect,
  }) => {
    const first = { at: 1, items: [{ at: 1, deep: { x: 1 } }], attic: 1 }
    const other = { at: 2, items: [{ at: 2, deep: { x: 2 } }], attic: 2 }
    expect(await between(first, other, ["at"])).toEqual(["value /attic", "value /items/*/deep/x"])
    expect(await between(first, other, ["/items/*/deep", "/at"])).toEqual(["value /attic", "value /items/*/at"])
    expect(await between(first, other, ["/items"])).toEqual(["value /at", "value /attic"])
  })

  it("finds reordered items through an ignored field", async ({ expect }) => {
    const [first, other] = [
      [
        { n: 1, at: 1 },
        { n: 2, at: 2 },
      ],
      [
        { n: 2, at: 3 },
        { n: 1, at: 4 },
      ],
    ]
    expect(await between(first, other, ["at"])).toEqual(["order /"])
  })

  it("writes out what is deep in a nest once, not again at each level", async ({ expect }) => {
    const nest = (seed: number) => {
      let value: unknown = Array.from({ length: 1_000 }, (_, index) => (index + seed) % 10)
      for (let level = 0; level < 60; level++) value = [value, seed]
      return JSON.stringify(value)
    }
    const [first, other] = [await json(nest(1)), await json(nest(2))]
    const written = vi.spyOn(JSON, "stringify")
    expect(differencesOf(first, other, none).length).toBeGreaterThan(0)
    const calls = written.mock.calls.length
    written.mockRestore()
    expect(calls).toBeGreaterThan(2_000)
    expect(calls).toBeLessThan(10_000)
  })

  it("keeps keys that are data out of the names of fields", async ({ expect }) => {
    const first = {
      "alice@example.com": 1,
      "3f2b8c1e-aaaa-4bbb-8ccc-123456789abc": 1,
      "Bob Smith": 1,
      u20240001: 1,
      name: 1,
    }
    const other = {
      "alice@example.com": 2,
      "3f2b8c1e-aaaa-4bbb-8ccc-123456789abc": 2,
      "Bob Smith": 2,
      u20240001: 2,
      name: 2,
    }
    expect(await between(first, other)).toEqual(["value /name", "value /{key}"])
  })

  it("describes by type and length, never by value", async ({ expect }) => {
    const first = { a: "secret", b: [1, 2], c: { d: 1 }, e: true, f: 12 }
    const other = { a: "other secret", b: "no", c: [1], e: "x", f: null }
    const found = differencesOf(await json(first), await json(other), none)
    const told = Object.fromEntries(found.map((each) => [each.field, `${each.first} ${each.other}`]))
    expect(told).toEqual({
      "/a": "string(6) string(12)",
      "/b": "array(2) string(2)",
      "/c": "object(1) array(1)",
      "/e": "boolean string(1)",
      "/f": "number null",
    })
    expect(JSON.stringify(found)).not.toContain("secret")
  })
})

describe("differencesOf: status, headers, other bodies", () => {
  it("finds a changed, a missing and an added header among those chosen, and no other", async ({ expect }) => {
    const first = await captured("a", { headers: { "content-type": "text/a", "x-other": "1" } })
    const other = await captured("a", {
      headers: { "content-type": "text/b", "cache-control": "no-store", "x-other": "2" },
    })
    expect(differencesOf(first, other, none).map(({ field, kind }) => `${kind} ${field}`)).toEqual([
      "value header:content-type",
      "added header:cache-control",
    ])
    expect(differencesOf(first, other, ignoring(["header:content-type", "header:cache-control"]))).toEqual([])
  })

  it("says nothing but the status where that differs", async ({ expect }) => {
    const found = differencesOf(await json({ a: 1 }), await json({ b: 1 }, { status: 404 }), none)
    expect(found).toEqual([{ field: "status", kind: "value", first: "200", other: "404" }])
    expect(differencesOf(await json({ a: 1 }), NO_ANSWER, none)).toMatchObject([{ first: "200", other: "no answer" }])
  })

  it("ignores members named status and body without ignoring the answer's own", async ({ expect }) => {
    const [first, other] = [await json({ status: "a", body: "b" }), await json({ status: "c", body: "d" })]
    const members = ignoring(["status", "body"])
    expect(differencesOf(first, other, members)).toEqual([])
    expect(differencesOf(first, await json({}, { status: 500 }), members)).toMatchObject([{ field: "status" }])
    expect(differencesOf(first, await captured("text"), members)).toContainEqual(
      expect.objectContaining({ field: "body", kind: "type" }),
    )
    const whole = ignoring([":status", ":body"])
    expect(differencesOf(first, await json({}, { status: 500 }), whole)).toEqual([])
  })

  it("compares other bodies byte by byte", async ({ expect }) => {
    const text = (body: string) => captured(body, { headers: { "content-type": "text/plain" } })
    expect(differencesOf(await text("abc"), await text("abc"), none)).toEqual([])
    expect(differencesOf(await text("abc"), await text("abd"), none)).toEqual([
      { field: "body", kind: "value", first: "bytes(3)", other: "bytes(3)" },
    ])
    expect(differencesOf(await text("abc"), await text("abd"), ignoring([":body"]))).toEqual([])
  })

  it("tells JSON from what only says so, and a body from none", async ({ expect }) => {
    expect(differencesOf(await json({}), await json("{not json"), none)).toMatchObject([
      { field: "body", kind: "type" },
    ])
    expect(differencesOf(await json({}), await json(""), none)).toMatchObject([{ field: "body", kind: "missing" }])
    expect(differencesOf(await json(""), await json({}), none)).toMatchObject([{ field: "body", kind: "added" }])
  })

  it("compares JSON too deep to walk byte by byte", async ({ expect }) => {
    const deep = (end: string) => `${"[".repeat(100)}${end}${"]".repeat(100)}`
    expect((await json(deep("1"))).body.kind).toBe("bytes")
    expect(differencesOf(await json(deep("1")), await json(deep("2")), none)).toMatchObject([{ field: "body" }])
  })
})

describe("capture", () => {
  it("holds JSON as it came, since many wait at once and parsed it is many times as large", async ({ expect }) => {
    const text = `[${"{},".repeat(1_000)}{}]`
    expect((await json(text)).body).toMatchObject({ kind: "bytes", bytes: { length: text.length } })
  })

  it("reads a body up to the cap and no byte more", async ({ expect }) => {
    const sized = (size: number) => captured(new Response("x".repeat(size)).body, {}, { bytesMost: 100 })
    expect((await sized(100)).body).toMatchObject({ kind: "bytes", bytes: { length: 100 } })
    const over = await sized(101)
    expect(over.body).toEqual({ kind: "too-large" })
    expect(isBodyCompared(await sized(100))).toBe(true)
    expect(isBodyCompared(await sized(100), over)).toBe(false)
  })

  it("stops reading an endless body at the cap", async ({ expect }) => {
    let pulled = 0
    let cancelled = false
    const endless = new ReadableStream({
      pull: (controller) => {
        pulled++
        controller.enqueue(new Uint8Array(10))
      },
      cancel: () => {
        cancelled = true
      },
    })
    expect((await captured(endless, {}, { bytesMost: 100 })).body.kind).toBe("too-large")
    expect(pulled).toBeLessThan(15)
    expect(cancelled).toBe(true)
  })

  it("does not begin with a body whose stated length is over the cap", async ({ expect }) => {
    let cancelled = false
    const cancel = () => {
      cancelled = true
    }
    const body = new ReadableStream({ cancel }, { highWaterMark: 0 })
    const response = new Response(body, { headers: { "content-length": "101" } })
    expect((await capture(response, { ...OPTIONS, bytesMost: 100 })).body.kind).toBe("too-large")
    expect(cancelled).toBe(true)
  })

  it("rejects at its signal, and lets go of the body", async ({ expect }) => {
    const abort = new AbortController()
    let cancelled = false
    const cancel = () => {
      cancelled = true
    }
    const silent = new ReadableStream({ cancel })
    const reading = captured(silent, {}, { signal: abort.signal })
    abort.abort(new Error("late"))
    await expect(reading).rejects.toThrow("late")
    expect(cancelled).toBe(true)
  })

  it("takes an answer to HEAD for one without body, whatever length it states", async ({ expect }) => {
    const headers = { "content-length": "1000000" }
    expect((await captured(null, { headers }, { method: "HEAD" })).body.kind).toBe("none")
  })
})

describe("compareThree", () => {
  const seen = async (first: unknown, candidate: unknown, again: unknown) =>
    compareThree(await json(first), await json(candidate), await json(again), none).map(
      (each) => `${each.seenIn}: ${each.kind} ${each.field}`,
    )

  it("tells what only the new service does from what legacy does not repeat either", async ({ expect }) => {
    expect(await seen({ at: 1, n: 1, m: 1 }, { at: 2, n: 2, m: 1 }, { at: 3, n: 1, m: 2 })).toEqual([
      "both: value /at",
      "new: value /n",
      "again: value /m",
    ])
  })

  it("finds another type, and a lack, of a field whose value is noise", async ({ expect }) => {
    expect(await seen({ at: "1" }, { at: 2 }, { at: "3" })).toContain("new: type /at")
    expect(await seen({ at: "1" }, {}, { at: "3" })).toEqual(["new: missing /at"])
  })

  it("says nothing of what one of the answers has no place for", async ({ expect }) => {
    expect(await seen({ meta: { at: 1 } }, { meta: { at: 2 } }, {})).toEqual(["again: missing /meta"])
    expect(await seen({ meta: { at: 1 }, metal: 1 }, { meta: { at: 2 }, metal: 2 }, { metal: 1 })).toEqual([
      "new: value /metal",
      "again: missing /meta",
    ])
  })

  it("says nothing of fields when legacy's second answer has another status", async ({ expect }) => {
    const [first, candidate, again] = [await json({ at: 1 }), await json({ at: 2 }), await json({}, { status: 503 })]
    expect(compareThree(first, candidate, again, none)).toMatchObject([{ field: "status", seenIn: "again" }])
  })

  it("compares status and headers alone when one body was too long", async ({ expect }) => {
    const type = { "content-type": "application/json" }
    const long = await capture(new Response(JSON.stringify("x".repeat(5_000)), { headers: type }), OPTIONS)
    const first = await json({ a: 1 })
    expect(compareThree(first, await json({ a: 2 }), long, none)).toEqual([
      { field: "body", kind: "length", first: "below the cap", other: "over the cap", seenIn: "again" },
    ])
    expect(compareThree(first, long, await json({ a: 2 }), none)).toMatchObject([
      { field: "body", kind: "length", seenIn: "new" },
    ])
    expect(compareThree(long, long, long, none)).toEqual([])
    expect(
      compareThree(first, await json({ a: 2 }, { headers: { "cache-control": "no-store" } }), long, none),
    ).toMatchObject([
      { field: "header:cache-control", seenIn: "new" },
      { field: "body", seenIn: "again" },
    ])
  })
})
