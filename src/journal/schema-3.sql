-- What a call is about, as JSON: the repository by name and id, and the name that it is to get.
ALTER TABLE intents ADD COLUMN about TEXT;
