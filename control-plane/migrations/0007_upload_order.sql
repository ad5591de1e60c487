-- When a version was uploaded last, and in which order within its script: the same content again is the same version, and yet what its team has now.
ALTER TABLE versions ADD COLUMN upload_seq INTEGER; -- null in rows from before, where it is the number
ALTER TABLE versions ADD COLUMN uploaded_at TEXT; -- null in rows from before, where it is created_at
