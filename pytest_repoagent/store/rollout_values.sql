-- What each counted rollout of one model in one run measured: a row per rollout, a column per metric of the gate.
-- Shares are of the rollout's own replies, NULL where there is nothing to take a share of. Parameters: run_id, model.
WITH replies AS (
    SELECT
        rollout_id,
        avg(strict_valid::INTEGER) AS strict_valid,                               -- exactly one action
        avg((strict_valid OR lenient_valid)::INTEGER) AS lenient_valid,           -- or made one by unambiguous repairs
        count(*) FILTER (executed_ok)
            / nullif(count(*) FILTER (action IS NULL OR tool IS NOT NULL), 0) AS executed_ok -- of replies that were no final
    FROM steps
    GROUP BY rollout_id
)
SELECT
    task_id,
    round(strict_valid, 6) AS strict_valid,
    round(lenient_valid, 6) AS lenient_valid,
    round(executed_ok, 6) AS executed_ok,
    parse_errors,
    loop_detections,
    (loop_detections > 0)::INTEGER AS loop_rate,
    wrote_file::INTEGER AS reached_write,
    success::INTEGER AS pass_rate,
    steps,
    prompt_tokens + completion_tokens AS tokens
FROM rollouts LEFT JOIN replies USING (rollout_id)
WHERE run_id = ? AND model = ? AND counted
ORDER BY task_id, rollout, attempt
