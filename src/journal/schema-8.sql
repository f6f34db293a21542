-- The mirrors of a run, each written when it ends: a run of thousands is not written anew with every one of them.

CREATE TABLE parts (
  run   TEXT NOT NULL,
  place INTEGER NOT NULL,   -- among the run's mirrors, from 0
  body  TEXT NOT NULL,
  PRIMARY KEY (run, place)
) STRICT, WITHOUT ROWID;

-- A row that is damaged stays as it is: it is left out when it is read.
INSERT INTO parts (run, place, body)
  SELECT runs.id, part.key, part.value FROM runs, json_each(runs.body, '$.parts') AS part WHERE json_valid(runs.body);
UPDATE runs SET body = json_remove(body, '$.parts') WHERE json_valid(body);
