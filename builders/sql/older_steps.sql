-- The steps of a store of version 1 or 2 with the columns in which later ones keep a step's texts.
CREATE TEMP VIEW steps AS
SELECT
    rowid, *,
    action IS NOT NULL AS acted,
    concat(new_messages, chr(30), action, chr(30), 'null', chr(30), raw) AS texts
FROM {store}.main.steps
