-- The deliveries of webhooks that were given a run, by the names that their senders gave them.
CREATE TABLE deliveries (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  mirror      TEXT NOT NULL,
  id          TEXT NOT NULL,
  run         TEXT NOT NULL,
  received_at TEXT NOT NULL,
  UNIQUE (mirror, id)
) STRICT;
