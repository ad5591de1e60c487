-- The kill switch of a team, thrown by ops alone.
ALTER TABLE teams ADD COLUMN kill TEXT; -- JSON, null while the team is on
