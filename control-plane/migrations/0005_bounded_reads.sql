-- Indexes for what is read with every tick, in every list, or before a name changes hands: none of these may grow with what was there before.
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX tokens_by_team ON tokens (team);
CREATE INDEX routes_by_team ON routes (team);
CREATE INDEX deployments_unfinished_of_script ON deployments (script, seq) WHERE phase = 'recorded';
CREATE INDEX audit_of_pins ON audit (target, at) WHERE action = 'pin.create';
-- Of the first answer, beside its status and body, null in rows from before.
ALTER TABLE idempotency ADD COLUMN headers TEXT; -- JSON: name to value
