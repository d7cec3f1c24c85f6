-- Each arm's means on each task, counted rollouts only; an arm is a model in a run. $runs is a list of run ids.
WITH chosen AS (
    FROM rollouts WHERE counted AND run_id IN (SELECT unnest($runs))
), replies AS (
    SELECT
        rollout_id,
        count(*) AS replies,
        count(*) FILTER (strict_valid) AS strict,
        count(*) FILTER (strict_valid OR lenient_valid) AS lenient
    FROM steps JOIN chosen USING (rollout_id)
    GROUP BY rollout_id
)
SELECT
    run_id,
    model,
    task_id,
    count(*) AS rollouts,
    count(success) AS judged,                                  -- rollouts whose tests ran
    count(*) FILTER (success) AS passes,                       -- whose last test run passed
    sum(strict) / nullif(sum(replies), 0) AS strict_valid,     -- over the task's replies
    sum(lenient) / nullif(sum(replies), 0) AS lenient_valid,   -- over the task's replies
    avg((loop_detections > 0)::INTEGER) AS loop_rate,          -- over rollouts
    avg(wrote_file::INTEGER) AS reached_write,                 -- over rollouts
    avg(success::INTEGER) AS pass_rate                         -- over rollouts whose tests ran
FROM chosen LEFT JOIN replies USING (rollout_id)
GROUP BY ALL
ORDER BY task_id, run_id, model;
