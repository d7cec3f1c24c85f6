-- The counted rollouts of one model in some runs, a row each with what is compared of it; NULL where it has no such value.
-- Parameters: model, runs (a list of run ids). Rows of a task are in the order in which sides are paired: by seed. Shares are rounded as in baseline files.
WITH replies AS (
    SELECT
        rollout_id,
        avg(strict_valid::INTEGER) AS strict_valid,                               -- of the rollout's replies: exactly one action
        avg((strict_valid OR lenient_valid)::INTEGER) AS lenient_valid,           -- that were, or can be repaired
        count(*) FILTER (executed_ok)
            / nullif(count(*) FILTER (action IS NULL OR tool IS NOT NULL), 0) AS executed_ok -- of those that were no final: the tool did its work
    FROM steps
    GROUP BY rollout_id
)
SELECT
    task_id,
    coalesce(seed, rollout, 0) AS seed,
    round(strict_valid, 6) AS strict_valid,
    (loop_detections > 0)::DOUBLE AS loop_rate,                                   -- 1: at least one loop was detected
    wrote_file::DOUBLE AS reached_write,                                          -- 1: a write_file succeeded
    success::DOUBLE AS pass_rate,                                                 -- 1: the last test run passed; NULL where tests never ran
    round(lenient_valid, 6) AS lenient_valid,
    round(executed_ok, 6) AS executed_ok,
    parse_errors::DOUBLE AS parse_errors,                                         -- replies that were not strictly valid
    steps::DOUBLE AS steps,                                                       -- model replies
    CASE WHEN outcome = 'final' THEN steps::DOUBLE END AS finished_steps,         -- model replies, where the model said it was done
    (prompt_tokens + completion_tokens)::DOUBLE AS tokens,
    cost_usd
FROM rollouts LEFT JOIN replies USING (rollout_id)
WHERE counted AND model = $model AND list_contains($runs, run_id)
ORDER BY task_id, seed, started_at, rollout_id
