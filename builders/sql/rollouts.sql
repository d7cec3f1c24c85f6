-- Every recorded rollout, and why none of its steps may be used; NULL where they may.
--
-- Imported traces of old style name no split and often no family. Where no suite knows their task, only its content can
-- tell whether it is held out, so they need the programs of every held-out suite to compare with.
CREATE TEMP TABLE candidate_rollouts AS
WITH places AS (
    SELECT rollout_id, min(rowid) AS first_row, max(rowid) AS last_row FROM steps GROUP BY rollout_id
), found AS (
    SELECT
        r.* EXCLUDE (family, split),
        coalesce(r.family, t.family) AS family,
        CASE WHEN r.split IN ('train', 'heldout') THEN r.split ELSE t.split END AS split,
        coalesce(json_extract_string(r.run_facts, '$.versions.trace') = 'legacy', false) AS imported
    FROM rollouts r LEFT JOIN known_tasks t USING (task_id)
), judged AS (
    SELECT
        *,
        CASE
            WHEN split = 'heldout' OR task_id IN (FROM heldout_tasks) THEN 'held-out task'
            WHEN family IN (FROM heldout_families) THEN 'held-out family'
            WHEN imported AND split IS NULL AND NOT $all_programs
                THEN 'imported, and not every held-out program is there to compare with'
            WHEN NOT imported AND (task_id IS NULL OR family IS NULL OR split IS NULL) THEN 'task of no known suite'
            WHEN cause IN (SELECT unnest($untrainable)) THEN 'rollout spoiled by this machine or its user'
            WHEN len($models) > 0 AND model NOT IN (SELECT unnest($models)) THEN 'other model'
            WHEN len($runs) > 0 AND run_id NOT IN (SELECT unnest($runs)) THEN 'other run'
            WHEN $require_success AND success IS NOT TRUE THEN 'rollout without success'
        END AS reason
    FROM found
), ranked AS ( -- a window with an order of its own would hold all rows in memory
    SELECT *, row_number() OVER () AS rank FROM (FROM judged ORDER BY run_id, task_id, model, rollout, attempt, rollout_id)
)
SELECT
    rank,      -- the same in any store
    first_row, -- where its steps lie
    last_row,
    rollout_id,
    run_id,
    coalesce(task_id, 'imported') AS task_id,
    coalesce(family, task_id, 'imported') AS family,
    coalesce(split, 'train') AS split,
    source,
    coalesce(model, 'imported') AS model,
    coalesce(rollout, 0) AS rollout,
    coalesce(attempt, 0) AS attempt,
    outcome,
    success,
    steps,
    reason
FROM ranked JOIN places USING (rollout_id)
ORDER BY first_row
