-- What is to be told to the receiver of notifications, written with the state that it tells of, oldest first.
CREATE TABLE notices (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  mirror     TEXT NOT NULL,
  body       TEXT NOT NULL,   -- as it is sent and signed
  at         TEXT NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    TEXT NOT NULL    -- not to be sent before
) STRICT;

CREATE INDEX notices_of_a_mirror ON notices (mirror, seq);
