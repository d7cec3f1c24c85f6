-- What each counted rollout of one model in some runs measured: a row per rollout; NULL where it has no such value.
-- Parameters: model, runs (a list of run ids). Rows of a task are in the order in which two sides are paired: by seed.
-- Shares are of the rollout's own replies, rounded as in baseline files.
WITH replies AS (
    SELECT
        rollout_id,
        avg(strict_valid::INTEGER) AS strict_valid,                               -- exactly one action
        avg((strict_valid OR lenient_valid)::INTEGER) AS lenient_valid,           -- or made one by unambiguous repairs
        count(*) FILTER (executed_ok)
            / nullif(count(*) FILTER (action IS NULL OR tool IS NOT NULL), 0) AS executed_ok -- of replies that were no final: the tool did its work
    FROM steps
    GROUP BY rollout_id
)
SELECT
    task_id,
    coalesce(seed, rollout, 0) AS seed,
    round(strict_valid, 6) AS strict_valid,
    round(lenient_valid, 6) AS lenient_valid,
    round(executed_ok, 6) AS executed_ok,
    parse_errors,                                                                 -- replies that were not strictly valid
    loop_detections,
    (loop_detections > 0)::INTEGER AS loop_rate,                                  -- 1: at least one loop was detected
    wrote_file::INTEGER AS reached_write,                                         -- 1: a write_file succeeded
    success::INTEGER AS pass_rate,                                                -- 1: the last test run passed; NULL where tests never ran
    steps,                                                                        -- model replies
    CASE WHEN outcome = 'final' THEN steps END AS finished_steps,                 -- model replies, where the model said it was done
    prompt_tokens + completion_tokens AS tokens,
    cost_usd
FROM rollouts LEFT JOIN replies USING (rollout_id)
WHERE counted AND model = $model AND list_contains($runs, run_id)
ORDER BY task_id, seed, started_at, rollout_id
