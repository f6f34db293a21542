-- Version 2: the keys under which runs were asked for, each its caller's own. `request` is a hash of what was asked.

CREATE TABLE idempotency_keys (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  caller     TEXT NOT NULL,
  key        TEXT NOT NULL,
  request    TEXT NOT NULL,
  run        TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (caller, key)
) STRICT;

CREATE INDEX idempotency_keys_of_a_run ON idempotency_keys (run);
