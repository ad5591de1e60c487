-- The registry of the control plane. D1 is the source of truth, KV and R2 hold what follows from it.
-- Every change of state stands in one batch with its audit record, whose seq is what concurrent changes compete for.
-- Times are ISO 8601 in UTC. Comments hold neither quotes nor semicolons: tests/hygiene.test.ts says why.

CREATE TABLE teams (
  name TEXT PRIMARY KEY,
  grants TEXT NOT NULL, -- JSON: string[]
  egress TEXT NOT NULL, -- JSON: string[] of origins
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- hash is the SHA-256 of the token, hex. The token itself is nowhere. Ops tokens belong to no team.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  team TEXT REFERENCES teams (name),
  role TEXT NOT NULL CHECK (role IN ('ops', 'team')),
  hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  created_by TEXT, -- id of the token that made it, which takes it along when it is revoked. Null: the bootstrap token
  created_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT,
  CHECK ((role = 'ops') = (team IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_creator ON tokens (created_by);

-- A deleted script keeps its row: its name stays with its team until ops give it to another, and its version numbers are never given out again,
-- not even when the name changes hands: numbered_to is the highest that an earlier team had.
CREATE TABLE scripts (
  name TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (name),
  settings TEXT NOT NULL, -- JSON: ScriptSettings
  created_at TEXT NOT NULL,
  deleted_at TEXT,
  numbered_to INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX scripts_by_team ON scripts (team);

CREATE TABLE versions (
  script TEXT NOT NULL REFERENCES scripts (name),
  number INTEGER NOT NULL,
  digest TEXT NOT NULL, -- SHA-256 of the manifest, hex
  state TEXT NOT NULL CHECK (state IN ('recorded', 'placed', 'verified', 'failed')),
  size_bytes INTEGER NOT NULL,
  message TEXT,
  tag TEXT,
  needs TEXT NOT NULL DEFAULT '[]', -- JSON: the resource grants that its bindings use
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (script, number),
  UNIQUE (script, digest)
) STRICT, WITHOUT ROWID;

-- seq tells which of two deployments is the newer.
CREATE TABLE deployments (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  script TEXT NOT NULL REFERENCES scripts (name),
  releases TEXT NOT NULL, -- JSON: ReleaseWeight[]
  phase TEXT NOT NULL CHECK (phase IN ('recorded', 'published', 'failed')),
  message TEXT,
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  config_revision INTEGER,
  back_to INTEGER, -- of a rollback: the seq that it stands at in the history, all between being taken back
  withdrawn TEXT NOT NULL DEFAULT '[]' -- JSON: numbers of the versions that rollbacks up to this one took back
) STRICT;
CREATE INDEX deployments_by_script ON deployments (script, seq);
CREATE INDEX deployments_unfinished ON deployments (seq) WHERE phase = 'recorded';

-- The deployment in force.
CREATE TABLE script_current (
  script TEXT PRIMARY KEY REFERENCES scripts (name),
  deployment_id TEXT NOT NULL REFERENCES deployments (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hostnames (
  hostname TEXT PRIMARY KEY,
  team TEXT REFERENCES teams (name),
  open INTEGER NOT NULL CHECK (open IN (0, 1)),
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- spec holds the fields of a route beside those that have a column.
CREATE TABLE routes (
  id TEXT PRIMARY KEY,
  hostname TEXT NOT NULL REFERENCES hostnames (hostname),
  path TEXT NOT NULL,
  team TEXT NOT NULL REFERENCES teams (name),
  script TEXT NOT NULL REFERENCES scripts (name),
  spec TEXT NOT NULL, -- JSON
  UNIQUE (hostname, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX routes_by_script ON routes (script);

-- The JSON text of a section, cut into parts because a D1 row may hold 2 MB and a company directory is larger.
CREATE TABLE policy (
  section TEXT NOT NULL,
  part INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (section, part)
) STRICT, WITHOUT ROWID;

-- One row per published config. content_digest leaves revision and time out: an unchanged config has the same and is not published again.
-- live_at is null until the pointer in KV has named this revision.
CREATE TABLE config_revisions (
  revision INTEGER PRIMARY KEY,
  digest TEXT NOT NULL,
  content_digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  published_at TEXT NOT NULL,
  published_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  live_at TEXT
) STRICT;

-- Answers to requests that carried an Idempotency-Key, kept for a day. deployment is the id that whatever is recorded for the key has, so that a
-- repeat finds it. status is null until there is an answer, running_since while nobody works on one.
CREATE TABLE idempotency (
  actor TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL, -- SHA-256 of operation, path and body
  deployment TEXT NOT NULL,
  running_since TEXT,
  status INTEGER,
  body TEXT,
  created_at TEXT NOT NULL,
  PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  detail TEXT NOT NULL, -- JSON object
  previous_hash TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
