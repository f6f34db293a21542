-- How often in a row the process ended uncleanly while a mirror's part of a run was in flight, and no call for that mirror was
-- written in between. An event is no such call: it tells a step that begins anew.

CREATE TABLE crashes (
  run    TEXT NOT NULL,
  mirror TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (run, mirror)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER intents_end_crashes AFTER INSERT ON intents BEGIN
  DELETE FROM crashes WHERE mirror = NEW.mirror;
END;
CREATE TRIGGER answers_end_crashes AFTER UPDATE ON intents BEGIN
  DELETE FROM crashes WHERE mirror = NEW.mirror;
END;

-- One row: whether the process that wrote here last has ended, or is ending, as it was asked to.
CREATE TABLE process (
  clean INTEGER NOT NULL
) STRICT;

INSERT INTO process (clean) VALUES (1);
