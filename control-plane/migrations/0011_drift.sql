-- What was looked at outside of the registry, and what of it is not as it should be: written by the schedule alone, and no part of the ledger, since nobody asked for it.
CREATE TABLE drift_looks (
  about TEXT PRIMARY KEY, -- namespace, dispatcher, scripts/NAME/versions/N
  first_tried_at_ms INTEGER NOT NULL,
  tried_at_ms INTEGER NOT NULL,
  looked_at_ms INTEGER, -- null until a look came to an end
  fault TEXT, -- null when it was as it should be
  since_ms INTEGER -- of the look that first found a fault, null without one
) STRICT, WITHOUT ROWID;

-- Of the code as it stood in the namespace when it was verified, null in rows from before, until a look finds nothing amiss.
ALTER TABLE versions ADD COLUMN etag TEXT;

-- Until when a release pin may lead there, 0 where none ever did.
ALTER TABLE versions ADD COLUMN pinned_until_ms INTEGER NOT NULL DEFAULT 0;

CREATE INDEX versions_by_upload ON versions (script, coalesce(upload_seq, number));
