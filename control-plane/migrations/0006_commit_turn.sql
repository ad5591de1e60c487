-- Whose turn it is to write: of a writer that lost races against quicker ones, which then wait. At most one row, worth nothing after until_ms.
CREATE TABLE commit_turn (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  holder TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('ops', 'team')),
  until_ms INTEGER NOT NULL
) STRICT;
