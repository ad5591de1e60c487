import { env } from "cloudflare:workers"
import { beforeEach, describe, it } from "vitest"
import { StoredDocument, type StoredDocumentOptions } from "./stored-document.ts"

const database = (env as unknown as { DB: D1Database }).DB
const parse = (text: string) =>
  text.startsWith("bad") ? ({ ok: false } as const) : ({ ok: true, value: text } as const)

beforeEach(async () => {
  await database.exec("DROP TABLE IF EXISTS stored_document")
})

/** An isolate's view: what it reads, on a clock that stands still until moved. */
function isolate(options: Partial<StoredDocumentOptions<string>> = {}) {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs }
  const noted: string[] = []
  const background: Promise<unknown>[] = []
  const note = (fault: string, revision: number | null) => noted.push(`${fault} ${revision}`)
  const stored = new StoredDocument({
    name: "rules",
    none: "none",
    parse,
    refreshMs: 100,
    maxStaleMs: 500,
    clock,
    note,
    ...options,
  })
  const current = async (from: D1Database = database) =>
    (await stored.current(from, (work) => background.push(work))).value
  return { stored, clock, noted, background, current }
}
const broken = {
  prepare: () => {
    throw new Error("D1_ERROR: down")
  },
} as unknown as D1Database

describe("StoredDocument", () => {
  it("is the given nothing while there is no revision", async ({ expect }) => {
    expect(await isolate().current()).toBe("none")
  })

  it("is read by an isolate's first request, and by each of several at once", async ({ expect }) => {
    await isolate().stored.write(database, "first", 0, "alice")
    const { current, background } = isolate()
    expect(await Promise.all([current(), current(), current()])).toEqual(["first", "first", "first"])
    expect(background).toEqual([])
  })

  it("is looked at again in the background when due, and waited for when long due", async ({ expect }) => {
    const { stored, clock, current, background } = isolate()
    const other = isolate().stored
    await stored.write(database, "first", 0, "alice")
    expect(await current()).toBe("first")
    await other.write(database, "second", 1, "bob")
    clock.nowMs += 99
    expect(await current()).toBe("first")
    expect(background).toHaveLength(0)
    clock.nowMs += 1
    expect(await current()).toBe("first")
    expect(await current()).toBe("first")
    expect(background).toHaveLength(1)
    await Promise.all(background)
    expect(await current()).toBe("second")
    await other.write(database, "third", 2, "bob")
    clock.nowMs += 500
    expect(await current()).toBe("third")
  })

  it("keeps the last good revision when a newer one cannot be read, in new isolates too", async ({ expect }) => {
    const { stored, current, clock, noted } = isolate()
    await stored.write(database, "good", 0, "alice")
    expect(await current()).toBe("good")
    await stored.write(database, "bad", 1, "alice")
    clock.nowMs += 500
    expect(await current()).toBe("good")
    clock.nowMs += 500
    expect(await current()).toBe("good")
    expect(noted).toEqual(["unreadable 2"])
    expect(await isolate().current()).toBe("good")
    await stored.write(database, "better", 2, "alice")
    expect(await current()).toBe("better")
  })

  it("keeps what it has when the database does not answer, and looks again later", async ({ expect }) => {
    const { stored, current, clock, noted, background } = isolate()
    await stored.write(database, "good", 0, "alice")
    expect(await current()).toBe("good")
    clock.nowMs += 10_000
    expect(await current(broken)).toBe("good")
    expect(noted).toEqual(["unavailable null"])
    await isolate().stored.write(database, "newer", 1, "bob")
    // Nobody waits right after a failure.
    expect(await current(broken)).toBe("good")
    expect(noted).toHaveLength(1)
    clock.nowMs += 100
    expect(await current()).toBe("good")
    await Promise.all(background)
    expect(await current()).toBe("newer")
  })

  it("lets nobody wait while looks go on failing, and the first that comes after a long sleep", async ({ expect }) => {
    const { stored, current, clock, noted, background } = isolate()
    await stored.write(database, "good", 0, "alice")
    await current()
    clock.nowMs += 500
    await current(broken)
    for (let looks = 1; looks < 20; looks++) {
      clock.nowMs += 100
      const looked = background.length
      expect(await current(broken)).toBe("good")
      // The look is behind the request: nobody waited for it.
      expect(background).toHaveLength(looked + 1)
      await background.at(-1)
    }
    expect(noted).toHaveLength(20)
    await isolate().stored.write(database, "newer", 1, "bob")
    clock.nowMs += 500
    expect(await current()).toBe("newer")
  })

  it("answers nothing rather than failing when the database was never there", async ({ expect }) => {
    expect(await isolate().current(broken)).toBe("none")
  })

  it("takes a write only on top of the newest revision, once", async ({ expect }) => {
    const { stored } = isolate()
    expect(await stored.read(database)).toBeNull()
    expect(await stored.write(database, "first", 0, "alice")).toBe(1)
    expect(await stored.write(database, "stale", 0, "bob")).toBeNull()
    expect(await stored.write(database, "ahead", 2, "bob")).toBeNull()
    const both = await Promise.all([stored.write(database, "a", 1, "alice"), stored.write(database, "b", 1, "bob")])
    expect(both.filter((revision) => revision === 2)).toHaveLength(1)
    expect(await stored.read(database)).toMatchObject({ revision: 2 })
  })

  it("loses no revision to a refused write, whatever revision that names", async ({ expect }) => {
    const { stored } = isolate()
    await stored.write(database, "first", 0, "alice")
    for (const ahead of [2, 101, 999_999_999_999_999]) {
      expect(await stored.write(database, "ahead", ahead, "bob")).toBeNull()
      expect(await stored.read(database)).toEqual({ revision: 1, text: "first" })
    }
  })

  it("keeps documents of other names apart", async ({ expect }) => {
    await isolate({ name: "other" }).stored.write(database, "other", 0, "alice")
    expect(await isolate().current()).toBe("none")
  })

  it("forgets the oldest revisions", async ({ expect }) => {
    const { stored, current } = isolate()
    for (let revision = 0; revision < 105; revision++)
      await stored.write(database, `text ${revision}`, revision, "alice")
    const count = await database.prepare("SELECT count(*) AS n FROM stored_document").first<{ n: number }>()
    expect(count?.n).toBe(100)
    expect(await current()).toBe("text 104")
  })
})
