-- Versions that nothing needs any more are taken out of the namespace. Which ones is told by when each was last used, and what is on its way out is written down.
-- SQLite changes no CHECK of a table, so versions is made again. No other table names it, and it had no index of its own.
CREATE TABLE versions_again (
  script TEXT NOT NULL REFERENCES scripts (name),
  number INTEGER NOT NULL,
  digest TEXT NOT NULL, -- SHA-256 of the manifest, hex
  state TEXT NOT NULL CHECK (state IN ('recorded', 'placed', 'verified', 'failed', 'retired')),
  size_bytes INTEGER NOT NULL,
  message TEXT,
  tag TEXT,
  needs TEXT NOT NULL DEFAULT '[]', -- JSON: the resource grants that its bindings use
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  upload_seq INTEGER, -- null in rows from before 0007, where it is the number
  uploaded_at TEXT, -- null in rows from before 0007, where it is created_at
  used_at_ms INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER) * 1000), -- when it last got or lost traffic, or was uploaded
  held_until_ms INTEGER NOT NULL DEFAULT 0, -- nothing takes it out before, as long as a release pin asks for it
  removed_at_ms INTEGER, -- when it was taken out. Null: it may be in the namespace, as what is placed or verified is in any case
  PRIMARY KEY (script, number),
  UNIQUE (script, digest)
) STRICT, WITHOUT ROWID;

-- What was deployed before was used until the next deployment. Weights of routes and pins are in no history, so everything is held for a day and an hour: longer than either may still lead there.
INSERT INTO versions_again
  (script, number, digest, state, size_bytes, message, tag, needs, created_by, created_at, upload_seq, uploaded_at, used_at_ms, held_until_ms)
WITH published AS (
  SELECT script, releases, coalesce(lead(created_at) OVER (PARTITION BY script ORDER BY seq), created_at) AS until
  FROM deployments WHERE phase = 'published'
),
deployed AS (
  SELECT script, json_extract(release.value, '$.version') AS number, max(until) AS until
  FROM published, json_each(published.releases) AS release GROUP BY 1, 2
)
SELECT versions.script, versions.number, digest, state, size_bytes, message, tag, needs, created_by, created_at, upload_seq, uploaded_at,
  CAST(strftime('%s', max(coalesce(uploaded_at, created_at), coalesce(deployed.until, ''))) AS INTEGER) * 1000,
  (CAST(strftime('%s', 'now') AS INTEGER) + 90000) * 1000
FROM versions LEFT JOIN deployed ON deployed.script = versions.script AND deployed.number = versions.number;
DROP TABLE versions;
ALTER TABLE versions_again RENAME TO versions;

-- Of every script those that may be in the namespace: no more than it keeps, however many it ever had.
CREATE INDEX versions_in_namespace ON versions (script, used_at_ms, state, removed_at_ms, held_until_ms, upload_seq) WHERE removed_at_ms IS NULL OR state IN ('placed', 'verified');

-- What is to be gone from the namespace and is not yet known to be. Whoever removes it puts due_at_ms off first, so that no other does meanwhile.
CREATE TABLE removals (
  script TEXT NOT NULL, -- names no row: it may belong to another team by now, and its versions be forgotten
  number INTEGER NOT NULL,
  due_at_ms INTEGER NOT NULL, -- not before then
  PRIMARY KEY (script, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX removals_by_time ON removals (due_at_ms);

-- Of names that changed hands before: each number up to numbered_to may still stand there, with the code and the secrets of the earlier team.
INSERT INTO removals (script, number, due_at_ms)
WITH RECURSIVE left_over (script, number) AS (
  SELECT name, numbered_to FROM scripts WHERE numbered_to > 0
  UNION ALL
  SELECT script, number - 1 FROM left_over WHERE number > 1
)
SELECT script, number, (CAST(strftime('%s', 'now') AS INTEGER) + 90000) * 1000 FROM left_over;
