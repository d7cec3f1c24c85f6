-- What rollouts of a model took, for an estimate of more of them: one row; its numbers are NULL where there is none.
-- Parameters: model, tasks (ids of the planned ones), prompt_usd and completion_usd (of a million tokens, or NULL).
-- Only counted rollouts under the settings of the model's latest one say anything, and of them those of planned tasks
-- where there are any. Means weigh tasks equally, as a plan does; variances are those of single rollouts.
WITH latest AS (
    SELECT run_id, settings_hash FROM rollouts WHERE counted AND model = $model ORDER BY started_at DESC, run_id LIMIT 1
),
alike AS (
    SELECT
        r.task_id,
        list_contains($tasks, r.task_id) AS planned,
        r.prompt_tokens::DOUBLE AS prompt,
        r.completion_tokens::DOUBLE AS completion,
        prompt + completion AS tokens,
        (prompt * $prompt_usd::DOUBLE + completion * $completion_usd::DOUBLE) / 1e6 AS usd,
        r.duration_s
    FROM rollouts r JOIN latest ON r.settings_hash IS NOT DISTINCT FROM latest.settings_hash
    WHERE r.counted AND r.model = $model
),
used AS (
    SELECT * FROM alike WHERE planned OR NOT (SELECT coalesce(bool_or(planned), false) FROM alike)
),
tasks AS (
    SELECT
        avg(prompt) AS prompt,
        avg(completion) AS completion,
        avg(tokens) AS tokens,
        avg(usd) AS usd,
        avg(duration_s) AS duration_s
    FROM used
    GROUP BY task_id
),
times AS (                                                                        -- of all rollouts of the latest run
    SELECT r.duration_s, epoch(r.started_at) AS began, began + r.duration_s AS ended
    FROM rollouts r JOIN latest USING (run_id)
),
reached AS (
    SELECT *, max(ended) OVER (ORDER BY began, ended ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM times
)
SELECT
    (SELECT run_id FROM latest) AS run_id,                                        -- the model's latest run
    (SELECT count(*) FROM used) AS rollouts,                                      -- that the estimate is made from
    (SELECT count(*) FROM tasks) AS tasks,                                        -- whose they are
    (SELECT coalesce(bool_or(planned), false) FROM used) AS planned,              -- whether they are planned ones
    (SELECT avg(prompt) FROM tasks) AS prompt,                                    -- prompt tokens of a rollout
    (SELECT avg(completion) FROM tasks) AS completion,                            -- completion tokens of a rollout
    (SELECT avg(tokens) FROM tasks) AS tokens,                                    -- both
    (SELECT var_samp(tokens) FROM used) AS tokens_variance,
    (SELECT avg(usd) FROM tasks) AS usd,                                          -- what a rollout costs at the prices
    (SELECT var_samp(usd) FROM used) AS usd_variance,
    (SELECT avg(duration_s) FROM tasks) AS duration_s,                            -- wall seconds of a rollout
    (SELECT max(duration_s) FROM used) AS longest_s,                              -- of the longest
    (SELECT sum(duration_s) / nullif(sum(greatest(0, ended - greatest(began, coalesce(before, began)))), 0) FROM reached)
        AS at_once                                                                -- rollouts in flight in the latest run, while there were any
