-- The rows of two datasets side by side. A row is the same in both if it teaches the same at the same recorded step.
WITH before AS (
    FROM read_parquet($before)
), after AS (
    FROM read_parquet($after)
), paired AS (
    SELECT
        b.file IS NULL AS new,
        a.file IS NULL AS gone,
        b.file AS was_in,
        a.file AS is_in,
        b.prompt_sha256 <> a.prompt_sha256 AS asked_differently,
        b.weight AS weighed,
        a.weight AS weighs,
        coalesce(a.run_id, b.run_id) AS run_id,
        coalesce(a.model, b.model) AS model
    FROM before b FULL JOIN after a USING (rollout_id, steps, state_hash, construction, action_sha256)
), known AS (
    SELECT
        *,
        CASE
            WHEN new AND run_id NOT IN (SELECT run_id FROM before) THEN 'added, of a run that gave none before'
            WHEN new THEN 'added, of a run that gave some before'
            WHEN gone AND run_id NOT IN (SELECT run_id FROM after) THEN 'removed, of a run that gives none now'
            WHEN gone THEN 'removed, of a run that still gives some'
            WHEN was_in <> is_in THEN 'moved from ' || was_in || ' to ' || is_in
            WHEN asked_differently THEN 'with another prompt'
            WHEN weighed <> weighs THEN 'weighs something else'
            ELSE 'the same'
        END AS change
    FROM paired
)
SELECT change, model, count(*) AS rows
FROM known
GROUP BY change, model
ORDER BY change, rows DESC, model
