-- What the control plane found at the issuers that publish their keys, and how long a revocation took to reach the edge.

-- Part of the config: the last good key set of an issuer, read from jwks_uri. It stands in the place of the keys that ops wrote, as long as they name the same URI.
CREATE TABLE issuer_keys (
  issuer TEXT PRIMARY KEY, -- id in the policy section issuers
  jwks_uri TEXT NOT NULL,
  jwks TEXT NOT NULL, -- JSON: { keys }
  changed_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How the last look went, not part of the config and not audited. Times in milliseconds since the epoch.
CREATE TABLE issuer_looks (
  issuer TEXT PRIMARY KEY,
  looked_at_ms INTEGER NOT NULL,
  good_at_ms INTEGER, -- of the last look that found a usable key set
  fault TEXT -- why the last look found none, null when it did
) STRICT, WITHOUT ROWID;

-- One row per probe. lag_ms is null when the edge did not refuse in time, or the probe could not begin.
CREATE TABLE probe_runs (
  at_ms INTEGER PRIMARY KEY,
  lag_ms INTEGER,
  fault TEXT,
  CHECK ((lag_ms IS NULL) = (fault IS NOT NULL))
) STRICT;

-- Counters that only grow, for /metrics: le:<seconds>, sum, count, failed.
CREATE TABLE probe_totals (
  name TEXT PRIMARY KEY,
  value REAL NOT NULL
) STRICT, WITHOUT ROWID;
