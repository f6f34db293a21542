-- What readers of the streams are told. `seq` is the event's id; times are RFC 3339 in UTC; bodies are JSON.

CREATE TABLE events (
  seq  INTEGER PRIMARY KEY,
  at   TEXT NOT NULL,
  kind TEXT NOT NULL,
  run  TEXT,            -- NULL: it belongs to no run
  body TEXT NOT NULL    -- empty for a run's end: that is the run's own row, which does not change any more
) STRICT;

CREATE INDEX events_of_a_run ON events (run, seq);

-- One row: no id up to `reserved` is given out by a later process, and none up to `dropped` is kept.
CREATE TABLE event_ids (
  reserved INTEGER NOT NULL,
  dropped  INTEGER NOT NULL
) STRICT;

INSERT INTO event_ids (reserved, dropped) VALUES (0, 0);
