-- What cannot be observed: what was asked and by whom, what was about to be done, and what was last proven.
-- Times are RFC 3339 in UTC; bodies are JSON. Run ids are UUIDv7, so their text sorts by age.

CREATE TABLE runs (
  id       TEXT PRIMARY KEY,
  ended_at TEXT,              -- NULL: in flight, never dropped
  body     TEXT NOT NULL
) STRICT;

CREATE INDEX runs_in_flight ON runs (id) WHERE ended_at IS NULL;

-- One row before each call that changes something in Gitea; the answer is added when there is one.
CREATE TABLE intents (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  run        TEXT NOT NULL,
  mirror     TEXT NOT NULL,
  kind       TEXT NOT NULL,
  written_at TEXT NOT NULL,   -- our clock
  gitea_date TEXT NOT NULL,   -- Gitea's clock, at the look that led to it
  answer     TEXT             -- NULL: nobody knows
) STRICT;

CREATE INDEX intents_of_a_mirror ON intents (mirror, kind, seq);

CREATE TABLE mirrors (
  name    TEXT PRIMARY KEY,
  facts   TEXT,
  pruning TEXT
) STRICT;
