-- The key ring of the passports. Private parts are sealed under the secret RING_KEY (AES-256-GCM, bound to the kid) and leave this table as they stand, into the
-- dispatch config. A row is deleted once the key verifies no longer, and its sealed part then stands in the config revisions of its time alone.
CREATE TABLE passport_keys (
  kid TEXT PRIMARY KEY,
  x TEXT NOT NULL, -- of the public point on P-256, base64url
  y TEXT NOT NULL,
  sealed TEXT NOT NULL,
  signs_from_ms INTEGER NOT NULL, -- milliseconds since the epoch, as the config has them
  verifies_until_ms INTEGER, -- null: until something is said
  asked_by TEXT, -- id of the request that changed it last, so that a repeat of it changes nothing
  changed_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
