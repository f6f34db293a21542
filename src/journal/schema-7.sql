-- Who has said how a mirror is to be run, when and why. The latest word on a mirror is never dropped.

CREATE TABLE mode_changes (
  id     TEXT PRIMARY KEY,    -- a UUIDv7: sorts by age
  mirror TEXT NOT NULL,
  at     TEXT NOT NULL,
  body   TEXT NOT NULL
) STRICT;

CREATE INDEX mode_changes_of_a_mirror ON mode_changes (mirror, id);
