/** What the migration that brings retired versions makes of a registry from before. */
import { applyD1Migrations } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeEach, describe, it } from "vitest"
import init from "../../migrations/0001_init.sql?raw"
import uploadOrder from "../../migrations/0007_upload_order.sql?raw"
import retiredVersions from "../../migrations/0008_retired_versions.sql?raw"
import { emptyStorage, statementsOf } from "../../test/harness.ts"
import type { Env } from "../env.ts"
import { HOLD_MS } from "./removals.ts"
import { type RawRow, toVersion } from "./rows.ts"

const { DB: db } = env as unknown as Env

/** Those in between make nothing of what is looked at here. */
const BEFORE = [
  { name: "0001_init.sql", queries: statementsOf(init) },
  { name: "0007_upload_order.sql", queries: statementsOf(uploadOrder) },
]
const NEW = { name: "0008_retired_versions.sql", queries: statementsOf(retiredVersions) }

beforeEach(async () => {
  await emptyStorage()
  await applyD1Migrations(db, BEFORE)
  await db.batch([
    db.prepare("INSERT INTO teams (name, grants, egress, created_at) VALUES ('web', '[]', '[]', '')"),
    ...["files", "given"].map((name) =>
      db
        .prepare("INSERT INTO scripts (name, team, settings, created_at, numbered_to) VALUES (?, 'web', '{}', '', ?)")
        .bind(name, name === "given" ? 3 : 0),
    ),
    version("files", 1, "verified", day(1)),
    version("files", 2, "verified", day(2)),
    version("files", 3, "failed", day(3), 4, day(9)),
    version("given", 4, "recorded", day(1)),
    deployment("files", 1, "published", day(1)),
    deployment("files", 2, "published", day(4)),
    deployment("files", 1, "failed", day(8)),
  ])
})

const migrate = () => applyD1Migrations(db, [...BEFORE, NEW])
const day = (number: number) => `2026-11-0${number}T12:00:00.000Z`

function version(script: string, number: number, state: string, at: string, seq: number | null = null, uploaded = at) {
  const uploadedAt = seq === null ? null : uploaded
  return db
    .prepare(
      `INSERT INTO versions (script, number, digest, state, size_bytes, message, tag, needs, created_by, created_at, upload_seq, uploaded_at)
       VALUES (?, ?, ?, ?, 7, 'why', 'v', '["resource:queue:jobs"]', 'token:t', ?, ?, ?)`,
    )
    .bind(script, number, `${script}-${number}`, state, at, seq, uploadedAt)
}

function deployment(script: string, number: number, phase: string, at: string) {
  return db
    .prepare(
      `INSERT INTO deployments (id, script, releases, phase, created_by, created_at) VALUES (hex(randomblob(8)), ?, ?, ?, 'x', ?)`,
    )
    .bind(script, JSON.stringify([{ version: number, weightBps: 10_000 }]), phase, at)
}

async function versions(): Promise<RawRow[]> {
  return (await db.prepare("SELECT * FROM versions ORDER BY script, number").all<RawRow>()).results
}

describe("versions of before", () => {
  it("keep all that was known of them", async ({ expect }) => {
    const before = await versions()
    await migrate()
    const after = await versions()
    expect(after.map(({ used_at_ms: _, held_until_ms: __, removed_at_ms: ___, ...row }) => row)).toEqual(before)
    expect(toVersion(after[2] ?? {})).toMatchObject({ number: 3, state: "failed", uploadSeq: 4, uploadedAt: day(9) })
  })

  it("were used until the next deployment, or uploaded last, whichever was later", async ({ expect }) => {
    await migrate()
    const used = (await versions()).map((row) => new Date(toVersion(row).usedAtMs).toISOString())
    expect(used).toEqual([day(4), day(4), day(9), day(1)])
  })

  it("are held for more than a day from now on, and none was removed", async ({ expect }) => {
    const now = await db.prepare("SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000 AS ms").first<number>("ms")
    await migrate()
    for (const row of await versions()) {
      expect(toVersion(row).heldUntilMs).toBeGreaterThan(Number(now) + HOLD_MS)
      expect(toVersion(row).removedAtMs).toBeNull()
    }
  })

  it("go on to be held to what they must be", async ({ expect }) => {
    await migrate()
    const insert = (script: string, number: number, digest: string, state: string) =>
      db
        .prepare(
          "INSERT INTO versions (script, number, digest, state, size_bytes, created_by, created_at) VALUES (?, ?, ?, ?, 1, 'x', '')",
        )
        .bind(script, number, digest, state)
        .run()
    await expect(insert("files", 9, "d", "gone")).rejects.toThrow("CHECK")
    await expect(insert("files", 1, "d", "retired")).rejects.toThrow("UNIQUE")
    await expect(insert("files", 9, "files-1", "retired")).rejects.toThrow("UNIQUE")
    await expect(insert("nobody", 9, "d", "retired")).rejects.toThrow("FOREIGN KEY")
    await insert("files", 9, "d", "retired")
    const row = await db.prepare("SELECT * FROM versions WHERE number = 9").first<RawRow>()
    // As a control plane of before inserts it: used now, and not long ago.
    expect(toVersion(row ?? {}).usedAtMs).toBeGreaterThan(Date.parse("2025-01-01"))
  })
})

it("has the scripts of names that changed hands before removed, each number of the earlier team", async ({
  expect,
}) => {
  await migrate()
  const { results } = await db.prepare("SELECT script, number FROM removals ORDER BY number").all()
  expect(results).toEqual([1, 2, 3].map((number) => ({ script: "given", number })))
})
