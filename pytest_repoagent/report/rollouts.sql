-- What the list of rollouts shows of each. $runs is a list of run ids.
WITH judged AS (
    SELECT
        rollout_id,
        min(step) FILTER (error_code IS NOT NULL OR NOT executed_ok OR len(flags) > 0) AS first_bad,
        list_sort(list_distinct(list(error_family) || list(tool_code))) AS codes
    FROM steps JOIN rollouts USING (rollout_id)
    WHERE run_id IN (SELECT unnest($runs))
    GROUP BY rollout_id
)
SELECT
    r.rollout_id AS id,
    r.run_id,
    r.model,
    r.task_id AS task,
    r.rollout,
    r.seed,
    r.attempt,
    r.outcome,
    r.success,
    r.steps,
    r.parse_errors,
    r.loop_detections,
    r.duration_s,
    r.prompt_tokens,
    r.completion_tokens,
    r.cost_usd,
    r.difficulty,
    j.first_bad,                                      -- first step with a parse error, a refused call or a flag
    coalesce(j.codes, []) AS codes                    -- families of parse errors, and why tools refused
FROM rollouts r LEFT JOIN judged j USING (rollout_id)
WHERE r.run_id IN (SELECT unnest($runs))
ORDER BY r.run_id, r.task_id, r.model, r.rollout, r.attempt, r.rollout_id;
