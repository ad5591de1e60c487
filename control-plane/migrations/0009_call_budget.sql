-- Calls to the API of Cloudflare, which takes so many in five minutes and then none at all: counted before they are made, so that some are left for a rollback.
-- A row is written in the same statement that looks whether there is room. What is older than any window goes with the next reservation.
CREATE TABLE cloudflare_calls (
  slot INTEGER NOT NULL, -- half minutes since the epoch, when they were set aside
  team TEXT NOT NULL, -- empty: of ops, and of the work of the schedule itself
  calls INTEGER NOT NULL CHECK (calls >= 0),
  PRIMARY KEY (slot, team)
) STRICT, WITHOUT ROWID;

-- Until when Cloudflare takes no calls, as it said itself. At most one row, worth nothing after until_ms.
CREATE TABLE cloudflare_refusal (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  until_ms INTEGER NOT NULL
) STRICT;
